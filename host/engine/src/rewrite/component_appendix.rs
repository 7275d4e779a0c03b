//! What the rewrite appends to a component: the functions that its modules got, and one for its handles, lifted and exported.

use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, Component, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentSectionId, ComponentTypeSection, ComponentValType, ExportKind, InstanceSection,
    ModuleArg, PrimitiveValType, RawSection, ValType,
};
use wasmparser::Error;

use super::{
    CHECK, MEMORY, RESTORE, SAVE, SETTLE,
    gatherer::{self, GATHERED},
    layout::{Counts, Layout},
    module_appendix::{self, HEAP, MEMORY_DONE},
    settler,
};

/// The component with everything that it needs to be put back. `home` is the core instance with its memory.
pub(crate) fn appended(layout: &Layout<'_>, home: u32) -> Result<Vec<u8>, Error> {
    let mut appendix = Appendix { component: Component::new(), counts: layout.counts };
    appendix.copy(layout)?;
    appendix.add_memory_question(home);
    let with_globals = layout.instantiations().filter(|(_, module)| !module.mutable_globals.is_empty());
    let with_globals: Vec<u32> = with_globals.map(|(instance, _)| instance).collect();
    match *with_globals {
        [] => {}
        [only] => appendix.add_global_functions(only),
        [..] => {
            let all = appendix.add_gatherer(&with_globals);
            appendix.add_global_functions(all);
        }
    }
    if layout.imports_resources {
        appendix.add_settler();
    }
    Ok(appendix.component.finish())
}

/// A component that is being written, and what it has so far. Each method that adds something returns its index.
struct Appendix {
    component: Component,
    counts: Counts,
}

impl Appendix {
    /// Everything that was there, with the modules that have state rewritten.
    fn copy(&mut self, layout: &Layout<'_>) -> Result<(), Error> {
        let mut modules = (0..).zip(&layout.modules);
        for section in &layout.sections {
            let module = if section.id == u8::from(ComponentSectionId::CoreModule) { modules.next() } else { None };
            match module {
                Some((index, module)) if module.has_state() && layout.instances.contains(&Some(index)) => {
                    let rewritten = module_appendix::appended(module)?;
                    self.component.section(&RawSection { id: section.id, data: &rewritten });
                }
                _ => {
                    self.component.section(&section.raw());
                }
            }
        }
        Ok(())
    }

    /// Lifts and exports the question for the memory.
    fn add_memory_question(&mut self, home: u32) {
        let ask = self.alias_function(home, MEMORY);
        let done = self.alias_function(home, MEMORY_DONE);
        let memory = self.alias_memory(home);
        let bytes = self.define_bytes();
        let ty = self.define_function(&[], Some(ComponentValType::Type(bytes)));
        self.lift(MEMORY, ask, ty, &[CanonicalOption::Memory(memory), CanonicalOption::PostReturn(done)]);
    }

    /// Lifts and exports the functions of `instance` that save, restore and compare globals.
    fn add_global_functions(&mut self, instance: u32) {
        let nothing = self.define_function(&[], None);
        let count = self.define_function(&[], Some(PrimitiveValType::U32.into()));
        for (name, ty) in [(SAVE, nothing), (RESTORE, nothing), (CHECK, count)] {
            let function = self.alias_function(instance, name);
            self.lift(name, function, ty, &[]);
        }
    }

    /// An instance whose functions call those of all `instances`.
    fn add_gatherer(&mut self, instances: &[u32]) -> u32 {
        let mut arguments = Vec::new();
        for (exported, _) in GATHERED {
            for instance in instances {
                let function = self.alias_function(*instance, exported);
                arguments.push((gatherer::import_name(exported, *instance), function));
            }
        }
        self.instantiate(&gatherer::module(instances), gatherer::FROM, &arguments)
    }

    /// Lifts and exports a function that puts the numbers of handles in order, by means of a type of resources that nothing
    /// else has.
    fn add_settler(&mut self) {
        let resource = self.define_resource();
        self.component.section(CanonicalFunctionSection::new().resource_new(resource).resource_drop(resource));
        let arguments =
            [settler::NEW, settler::DROP].map(|name| (name.to_owned(), next(&mut self.counts.core_functions)));
        let instance = self.instantiate(&settler::module(), settler::FROM, &arguments);
        let settle = self.alias_function(instance, SETTLE);
        let ty = self.define_function(&[("handles", PrimitiveValType::U32.into())], None);
        self.lift(SETTLE, settle, ty, &[]);
    }

    /// An instance of a new module, which imports `functions` by their names from an instance named `from`.
    fn instantiate(&mut self, module: &[u8], from: &str, functions: &[(String, u32)]) -> u32 {
        self.component.section(&RawSection { id: ComponentSectionId::CoreModule.into(), data: module });
        let module = next(&mut self.counts.modules);
        let group = next(&mut self.counts.core_instances);
        let functions = functions.iter().map(|(name, index)| (name.as_str(), ExportKind::Func, *index));
        let mut section = InstanceSection::new();
        section.export_items(functions.collect::<Vec<_>>());
        section.instantiate(module, [(from, ModuleArg::Instance(group))]);
        self.component.section(&section);
        next(&mut self.counts.core_instances)
    }

    fn alias_function(&mut self, instance: u32, name: &str) -> u32 {
        self.alias(Alias::CoreInstanceExport { instance, kind: ExportKind::Func, name });
        next(&mut self.counts.core_functions)
    }

    fn alias_memory(&mut self, instance: u32) -> u32 {
        self.alias(Alias::CoreInstanceExport { instance, kind: ExportKind::Memory, name: HEAP });
        next(&mut self.counts.core_memories)
    }

    fn alias(&mut self, alias: Alias<'_>) {
        self.component.section(ComponentAliasSection::new().alias(alias));
    }

    /// The type `list<u8>`.
    fn define_bytes(&mut self) -> u32 {
        let mut section = ComponentTypeSection::new();
        section.defined_type().list(PrimitiveValType::U8);
        self.component.section(&section);
        next(&mut self.counts.types)
    }

    /// A new type of resources, on whose end nothing happens.
    fn define_resource(&mut self) -> u32 {
        self.component.section(ComponentTypeSection::new().resource(ValType::I32, None));
        next(&mut self.counts.types)
    }

    /// The type of a function.
    fn define_function(&mut self, params: &[(&str, ComponentValType)], result: Option<ComponentValType>) -> u32 {
        let mut section = ComponentTypeSection::new();
        section.function().params(params.iter().copied()).result(result);
        self.component.section(&section);
        next(&mut self.counts.types)
    }

    /// Lifts a core function and exports it.
    fn lift(&mut self, name: &str, function: u32, ty: u32, options: &[CanonicalOption]) {
        self.component.section(CanonicalFunctionSection::new().lift(function, ty, options.iter().copied()));
        let lifted = next(&mut self.counts.functions);
        self.component.section(ComponentExportSection::new().export(name, ComponentExportKind::Func, lifted, None));
        // An export is one more name for what it exports.
        next(&mut self.counts.functions);
    }
}

/// The index of what was just added.
fn next(count: &mut u32) -> u32 {
    let index = *count;
    *count += 1;
    index
}
