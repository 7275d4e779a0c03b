//! A module out of bytes, and the component around it whose handler calls the module's functions.

use std::fmt::Write as _;

use arbitrary::Unstructured;
use wasm_encoder::{ComponentSection as _, RawSection};
use wasm_smith::{Config, InstructionKind, InstructionKinds};
use wasmparser::{ExternalKind, FuncType, Parser, Payload, ValType, Validator, WasmFeatures};

use crate::typed;

/// The most memory of a module, in bytes.
const MEMORY_BYTES_MAX: u64 = 2 << 20;

/// What every component begins with.
const HEADER_BYTES: usize = 8;

/// The section of a core module without anything, which the module takes the place of.
const PLACEHOLDER: &[u8] = b"\x01\x08\0asm\x01\0\0\0";

/// The module that these bytes make, with code that ends; none where they make none. The first byte says whether
/// it may trap, and whether it may drop segments, which cannot be put back.
pub(super) fn of(data: &[u8]) -> Option<Vec<u8>> {
    let (first, rest) = data.split_first()?;
    let mut module =
        wasm_smith::Module::new(config(first & 1 == 0, first & 2 == 0), &mut Unstructured::new(rest)).ok()?;
    module.ensure_termination(1000).ok()?;
    Some(module.to_bytes())
}

/// Modules that the engine runs, and which change what they have. Of everything but code there is little, so that bytes are left
/// for that.
fn config(disallow_traps: bool, bulk_memory_enabled: bool) -> Config {
    use InstructionKind::{Aggregate, Control, Memory, Numeric, Parametric, Reference, Variable, Vector};
    let instructions = [Aggregate, Control, Memory, Numeric, Parametric, Reference, Variable, Vector];
    Config {
        max_imports: 0,
        min_memories: 1,
        max_memories: 1,
        min_types: 2,
        max_types: 8,
        min_funcs: 2,
        max_funcs: 8,
        min_globals: 2,
        max_globals: 8,
        max_tables: 2,
        max_element_segments: 2,
        max_data_segments: 2,
        max_memory32_bytes: MEMORY_BYTES_MAX,
        max_table_elements: 1000,
        memory_offset_choices: wasm_smith::MemoryOffsetChoices(95, 5, 0),
        export_everything: true,
        disallow_traps,
        bulk_memory_enabled,
        allowed_instructions: InstructionKinds::new(&instructions),
        // A reference to the host's needs a garbage collector, which the engine has not.
        reference_types_enabled: false,
        gc_enabled: false,
        exceptions_enabled: false,
        memory64_enabled: false,
        threads_enabled: false,
        ..Config::default()
    }
}

/// What a module exports, by names as the text format has them.
pub(super) struct Exports {
    memory: String,
    functions: Vec<(String, FuncType)>,
}

impl Exports {
    /// Of a module with one memory, all of which is exported.
    pub(super) fn of(module: &[u8]) -> Self {
        let types = Validator::new_with_features(WasmFeatures::all()).validate_all(module).unwrap();
        let (mut memory, mut functions) = (String::new(), Vec::new());
        for section in Parser::new(0).parse_all(module) {
            let Payload::ExportSection(exports) = section.unwrap() else { continue };
            for export in exports.into_iter().map(Result::unwrap) {
                match export.kind {
                    ExternalKind::Memory => memory = escaped(export.name),
                    ExternalKind::Func => {
                        let id = types.as_ref().core_function_at(export.index);
                        functions.push((escaped(export.name), types[id].unwrap_func().clone()));
                    }
                    _ => {}
                }
            }
        }
        Self { memory, functions }
    }

    /// How many functions there are.
    pub(super) fn functions(&self) -> usize {
        self.functions.len()
    }
}

/// A function around the module: a body of so many bytes calls the function with this number. It answers with all of its memory.
pub(super) fn component(module: &[u8], exports: &Exports) -> Vec<u8> {
    let written = typed::component(&core(exports));
    let (header, rest) = written.split_at(HEADER_BYTES);
    let mut component = header.to_vec();
    RawSection { id: PLACEHOLDER[0], data: module }.append_to_component(&mut component);
    component.extend_from_slice(rest.strip_prefix(PLACEHOLDER).expect("it begins with the module"));
    component
}

/// The module and what calls it, in the text format.
fn core(exports: &Exports) -> String {
    let (mut imports, mut calls) = (format!("(import \"module\" \"{}\" (memory 0))", exports.memory), String::new());
    for (number, (name, ty)) in exports.functions.iter().enumerate() {
        let params = ty.params().iter().map(|ty| format!("(param {ty})")).collect::<String>();
        let results = ty.results().iter().map(|ty| format!("(result {ty})")).collect::<String>();
        writeln!(imports, "(import \"module\" \"{name}\" (func $f{number} {params} {results}))").unwrap();
        let zeroes = ty.params().iter().map(zero).collect::<String>();
        let drops = "drop ".repeat(ty.results().len());
        writeln!(calls, "local.get $bytes i32.const {number} i32.eq if {zeroes} call $f{number} {drops} end").unwrap();
    }
    format!(
        r#"(core module)
        (core instance $module (instantiate 0))
        (core module $caller
            {imports}
            (export "memory" (memory 0))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
            (func (export "handle") PARAMS (result i32)
                (local $from i32) (local $length i32)
                {calls}
                (local.set $length (i32.mul (memory.size) (i32.const 65536)))
                ANSWER))
        (core instance $i (instantiate $caller (with "module" (instance $module))))"#
    )
}

fn zero(ty: &ValType) -> &'static str {
    match ty {
        ValType::I32 => "i32.const 0 ",
        ValType::I64 => "i64.const 0 ",
        ValType::F32 => "f32.const 0 ",
        ValType::F64 => "f64.const 0 ",
        ValType::V128 => "v128.const i64x2 0 0 ",
        ValType::Ref(_) => "ref.null func ",
    }
}

/// A name as the text format can have any.
fn escaped(name: &str) -> String {
    name.bytes().map(|byte| format!("\\{byte:02x}")).collect()
}
