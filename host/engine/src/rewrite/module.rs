//! A core module, as far as rewinding has to know of it.

use std::fmt;

use wasmparser::{
    BinaryReader, CustomSectionReader, Error, FunctionBody, Global, KnownCustom, MemoryType, Name, Parser, Payload,
    TypeRef,
};

use super::{
    PREFIX,
    effect::{self, Effect},
    globals::MutableGlobal,
    section::{self, Section},
};

/// The most that is shown of a name that the component's author chose, in characters.
const NAME_CHARS_MAX: usize = 80;

/// What a module holds.
#[derive(Debug, Default)]
pub(crate) struct CoreModule<'a> {
    /// All of it, in order.
    pub(crate) sections: Vec<Section<'a>>,
    /// Types that it has.
    pub(crate) types: u32,
    /// Functions that it has, imported ones included.
    pub(crate) functions: u32,
    /// Globals that it has, imported ones included.
    pub(crate) globals: u32,
    /// Memories that it imports.
    pub(crate) imported_memories: u32,
    /// Memories that it defines.
    pub(crate) memories: Vec<MemoryType>,
    /// Mutable globals that it defines.
    pub(crate) mutable_globals: Vec<MutableGlobal<'a>>,
    /// The first function that does what cannot be put back, and what that is.
    pub(crate) lasting: Option<(u32, Effect)>,
    /// Whether it exports a name of ours.
    pub(crate) has_name_of_ours: bool,
    /// Functions whose bodies were read, imported ones included.
    functions_read: u32,
}

/// A module by the name that it gives itself, or by its index.
pub(crate) struct Titled<'m>(pub(crate) u32, pub(crate) &'m CoreModule<'m>);

impl<'a> CoreModule<'a> {
    /// Reads a valid module.
    pub(crate) fn read(binary: &'a [u8]) -> Result<Self, Error> {
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(binary) {
            let payload = payload?;
            module.sections.extend(Section::of(&payload, binary));
            module.note(payload)?;
        }
        Ok(module)
    }

    /// Whether instances of it have something of their own to be saved or found.
    pub(crate) fn has_state(&self) -> bool {
        !self.memories.is_empty() || !self.mutable_globals.is_empty()
    }

    /// The function with this index, for a person: by its name where it has one.
    pub(crate) fn function_title(&self, function: u32) -> String {
        let named = self.names().find_map(|name| match name {
            Name::Function(names) => names.into_iter().map_while(Result::ok).find(|naming| naming.index == function),
            _ => None,
        });
        named.map_or_else(|| format!("function {function}"), |naming| format!("function `{}`", shown(naming.name)))
    }

    fn note(&mut self, payload: Payload<'a>) -> Result<(), Error> {
        match payload {
            Payload::TypeSection(groups) => {
                for group in groups {
                    group?.types().for_each(|_| self.types += 1);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    self.note_import(import?.ty);
                }
            }
            Payload::FunctionSection(functions) => self.functions += functions.count(),
            Payload::MemorySection(memories) => self.memories = memories.into_iter().collect::<Result<_, _>>()?,
            Payload::GlobalSection(globals) => {
                for global in globals {
                    self.note_global(global?);
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    self.has_name_of_ours |= export?.name.starts_with(PREFIX);
                }
            }
            Payload::CodeSectionEntry(body) => self.note_body(&body)?,
            _ => {}
        }
        Ok(())
    }

    fn note_import(&mut self, ty: TypeRef) {
        match ty {
            TypeRef::Func(_) | TypeRef::FuncExact(_) => {
                self.functions += 1;
                self.functions_read += 1;
            }
            TypeRef::Global(_) => self.globals += 1,
            TypeRef::Memory(_) => self.imported_memories += 1,
            TypeRef::Table(_) | TypeRef::Tag(_) => {}
        }
    }

    fn note_global(&mut self, global: Global<'a>) {
        if global.ty.mutable {
            self.mutable_globals.push(MutableGlobal { index: self.globals, ty: global.ty, first: global.init_expr });
        }
        self.globals += 1;
    }

    fn note_body(&mut self, body: &FunctionBody<'a>) -> Result<(), Error> {
        let function = self.functions_read;
        self.functions_read += 1;
        if self.lasting.is_some() {
            return Ok(());
        }
        for operator in body.get_operators_reader()? {
            if let Some(effect) = effect::lasting(&operator?) {
                self.lasting = Some((function, effect));
                break;
            }
        }
        Ok(())
    }

    /// What its name section says, as far as it can be read.
    fn names(&self) -> impl Iterator<Item = Name<'_>> {
        let custom = self.sections.iter().filter(|section| section.id == section::CUSTOM);
        custom
            .filter_map(|section| CustomSectionReader::new(BinaryReader::new(&section.contents, 0)).ok())
            .filter_map(|section| match section.as_known() {
                KnownCustom::Name(names) => Some(names),
                _ => None,
            })
            .flat_map(|names| names.map_while(Result::ok))
    }
}

impl fmt::Display for Titled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(index, module) = self;
        let name = module.names().find_map(|name| match name {
            Name::Module { name, .. } => Some(name),
            _ => None,
        });
        match name {
            Some(name) => write!(f, "module `{}`", shown(name)),
            None => write!(f, "module {index}"),
        }
    }
}

/// A name that the component's author chose, for a message of one line.
fn shown(name: &str) -> String {
    name.chars().filter(|char| !char.is_control()).take(NAME_CHARS_MAX).collect()
}
