//! What a component is, told without compiling it: exports, imports, what made it, what its bytes are for, who can run it.
//!
//! Uploads are hostile. Code is skipped, what is listed has an end, and so has each text; nothing is validated, for that is the
//! compiler's affair, so a report may be of a component that is refused.

mod hosts;
mod nearest;

use gust_core::{
    Code, Problem,
    component::{ComponentInfo, ImportInfo, ProducerInfo, SizesInfo},
};
use wasmparser::{
    BinaryReader, BinaryReaderError, Chunk, ComponentAlias, ComponentExport, ComponentExternalKind, ComponentImport,
    ComponentOuterAliasKind, ComponentType, ComponentTypeRef, CustomSectionReader, InstanceTypeDeclaration, Parser,
    Payload, ProducersSectionReader, SectionLimited, TypeBounds,
};

pub(crate) use self::nearest::nearest;
use crate::{compile::component, interfaces, rewrite};

/// The most imports, and the most exports, that are listed.
const NAMES_MAX: usize = 256;

/// The most languages and tools that are listed.
const PRODUCERS_MAX: usize = 64;

/// The longest text that is told, in characters.
const TEXT_CHARS_MAX: usize = 160;

/// Components within components, at most: the engine's own bound is below that.
const DEPTH_MAX: usize = 128;

/// Reads a component, or what one is made of, and tells what it is as far as it is known without a manifest.
pub fn report(bytes: &[u8]) -> Result<ComponentInfo, Problem> {
    let component = component(bytes)?;
    let mut reading = Reading::default();
    reading.read(&component)?;
    let mut info = reading.info;
    info.handlers = info.exports.iter().filter(|name| hosts::is_handler(name)).cloned().collect();
    info.hosts = hosts::all(&info);
    Ok(info)
}

/// A component that is being read.
#[derive(Default)]
struct Reading {
    info: ComponentInfo,
    /// Of each type of the component, by its index, whether there is nothing in what is of it: an instance that only gives other types names.
    hollow: Vec<bool>,
}

impl Reading {
    fn read(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let (mut parser, mut outer, mut rest) = (Parser::new(0), Vec::new(), bytes);
        loop {
            let chunk = parser.parse(rest, true).map_err(|error| unreadable(&error))?;
            let Chunk::Parsed { consumed, payload } = chunk else { return Ok(()) };
            rest = rest.get(consumed..).unwrap_or_default();
            self.measure(&payload);
            match payload {
                Payload::CodeSectionStart { size, .. } => {
                    parser.skip_section();
                    let skipped = usize::try_from(size).ok().and_then(|size| rest.get(size..));
                    rest = skipped.ok_or_else(|| malformed("its code ends early"))?;
                }
                Payload::ModuleSection { parser: inner, .. } | Payload::ComponentSection { parser: inner, .. } => {
                    if outer.len() == DEPTH_MAX {
                        return Err(malformed("its components are nested too deep"));
                    }
                    outer.push(std::mem::replace(&mut parser, inner));
                }
                Payload::End(_) => match outer.pop() {
                    Some(before) => parser = before,
                    None => return Ok(()),
                },
                Payload::ComponentTypeSection(types) if outer.is_empty() => {
                    self.types(types).map_err(|error| unreadable(&error))?;
                }
                Payload::ComponentAliasSection(aliases) if outer.is_empty() => {
                    self.aliases(aliases).map_err(|error| unreadable(&error))?;
                }
                Payload::ComponentImportSection(imports) if outer.is_empty() => {
                    self.import(imports).map_err(|error| unreadable(&error))?;
                }
                Payload::ComponentExportSection(exports) if outer.is_empty() => {
                    self.export(exports).map_err(|error| unreadable(&error))?;
                }
                Payload::CustomSection(custom) if custom.name() == "producers" => self.made_by(&custom),
                _ => {}
            }
        }
    }

    /// Adds a section to what its bytes are for.
    fn measure(&mut self, payload: &Payload<'_>) {
        match payload {
            Payload::ModuleSection { .. } => self.info.core_modules = self.info.core_modules.saturating_add(1),
            Payload::MemorySection(memories) => {
                self.info.memories = self.info.memories.saturating_add(memories.count());
            }
            _ => {}
        }
        let Some((_, range)) = payload.as_section() else { return };
        let SizesInfo { code_bytes, data_bytes, types_bytes, debug_bytes, custom_bytes, other_bytes } =
            &mut self.info.sizes;
        let kind = match payload {
            // What is in them is met by itself.
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => return,
            Payload::CodeSectionStart { .. } => code_bytes,
            Payload::DataSection(_) => data_bytes,
            Payload::TypeSection(_) | Payload::CoreTypeSection(_) | Payload::ComponentTypeSection(_) => types_bytes,
            Payload::CustomSection(custom) if is_for_debuggers(custom.name()) => debug_bytes,
            Payload::CustomSection(_) => custom_bytes,
            _ => other_bytes,
        };
        *kind = kind.saturating_add(range.end.saturating_sub(range.start) as u64);
    }

    fn types(&mut self, types: SectionLimited<'_, ComponentType<'_>>) -> Result<(), BinaryReaderError> {
        for ty in types {
            self.hollow.push(matches!(ty?, ComponentType::Instance(declared) if only_names(&declared)));
        }
        Ok(())
    }

    fn aliases(&mut self, aliases: SectionLimited<'_, ComponentAlias<'_>>) -> Result<(), BinaryReaderError> {
        for alias in aliases {
            let is_type = match alias? {
                ComponentAlias::InstanceExport { kind, .. } => kind == ComponentExternalKind::Type,
                ComponentAlias::Outer { kind, .. } => kind == ComponentOuterAliasKind::Type,
                ComponentAlias::CoreInstanceExport { .. } => false,
            };
            if is_type {
                self.hollow.push(false);
            }
        }
        Ok(())
    }

    fn import(&mut self, imports: SectionLimited<'_, ComponentImport<'_>>) -> Result<(), BinaryReaderError> {
        for import in imports {
            let import = import?;
            // A type says only how other imports look, and so does an instance of nothing else.
            if matches!(import.ty, ComponentTypeRef::Type(_)) {
                self.hollow.push(false);
                continue;
            }
            let is_hollow = |index: u32| self.hollow.get(index as usize).copied().unwrap_or_default();
            if matches!(import.ty, ComponentTypeRef::Instance(index) if is_hollow(index)) {
                continue;
            }
            if self.info.imports.len() == NAMES_MAX {
                self.info.shortened = true;
                return Ok(());
            }
            let name = import.name.name;
            self.info.imports.push(match interfaces::is_offered(name) {
                true => ImportInfo::offered(text(name)),
                false => ImportInfo::missing(text(name), nearest(name)),
            });
        }
        Ok(())
    }

    fn export(&mut self, exports: SectionLimited<'_, ComponentExport<'_>>) -> Result<(), BinaryReaderError> {
        for export in exports {
            let export = export?;
            if export.kind == ComponentExternalKind::Type {
                self.hollow.push(false);
            }
            if export.kind == ComponentExternalKind::Type || export.name.name.starts_with(rewrite::PREFIX) {
                continue;
            }
            if self.info.exports.len() == NAMES_MAX {
                self.info.shortened = true;
                return Ok(());
            }
            self.info.exports.push(text(export.name.name));
        }
        Ok(())
    }

    /// Notes what a `producers` section names. One that cannot be read is no reason to refuse anything.
    fn made_by(&mut self, custom: &CustomSectionReader<'_>) {
        let Ok(fields) = sections(custom) else { return };
        for field in fields.into_iter().map_while(Result::ok) {
            for value in field.values.into_iter().take(PRODUCERS_MAX).map_while(Result::ok) {
                let (kind, name, version) = (text(field.name), text(value.name), text(value.version));
                let producer = ProducerInfo { kind, name, version };
                if self.info.producers.contains(&producer) {
                    continue;
                }
                if self.info.producers.len() == PRODUCERS_MAX {
                    self.info.shortened = true;
                    return;
                }
                self.info.producers.push(producer);
            }
        }
    }
}

/// The fields of a `producers` section (WebAssembly/tool-conventions, `ProducersSection.md`).
fn sections<'a>(custom: &CustomSectionReader<'a>) -> Result<ProducersSectionReader<'a>, BinaryReaderError> {
    ProducersSectionReader::new(BinaryReader::new(custom.data(), custom.data_offset()))
}

fn unreadable(error: &BinaryReaderError) -> Problem {
    malformed(&error.to_string())
}

fn malformed(why: &str) -> Problem {
    Problem::new(Code::ComponentMalformed, why)
}

fn is_for_debuggers(custom: &str) -> bool {
    let names = ["name", "component-name", "sourceMappingURL", "external_debug_info"];
    names.contains(&custom) || custom.starts_with(".debug_")
}

/// A text that has an end.
fn text(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// Whether an instance has nothing but types that others have already, under names of its own.
fn only_names(declared: &[InstanceTypeDeclaration<'_>]) -> bool {
    let mut exports = declared.iter().filter_map(|of| match of {
        InstanceTypeDeclaration::Export { ty, .. } => Some(ty),
        _ => None,
    });
    let is_name = |ty: &ComponentTypeRef| matches!(ty, ComponentTypeRef::Type(TypeBounds::Eq(_)));
    exports.next().is_some_and(is_name) && exports.all(is_name)
}

#[cfg(test)]
mod tests;
