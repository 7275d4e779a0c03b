//! Modules that nobody wrote go the whole way: instantiated, made fit, called, put back, compared with what they began with and
//! with an instance that nothing was asked of.

use arbitrary::Unstructured;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, CodeSection, Component, ComponentAliasSection,
    ComponentExportKind, ComponentExportSection, ComponentSectionId, ComponentTypeSection, ComponentValType,
    EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, InstanceSection, Module,
    ModuleArg, RawSection, TypeSection,
    reencode::{Reencode as _, RoundtripReencoder},
};
use wasm_smith::{Config, InstructionKind, InstructionKinds};
use wasmparser::{ExternalKind, FuncType, Parser, Payload, Validator, WasmFeatures};
use wasmtime::component::WasmList;

use super::bench::{Bench, MEMORY_BYTES_MAX, Made, put_back};
use crate::rewrite::{self, MEMORY, Rewrite};

/// Modules that are tried. Of nearly half the instances can be put back.
const MODULES: u64 = 3000;

/// How often each is put back.
const TURNS: usize = 3;

/// Bytes that a module is made of.
const SEED_BYTES: usize = 20_000;

#[tokio::test]
async fn whatever_a_module_does_is_put_back() {
    let mut turns = 0;
    for seed in 0..MODULES {
        turns += module_is_put_back(seed).await;
    }
    eprintln!("{turns} calls were put back");
    assert!(turns > MODULES / 3, "hardly any module did anything: {turns}");
}

/// How many calls of it were put back.
async fn module_is_put_back(seed: u64) -> u64 {
    let Some(module) = module(seed) else { return 0 };
    let functions = functions(&module);
    let Rewrite::Rewindable { component, .. } = rewrite::rewrite(&component(&module, &functions)).unwrap() else {
        return 0;
    };
    let Some(bench) = Bench::of_rewritten(&component) else { return MODULES + 1 };
    // Start code may trap.
    let Ok(mut pristine) = bench.try_make().await else { return 0 };
    let began_as = memory(&mut pristine).await;
    let mut turns = 0;
    let (mut made, mut home) = (None, None);
    for turn in 0..TURNS * functions.len() {
        if made.is_none() {
            let mut new = bench.make().await;
            home = Some(bench.prepare(&mut new).await);
            made = Some(new);
        }
        let (Some(used), Some(way)) = (&mut made, &mut home) else { continue };
        let has_returned = used.try_call(&format!("call-{}", turn % functions.len())).await.is_ok();
        // It compares all of the memory with the image, and every global.
        if has_returned && put_back(way, used, false).await.is_ok() {
            assert!(memory(used).await == began_as, "the memory of module {seed} differs after turn {turn}");
            turns += 1;
        } else {
            let has_grown = used.store.data().memory.bytes_peak() != pristine.store.data().memory.bytes_peak();
            assert!(!has_returned || has_grown, "module {seed} was not put back after turn {turn}");
            (made, home) = (None, None);
        }
    }
    turns
}

/// All of its memory, copied.
async fn memory(made: &mut Made) -> Vec<u8> {
    let ask = made.instance.get_typed_func::<(), (WasmList<u8>,)>(&mut made.store, MEMORY).unwrap();
    made.store.set_hostcall_fuel(usize::MAX);
    let (whole,) = ask.call_async(&mut made.store, ()).await.unwrap();
    whole.as_le_slice(&made.store).to_vec()
}

/// The module of this seed, with code that ends; none where it makes none.
fn module(seed: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; SEED_BYTES];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    let mut module = wasm_smith::Module::new(config(seed), &mut Unstructured::new(&bytes)).ok()?;
    module.ensure_termination(1000).ok()?;
    Some(module.to_bytes())
}

/// Modules that the engine runs, and which change what they have. Half of them never trap.
fn config(seed: u64) -> Config {
    use InstructionKind::{Aggregate, Control, Memory, Numeric, Parametric, Reference, Variable, Vector};
    let instructions = [Aggregate, Control, Memory, Numeric, Parametric, Reference, Variable, Vector];
    Config {
        max_imports: 0,
        min_memories: 1,
        max_memories: 1,
        min_funcs: 3,
        max_funcs: 12,
        min_globals: 3,
        max_memory32_bytes: MEMORY_BYTES_MAX / 2,
        max_table_elements: 1000,
        memory_offset_choices: wasm_smith::MemoryOffsetChoices(95, 5, 0),
        export_everything: true,
        disallow_traps: seed.is_multiple_of(2),
        allowed_instructions: InstructionKinds::new(&instructions),
        // A reference to the host's needs a garbage collector, which this wasmtime has not.
        reference_types_enabled: false,
        gc_enabled: false,
        exceptions_enabled: false,
        memory64_enabled: false,
        threads_enabled: false,
        ..Config::default()
    }
}

/// The functions that the module exports, by their names, with their types.
fn functions(module: &[u8]) -> Vec<(String, FuncType)> {
    let types = Validator::new_with_features(WasmFeatures::all()).validate_all(module).unwrap();
    let types = types.as_ref();
    let sections = Parser::new(0).parse_all(module).map(Result::unwrap);
    let exports = sections.filter_map(|section| match section {
        Payload::ExportSection(exports) => Some(exports),
        _ => None,
    });
    let exports = exports.flat_map(|exports| exports.into_iter().map(Result::unwrap));
    let functions = exports.filter(|export| export.kind == ExternalKind::Func);
    functions
        .map(|export| {
            let ty = types.get(types.core_function_at(export.index)).unwrap().unwrap_func().clone();
            (export.name.to_owned(), ty)
        })
        .collect()
}

/// A component around the module, which exports a `call-N` for each of its functions.
fn component(module: &[u8], functions: &[(String, FuncType)]) -> Vec<u8> {
    let mut component = Component::new();
    for module in [module, &caller(functions)] {
        component.section(&RawSection { id: ComponentSectionId::CoreModule.into(), data: module });
    }
    let mut instances = InstanceSection::new();
    instances.instantiate(0, Vec::<(&str, _)>::new()).instantiate(1, [("module", ModuleArg::Instance(0))]);
    let mut types = ComponentTypeSection::new();
    types.function().params(Vec::<(&str, ComponentValType)>::new()).result(None);
    component.section(&instances).section(&types);
    for (number, at) in (0..functions.len()).zip(0..) {
        let name = format!("call-{number}");
        let alias = Alias::CoreInstanceExport { instance: 1, kind: ExportKind::Func, name: &name };
        component.section(ComponentAliasSection::new().alias(alias));
        component.section(CanonicalFunctionSection::new().lift(at, 0, Vec::<CanonicalOption>::new()));
        // Each export is one more function.
        component.section(ComponentExportSection::new().export(&name, ComponentExportKind::Func, 2 * at, None));
    }
    component.finish()
}

/// A module that imports the functions and exports for each one that calls it with zeroes.
fn caller(functions: &[(String, FuncType)]) -> Vec<u8> {
    let (mut types, mut imports, mut own) = (TypeSection::new(), ImportSection::new(), FunctionSection::new());
    let (mut exports, mut code) = (ExportSection::new(), CodeSection::new());
    types.ty().function([], []);
    let count = u32::try_from(functions.len()).unwrap();
    for ((name, ty), at) in functions.iter().zip(0..) {
        let ty = RoundtripReencoder.func_type(ty.clone()).unwrap();
        types.ty().func_type(&ty);
        imports.import("module", name, EntityType::Function(at + 1));
        own.function(0);
        exports.export(&format!("call-{at}"), ExportKind::Func, count + at);
        let mut body = Function::new([]);
        for param in ty.params() {
            body.instruction(&zero(*param));
        }
        body.instructions().call(at);
        ty.results().iter().for_each(|_| {
            body.instructions().drop();
        });
        body.instructions().end();
        code.function(&body);
    }
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&own).section(&exports).section(&code);
    module.finish()
}

fn zero(ty: wasm_encoder::ValType) -> wasm_encoder::Instruction<'static> {
    use wasm_encoder::{Instruction, ValType};
    match ty {
        ValType::I32 => Instruction::I32Const(0),
        ValType::I64 => Instruction::I64Const(0),
        ValType::F32 => Instruction::F32Const(0.0.into()),
        ValType::F64 => Instruction::F64Const(0.0.into()),
        ValType::V128 => Instruction::V128Const(0),
        ValType::Ref(reference) => Instruction::RefNull(reference.heap_type),
    }
}
