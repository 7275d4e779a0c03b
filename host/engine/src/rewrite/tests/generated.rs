//! Components that nobody wrote: damaged ones, and ones around modules made at random.

use std::{fs, path::Path, sync::LazyLock};

use arbitrary::Unstructured;
use proptest::{collection::vec, prelude::*, sample::Index};
use wasm_encoder::{
    CanonicalFunctionSection, CanonicalOption, Component, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentSectionId, ComponentTypeSection, ExportKind, ExportSection, InstanceSection,
    Module, RawSection, SectionId,
};
use wasm_smith::{Config, InstructionKinds};
use wasmtime::{Engine, Instance, Store, Val};

use super::{COUNTER, EVERY_TYPE, Rewrite, rewrite};
use crate::{
    rewrite::{CHECK, PREFIX, RESET, SAVE, module::CoreModule, module_appendix, section},
    settings::{self, Concurrency},
};

/// What the names begin with by which all mutable globals are exported.
const BARE: &str = "bare global ";

/// Real components, to be damaged.
static COMPONENTS: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let hello = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/functions/hello.wasm");
    let hello = fs::read(hello).expect("build it with: cargo xtask functions");
    [hello, wat::parse_str(COUNTER).unwrap(), wat::parse_str(EVERY_TYPE).unwrap()]
});

/// An engine that loads what is made here.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(&settings::compiling(Concurrency::Off)).unwrap());

proptest! {
    #[test]
    fn no_damage_makes_it_panic(which in 0_usize..3, cut in any::<Option<Index>>(), bytes in vec((any::<Index>(), any::<u8>()), 0..4)) {
        let mut component = COMPONENTS[which].clone();
        for (at, byte) in bytes {
            let at = at.index(component.len());
            component[at] = byte;
        }
        if let Some(cut) = cut {
            component.truncate(cut.index(component.len()));
        }
        let _ = rewrite(&component);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = rewrite(&bytes);
        let _ = rewrite(&[&Component::HEADER, &*bytes].concat());
    }

    #[test]
    fn any_module_with_a_memory_stays_valid(seed in vec(any::<u8>(), 0..2000)) {
        for config in [anything(), runnable()] {
            let Some(module) = module(&seed, config) else { continue };
            match rewrite(&component(&module)).unwrap() {
                Rewrite::Rewindable { .. } => {}
                Rewrite::Not(reason) => prop_assert!(!reason.contains("stays valid"), "{reason}"),
            }
        }
    }

    #[test]
    fn any_modules_globals_are_put_back(seed in vec(any::<u8>(), 0..2000)) {
        let Some(module) = module(&seed, runnable()) else { return Ok(()) };
        let module = with_bare_globals(&module);
        let rewritten = module_appendix::appended(&CoreModule::read(&module).unwrap(), None).unwrap();
        globals_are_put_back(&rewritten);
    }
}

/// Modules of every feature.
fn anything() -> Config {
    Config {
        max_imports: 0,
        min_memories: 1,
        export_everything: true,
        generate_custom_sections: true,
        ..Config::default()
    }
}

/// Modules that the engine runs, with many globals.
fn runnable() -> Config {
    Config {
        min_globals: 3,
        min_funcs: 2,
        max_memory32_bytes: 1 << 20,
        max_table_elements: 1000,
        allowed_instructions: InstructionKinds::all(),
        // A reference to the host's needs a garbage collector, which this wasmtime has not.
        reference_types_enabled: false,
        gc_enabled: false,
        exceptions_enabled: false,
        memory64_enabled: false,
        threads_enabled: false,
        ..anything()
    }
}

/// The module that these bytes make, with code that ends; none where they make none.
fn module(seed: &[u8], config: Config) -> Option<Vec<u8>> {
    let mut module = wasm_smith::Module::new(config, &mut Unstructured::new(seed)).ok()?;
    module.ensure_termination(1000).ok()?;
    Some(module.to_bytes())
}

/// A component around a module, with one function of its own.
fn component(module: &[u8]) -> Vec<u8> {
    let own = wat::parse_str(r#"(module (func (export "run")))"#).unwrap();
    let mut component = Component::new();
    for module in [module, &own] {
        component.section(&RawSection { id: ComponentSectionId::CoreModule.into(), data: module });
    }
    let mut instances = InstanceSection::new();
    instances.instantiate(0, Vec::<(&str, _)>::new()).instantiate(1, Vec::<(&str, _)>::new());
    let mut types = ComponentTypeSection::new();
    types.function().params(Vec::<(&str, wasm_encoder::ComponentValType)>::new()).result(None);
    let mut aliases = ComponentAliasSection::new();
    aliases.alias(wasm_encoder::Alias::CoreInstanceExport { instance: 1, kind: ExportKind::Func, name: "run" });
    let mut functions = CanonicalFunctionSection::new();
    functions.lift(0, 0, Vec::<CanonicalOption>::new());
    let mut exports = ComponentExportSection::new();
    exports.export("run", ComponentExportKind::Func, 0, None);
    component.section(&instances).section(&types).section(&aliases).section(&functions).section(&exports);
    component.finish()
}

/// The module with all of its mutable globals exported, and each once: also those that keep it from running for ever.
fn with_bare_globals(module: &[u8]) -> Vec<u8> {
    let module = CoreModule::read(module).unwrap();
    let mut exports = ExportSection::new();
    for global in &module.mutable_globals {
        exports.export(&format!("{BARE}{}", global.index), ExportKind::Global, global.index);
    }
    let mut whole = Module::new();
    for section in &module.sections {
        let exported = section.id == u8::from(SectionId::Export);
        let data =
            if exported { section::appended(&section.contents, &exports).unwrap() } else { section.contents.to_vec() };
        whole.section(&RawSection { id: section.id, data: &data });
    }
    whole.finish()
}

/// Saves, calls everything that the module exports, restores, and compares all mutable globals.
fn globals_are_put_back(module: &[u8]) {
    let module = wasmtime::Module::new(&ENGINE, module).unwrap();
    let mut store = Store::new(&ENGINE, ());
    store.set_epoch_deadline(1);
    // Start code may trap.
    let Ok(instance) = Instance::new(&mut store, &module, &[]) else { return };
    let Some(save) = instance.get_func(&mut store, SAVE) else { return };
    save.call(&mut store, &[], &mut []).unwrap();
    let before = globals(&mut store, &instance);
    let own = instance.exports(&mut store).filter(|export| !export.name().starts_with(PREFIX));
    let functions: Vec<_> = own.filter_map(|export| export.into_func()).collect();
    for function in functions {
        let ty = function.ty(&store);
        let params: Option<Vec<Val>> = ty.params().map(|ty| Val::default_for_ty(&ty)).collect();
        let Some(params) = params else { continue };
        let mut results = vec![Val::I32(0); ty.results().len()];
        let _ = function.call(&mut store, &params, &mut results);
    }
    let after = globals(&mut store, &instance);
    let differing = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert_eq!(changed(&mut store, &instance), differing, "{before:?}, then {after:?}");
    instance.get_func(&mut store, RESET).unwrap().call(&mut store, &[Val::I32(0)], &mut []).unwrap();
    assert_eq!(globals(&mut store, &instance), before);
    assert_eq!(changed(&mut store, &instance), 0);
}

/// How many globals the module itself says have changed.
fn changed(store: &mut Store<()>, instance: &Instance) -> usize {
    let check = instance.get_typed_func::<(), u32>(&mut *store, CHECK).unwrap();
    usize::try_from(check.call(store, ()).unwrap()).unwrap()
}

/// The values of all mutable globals, in words.
fn globals(store: &mut Store<()>, instance: &Instance) -> Vec<String> {
    let bare = instance.exports(&mut *store).filter(|export| export.name().starts_with(BARE));
    let globals: Vec<_> = bare.filter_map(|export| export.into_global()).collect();
    globals
        .into_iter()
        .map(|global| match global.get(&mut *store) {
            Val::FuncRef(function) => format!("{}", function.is_some()),
            value => format!("{value:?}"),
        })
        .collect()
}
