//! A component, as far as rewinding has to know of it: its modules, their instances, and what it has of everything that is
//! numbered.

use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, Error, Instance, Parser,
    Payload, Validator, WasmFeatures, types::TypesRef,
};

use super::{PREFIX, core_functions::CoreFunctions, module::CoreModule, resources, section::Section};

/// What a component holds.
#[derive(Debug)]
pub(crate) struct Layout<'a> {
    /// All of it, in order.
    pub(crate) sections: Vec<Section<'a>>,
    /// The core modules that stand in it. Where none is [foreign](Self::has_foreign_module), they are all that it has.
    pub(crate) modules: Vec<CoreModule<'a>>,
    /// For each core instance the module that it is of; none for one that only groups what others export.
    pub(crate) instances: Vec<Option<u32>>,
    /// Its core functions.
    pub(crate) core_functions: CoreFunctions<'a>,
    /// Its canonical functions: what is lifted, lowered and built in.
    pub(crate) canonical_functions: Vec<CanonicalFunction>,
    /// Whether a module comes from outside or is given away.
    pub(crate) has_foreign_module: bool,
    /// Whether a component that stands in it, or comes from outside, has or may have code of its own.
    pub(crate) has_inner_code: bool,
    /// Whether it imports a type of a resource, so can have handles.
    pub(crate) imports_resources: bool,
    /// Whether it exports a name of ours.
    pub(crate) has_name_of_ours: bool,
    /// How many there are of what is numbered.
    pub(crate) counts: Counts,
}

/// Sizes of index spaces, so the index that the next of each kind gets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) modules: u32,
    pub(crate) core_instances: u32,
    pub(crate) core_functions: u32,
    pub(crate) core_memories: u32,
    pub(crate) types: u32,
    pub(crate) functions: u32,
}

/// Checks a component against everything that wasmparser knows: what may run is not decided here.
pub(crate) fn validate(component: &[u8]) -> Result<wasmparser::types::Types, Error> {
    Validator::new_with_features(WasmFeatures::all()).validate_all(component)
}

impl Counts {
    fn of(types: TypesRef<'_>) -> Self {
        Self {
            modules: types.module_count(),
            core_instances: types.core_instance_count(),
            core_functions: types.function_count(),
            core_memories: types.memory_count(),
            types: types.component_type_count(),
            functions: types.component_function_count(),
        }
    }
}

impl<'a> Layout<'a> {
    /// Reads a component that is valid and has these types.
    pub(crate) fn read(component: &'a [u8], types: TypesRef<'_>) -> Result<Self, Error> {
        let mut layout = Self {
            sections: Vec::new(),
            modules: Vec::new(),
            instances: Vec::new(),
            core_functions: CoreFunctions::default(),
            canonical_functions: Vec::new(),
            has_foreign_module: false,
            has_inner_code: false,
            imports_resources: false,
            has_name_of_ours: false,
            counts: Counts::of(types),
        };
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload?;
            let opens = matches!(payload, Payload::ModuleSection { .. } | Payload::ComponentSection { .. });
            let closes = matches!(payload, Payload::End(_));
            if depth == 0 {
                layout.sections.extend(Section::of(&payload, component));
                layout.note(payload, component, types)?;
            } else {
                layout.note_inner(payload)?;
            }
            depth = depth.saturating_add(opens.into()).saturating_sub(closes.into());
        }
        Ok(layout)
    }

    /// The core instances that are of a module, with it.
    pub(crate) fn instantiations(&self) -> impl Iterator<Item = (u32, &CoreModule<'a>)> {
        (0..).zip(&self.instances).filter_map(|(instance, module)| Some((instance, self.module((*module)?)?)))
    }

    /// The module with this index.
    pub(crate) fn module(&self, index: u32) -> Option<&CoreModule<'a>> {
        self.modules.get(usize::try_from(index).ok()?)
    }

    /// The module that this core instance is of.
    pub(crate) fn module_of(&self, instance: u32) -> Option<u32> {
        self.instances.get(usize::try_from(instance).ok()?).copied().flatten()
    }

    /// The core instances that have mutable globals of their own.
    pub(crate) fn with_globals(&self) -> Vec<u32> {
        let with_globals = self.instantiations().filter(|(_, module)| !module.mutable_globals.is_empty());
        with_globals.map(|(instance, _)| instance).collect()
    }

    /// The modules that have instances, with their indices.
    pub(crate) fn modules_in_use(&self) -> impl Iterator<Item = (u32, &CoreModule<'a>)> {
        (0..).zip(&self.modules).filter(|(index, _)| self.instances.contains(&Some(*index)))
    }

    /// What the component itself holds.
    fn note(&mut self, payload: Payload<'a>, component: &'a [u8], types: TypesRef<'_>) -> Result<(), Error> {
        match payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                self.modules.push(CoreModule::read(component.get(unchecked_range).unwrap_or_default())?);
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    self.instances.push(match instance? {
                        Instance::Instantiate { module_index, .. } => Some(module_index),
                        Instance::FromExports(exports) => {
                            self.core_functions.note_group(&exports);
                            None
                        }
                    });
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                for function in functions {
                    let function = function?;
                    self.core_functions.note_canonical(&function);
                    self.canonical_functions.push(function);
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    let import = import?;
                    self.note_passage(import.ty.kind());
                    self.imports_resources |= resources::comes_with(types, import.name.name);
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    self.note_passage(export.kind);
                    self.has_name_of_ours |= export.name.name.starts_with(PREFIX);
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    self.note_alias(&alias?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What the modules and components in it hold.
    fn note_inner(&mut self, payload: Payload<'_>) -> Result<(), Error> {
        match payload {
            Payload::ModuleSection { .. } | Payload::InstanceSection(_) | Payload::ComponentCanonicalSection(_) => {
                self.has_inner_code = true;
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    let is_module =
                        matches!(alias?, ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, .. });
                    self.has_foreign_module |= is_module;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn note_alias(&mut self, alias: &ComponentAlias<'a>) {
        self.core_functions.note_alias(alias);
        match alias {
            ComponentAlias::InstanceExport { kind, .. } => self.note_passage(*kind),
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, .. } => self.has_foreign_module = true,
            ComponentAlias::Outer { .. } | ComponentAlias::CoreInstanceExport { .. } => {}
        }
    }

    /// Something of this kind comes into the component or leaves it.
    fn note_passage(&mut self, kind: ComponentExternalKind) {
        match kind {
            ComponentExternalKind::Module => self.has_foreign_module = true,
            ComponentExternalKind::Component => self.has_inner_code = true,
            ComponentExternalKind::Func
            | ComponentExternalKind::Value
            | ComponentExternalKind::Type
            | ComponentExternalKind::Instance => {}
        }
    }
}
