//! Core modules for wasm32-wasip1 become components: what toolchains make that do not know components yet.
//!
//! A module says in custom sections which interfaces it was written against, as wit-bindgen puts them there, or it is a program with a
//! `_start`. What it imports of WASI preview 1 is given to it by an adapter, which speaks WASI 0.2
//! (<https://github.com/bytecodealliance/wasmtime/tree/main/crates/wasi-preview1-component-adapter>).

use std::borrow::Cow;

use gust_core::{Code, Problem};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as ADAPTER, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER as COMMAND,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as REACTOR,
};
use wasmparser::{BinaryReaderError, Parser, Payload};
use wit_component::ComponentEncoder;

/// What the names of custom sections begin with that say what a module was written against.
const TYPES: &str = "component-type";

/// What a program is begun with.
const START: &str = "_start";

/// What a module is, as far as that decides what is made of it.
#[derive(Default)]
struct Kind {
    has_types: bool,
    is_program: bool,
}

/// A component of a core module.
pub(crate) fn componentize(module: &[u8]) -> Result<Cow<'static, [u8]>, Problem> {
    let kind = kind(module).map_err(|error| Problem::new(Code::ComponentMalformed, error.to_string()))?;
    if !kind.has_types && !kind.is_program {
        let detail = "it carries no component types, and is no program either; build for the target wasm32-wasip2, or with \
             `gust build`";
        return Err(Problem::new(Code::ComponentCoreModule, detail));
    }
    let adapter = if kind.is_program { COMMAND } else { REACTOR };
    let encoder = ComponentEncoder::default().validate(true).module(module);
    let encoded =
        encoder.and_then(|encoder| encoder.adapter(ADAPTER, adapter)).and_then(|mut encoder| encoder.encode());
    let refused = |error| Problem::new(Code::ComponentCoreModule, format!("no component can be made of it: {error:#}"));
    encoded.map(Cow::Owned).map_err(refused)
}

fn kind(module: &[u8]) -> Result<Kind, BinaryReaderError> {
    let mut kind = Kind::default();
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::CustomSection(section) => kind.has_types |= section.name().starts_with(TYPES),
            Payload::ExportSection(exports) => {
                for export in exports {
                    kind.is_program |= export?.name == START;
                }
            }
            _ => {}
        }
    }
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use wit_component::{StringEncoding, embed_component_metadata};
    use wit_parser::Resolve;

    use super::*;
    use crate::compile;
    use gust_core::{InstanceMode, Tier};

    /// Answers every request alike, and asks preview 1 for a random number.
    const ANSWERS: &str = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (global $free (mut i32) (i32.const 4096))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (global.get $free)
            (global.set $free (i32.add (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8)))))
        (func (export "gust:function/handler@0.1.0#handle")
            (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
            (drop (call $random (i32.const 64) (i32.const 8)))
            (i32.store16 (i32.const 20) (i32.const 200))
            (i32.const 16)))"#;

    fn module(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    fn with_types(mut module: Vec<u8>) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("function.wit", include_str!("../../../wit/function.wit")).unwrap();
        let world = resolve.select_world(&[package], Some("function")).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        module
    }

    #[test]
    fn a_module_with_types_becomes_a_component_of_their_world() {
        let module = with_types(module(ANSWERS));
        assert!(Parser::is_component(&componentize(&module).unwrap()));
        compile(&module, InstanceMode::Rewind, Tier::Quick).unwrap();
    }

    #[test]
    fn a_program_becomes_a_command() {
        let program = module(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
        assert!(Parser::is_component(&componentize(&program).unwrap()));
        compile(&program, InstanceMode::Rewind, Tier::Quick).unwrap();
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in ["(module)", r#"(module (func (export "start")))"#] {
            assert_eq!(componentize(&module(text)).unwrap_err().code, Code::ComponentCoreModule, "{text}");
        }
        // Types, and nothing of what they speak of.
        let empty = componentize(&with_types(module("(module)"))).unwrap_err();
        assert_eq!(empty.code, Code::ComponentCoreModule);
        assert!(empty.detail.contains("handle"), "{empty}");
    }
}
