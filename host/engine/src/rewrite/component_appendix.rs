//! What the rewrite appends to a component: the functions that its modules got, lifted and exported; where one call has to
//! reach more than one instance, through a module that gathers them.

use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, Component, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentSectionId, ComponentTypeSection, ComponentValType, ExportKind, InstanceSection,
    ModuleArg, PrimitiveValType, RawSection, ValType,
};
use wasmparser::Error;

use super::{
    CHECK, MEMORY, RESET, SAVE,
    gatherer::{self, Gatherer},
    handler::PostReturn,
    layout::{Counts, Layout},
    module_appendix::{self, HEAP, MEMORY_DONE},
};

/// The component with everything that it needs to be put back. `home` is the core instance with its memory, `post_return`
/// the function whose end shall put the globals back.
pub(crate) fn appended(layout: &Layout<'_>, home: u32, post_return: Option<PostReturn>) -> Result<Vec<u8>, Error> {
    let mut appendix = Appendix { component: Component::new(), counts: layout.counts };
    appendix.copy(layout, post_return)?;
    appendix.add_memory_question(home);
    appendix.add_global_functions(layout);
    Ok(appendix.component.finish())
}

/// A component that is being written, and what it has so far. Each method that adds something returns its index.
struct Appendix {
    component: Component,
    counts: Counts,
}

impl Appendix {
    /// Everything that was there, with the modules that have state rewritten.
    fn copy(&mut self, layout: &Layout<'_>, post_return: Option<PostReturn>) -> Result<(), Error> {
        let mut modules = (0..).zip(&layout.modules);
        for section in &layout.sections {
            let module = if section.id == u8::from(ComponentSectionId::CoreModule) { modules.next() } else { None };
            match module {
                Some((index, module)) if module.has_state() && layout.instances.contains(&Some(index)) => {
                    let post_return = post_return.filter(|post_return| post_return.module == index);
                    let post_return = post_return.map(|post_return| post_return.function);
                    let rewritten = module_appendix::appended(module, post_return)?;
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

    /// Lifts and exports what saves, resets and compares: of one instance, or of one that gathers several.
    fn add_global_functions(&mut self, layout: &Layout<'_>) {
        let gatherer = Gatherer::of(layout);
        let gathering = gatherer.as_ref().map(|gatherer| self.add_gatherer(gatherer));
        let only = layout.with_globals().first().copied();
        let handles = [("handles", PrimitiveValType::U32.into())];
        let count = Some(PrimitiveValType::U32.into());
        for (name, params, result) in [(SAVE, &[][..], None), (RESET, &handles, None), (CHECK, &[], count)] {
            let is_gathered = gatherer.as_ref().is_some_and(|gatherer| gatherer.exports(name));
            if let Some(instance) = if is_gathered { gathering } else { only } {
                let function = self.alias_function(instance, name);
                let ty = self.define_function(params, result);
                self.lift(name, function, ty, &[]);
            }
        }
    }

    /// An instance of the gatherer's module.
    fn add_gatherer(&mut self, gatherer: &Gatherer) -> u32 {
        let mut arguments = Vec::new();
        if gatherer.settles {
            arguments
                .extend(gatherer::HANDLE_FUNCTIONS.map(str::to_owned).into_iter().zip(self.add_handle_functions()));
        }
        for (instance, exported, imported) in gatherer.imports() {
            arguments.push((imported, self.alias_function(instance, exported)));
        }
        self.instantiate(&gatherer.module(), gatherer::FROM, &arguments)
    }

    /// What makes and drops handles to a type of resources that nothing else has.
    fn add_handle_functions(&mut self) -> [u32; 2] {
        let resource = self.define_resource();
        self.component.section(CanonicalFunctionSection::new().resource_new(resource).resource_drop(resource));
        [next(&mut self.counts.core_functions), next(&mut self.counts.core_functions)]
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
