//! From an upload to machine code: what the component is, whether this host can run it, and its artifact.
//!
//! Uploads are hostile and compiling is the most that a host does with one, so the server calls [`compile`] in a process
//! of its own, which it can kill.

use std::borrow::Cow;

use gust_core::{Code, InstanceMode, Problem, Tier, api::World};
use wasmtime::component::{Component, types::ComponentItem};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::{
    interfaces,
    interfaces::function::TypedPre,
    rewrite::{self, Rewrite},
    settings,
    verdict::Verdict,
};

/// What begins every WebAssembly binary.
const WASM_MAGIC: &[u8] = b"\0asm";

/// The version and layer fields of a component, after the magic (WebAssembly/component-model, `design/mvp/Binary.md`).
const COMPONENT_LAYER: &[u8] = &[0x0d, 0, 1, 0];

/// The same of a core module.
const CORE_MODULE_LAYER: &[u8] = &[1, 0, 0, 0];

/// The most imports or exports that an error lists.
const LISTED_MAX: usize = 20;

/// Inspects and compiles `bytes` to machine code, for an [`ArtifactCache`](crate::ArtifactCache) and nothing else. For
/// [`InstanceMode::Rewind`] the component is rewritten, where that can be done, so that its instances can be put back; that
/// is the same in every tier. Takes as long and as much memory as the component makes it.
pub fn compile(bytes: &[u8], mode: InstanceMode, tier: Tier) -> Result<Vec<u8>, Problem> {
    must_be_component(bytes)?;
    let (rewritten, verdict) = match mode {
        InstanceMode::Fresh => (Cow::Borrowed(bytes), Verdict::Not("it is compiled for new instances".to_owned())),
        InstanceMode::Rewind => match rewrite::rewrite(bytes)? {
            Rewrite::Rewindable { component, restores_itself } => {
                (Cow::Owned(component), Verdict::Rewindable { restores_itself })
            }
            Rewrite::Not(reason) => (Cow::Borrowed(bytes), Verdict::Not(reason)),
        },
    };
    let internal = |error: wasmtime::Error| {
        Problem::new(Code::Internal, "the compiler could not be set up").with_internal(format!("{error:#}"))
    };
    let engine = wasmtime::Engine::new(&settings::compiling_in(tier)).map_err(internal)?;
    let component = Component::from_binary(&engine, &rewritten)
        .map_err(|error| Problem::new(Code::ComponentMalformed, format!("{error:#}")))?;
    must_be_servable(&engine, &component)?;
    let mut artifact = component.serialize().map_err(internal)?;
    verdict.append(&mut artifact);
    Ok(artifact)
}

/// Tells apart what people upload by mistake.
fn must_be_component(bytes: &[u8]) -> Result<(), Problem> {
    let problem = |code, detail: &str| Err(Problem::new(code, detail));
    let Some(rest) = bytes.strip_prefix(WASM_MAGIC) else {
        return match bytes {
            [] => problem(Code::UploadIncomplete, "the component is empty"),
            [0x7f, b'E', b'L', b'F', ..] => problem(
                Code::ComponentPrecompiled,
                "this is machine code (an ELF file); upload the component that it was made from, and this host compiles it",
            ),
            [b'(', ..] => problem(Code::ComponentNotWasm, "this is the text format; upload the binary format"),
            _ => {
                problem(Code::ComponentNotWasm, "it does not begin with the bytes 00 61 73 6d; build with `gust build`")
            }
        };
    };
    match rest.get(..4) {
        Some(COMPONENT_LAYER) => Ok(()),
        Some(CORE_MODULE_LAYER) => problem(
            Code::ComponentCoreModule,
            "it carries no component types; build for the target wasm32-wasip2, or with `gust build`",
        ),
        Some(_) => problem(Code::ComponentMalformed, "it is of a version of WebAssembly that is not known"),
        None => problem(Code::ComponentMalformed, "it ends within its first 8 bytes"),
    }
}

/// Every import must be offered, and one export must be a handler.
fn must_be_servable(engine: &wasmtime::Engine, component: &Component) -> Result<(), Problem> {
    let ty = component.component_type();
    let unmet: Vec<String> = ty
        .imports(engine)
        .filter(|(name, import)| {
            let is_type = matches!(import.ty, ComponentItem::Type(_) | ComponentItem::Resource(_));
            !is_type && !interfaces::is_offered(name)
        })
        .map(|(name, _)| name.to_owned())
        .collect();
    if !unmet.is_empty() {
        let detail = format!("it imports {}, which this host does not offer", list(&unmet));
        return Err(Problem::new(Code::ComponentUnknownImport, detail));
    }
    let linker = interfaces::linker(engine).map_err(|error| unlinkable(&error))?;
    let pre = linker.instantiate_pre(component).map_err(|error| unlinkable(&error))?;
    let (Err(typed), Err(http)) = (TypedPre::new(pre.clone()), ProxyPre::new(pre)) else { return Ok(()) };
    let exports = ty.exports(engine).map(|(name, _)| name.to_owned());
    let exports: Vec<String> = exports.filter(|name| !name.starts_with(rewrite::PREFIX)).collect();
    Err(no_handler(&exports, &typed, &http))
}

fn unlinkable(error: &wasmtime::Error) -> Problem {
    Problem::new(Code::ComponentUnknownImport, format!("an import does not fit what this host offers: {error:#}"))
}

fn no_handler(exports: &[String], typed: &wasmtime::Error, http: &wasmtime::Error) -> Problem {
    let why = if exports.iter().any(|name| name.starts_with(World::Typed.as_str())) {
        format!("its {} does not fit: {typed:#}", World::Typed.as_str())
    } else if exports.iter().any(|name| name.starts_with(World::WasiHttp.as_str())) {
        format!("its {} does not fit: {http:#}", World::WasiHttp.as_str())
    } else {
        format!("it exports {}", list(exports))
    };
    let detail = format!("{why}; a function exports {} or {} 0.2", World::Typed.as_str(), World::WasiHttp.as_str());
    Problem::new(Code::ComponentNoHandler, detail)
}

/// Names for an error, never without end.
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let shown: Vec<String> = names.iter().take(LISTED_MAX).map(|name| name.chars().take(120).collect()).collect();
    let more = names.len().saturating_sub(LISTED_MAX);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(bytes: &[u8]) -> Code {
        compile(bytes, InstanceMode::Rewind, Tier::Quick).expect_err("must be refused").code
    }

    #[test]
    fn what_people_upload_by_mistake_is_told_apart() {
        assert_eq!(code_of(b""), Code::UploadIncomplete);
        assert_eq!(code_of(b"\x7fELF\x02\x01\x01"), Code::ComponentPrecompiled);
        assert_eq!(code_of(b"(component)"), Code::ComponentNotWasm);
        assert_eq!(code_of(b"#!/bin/sh"), Code::ComponentNotWasm);
        assert_eq!(code_of(b"\0asm"), Code::ComponentMalformed);
        assert_eq!(code_of(b"\0asm\x09\0\0\0"), Code::ComponentMalformed);
        assert_eq!(code_of(&wat::parse_str("(module)").unwrap()), Code::ComponentCoreModule);
        assert_eq!(code_of(&wat::parse_str("(component)").unwrap()), Code::ComponentNoHandler);
    }

    #[test]
    fn an_artifact_of_this_very_engine_is_refused() {
        let engine = wasmtime::Engine::new(&settings::compiling()).unwrap();
        let artifact = engine.precompile_component(&wat::parse_str("(component)").unwrap()).unwrap();
        assert_eq!(code_of(&artifact), Code::ComponentPrecompiled);
    }

    #[test]
    fn every_import_that_is_not_offered_is_named() {
        let component = r#"(component
            (import "wasi:keyvalue/watcher@0.2.0-draft" (instance))
            (import "acme:tools/saw" (instance))
            (import "wasi:io/error@0.2.0" (instance)))"#;
        let problem = compile(&wat::parse_str(component).unwrap(), InstanceMode::Fresh, Tier::Quick).err().unwrap();
        assert_eq!(problem.code, Code::ComponentUnknownImport);
        assert!(problem.detail.contains("wasi:keyvalue/watcher@0.2.0-draft, acme:tools/saw"), "{problem}");
        assert!(!problem.detail.contains("wasi:io"), "{problem}");
    }
}
