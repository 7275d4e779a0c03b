//! From an upload to machine code: what the component is, whether this host can run it, and its artifact.
//!
//! Uploads are hostile and compiling is the most that a host does with one, so the server calls [`compile`] in a process
//! of its own, which it can kill.

use std::borrow::Cow;

use gust_core::{Code, InstanceMode, Problem, Tier, api::World};
use wasmparser::{BinaryReaderError, Parser, Payload};
use wasmtime::component::{Component, types::ComponentItem};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi_http::{p2::bindings::ProxyPre, p3::bindings::ServicePre};

use crate::{
    componentize::componentize,
    interfaces,
    interfaces::function::TypedPre,
    report::nearest,
    rewrite::{self, Rewrite},
    settings::{self, Concurrency},
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
    let component = component(bytes)?;
    let concurrency = interfaces::needed(top_level_names(&component)?.iter().map(String::as_str));
    let (rewritten, verdict) = match mode {
        _ if concurrency == Concurrency::On => (component, Verdict::Concurrent),
        InstanceMode::Fresh => (component, Verdict::Not("it is compiled for new instances".to_owned())),
        InstanceMode::Rewind => match rewrite::rewrite(&component)? {
            Rewrite::Rewindable { component, restores_itself } => {
                (Cow::Owned(component), Verdict::Rewindable { restores_itself })
            }
            Rewrite::Not(reason) => (component, Verdict::Not(reason)),
        },
    };
    let internal = |error: wasmtime::Error| {
        Problem::new(Code::Internal, "the compiler could not be set up").with_internal(format!("{error:#}"))
    };
    let engine = wasmtime::Engine::new(&settings::compiling_in(tier, concurrency)).map_err(internal)?;
    let component = Component::from_binary(&engine, &rewritten)
        .map_err(|error| Problem::new(Code::ComponentMalformed, format!("{error:#}")))?;
    must_be_servable(&engine, &component, concurrency)?;
    let mut artifact = component.serialize().map_err(internal)?;
    verdict.append(&mut artifact);
    Ok(artifact)
}

/// The component that these bytes are, or that is made of them. Tells apart what people upload by mistake.
pub(crate) fn component(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Problem> {
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
        Some(COMPONENT_LAYER) => Ok(Cow::Borrowed(bytes)),
        Some(CORE_MODULE_LAYER) => componentize(bytes),
        Some(_) => problem(Code::ComponentMalformed, "it is of a version of WebAssembly that is not known"),
        None => problem(Code::ComponentMalformed, "it ends within its first 8 bytes"),
    }
}

/// Every import must be offered, and one export must be a handler.
fn must_be_servable(engine: &wasmtime::Engine, component: &Component, concurrency: Concurrency) -> Result<(), Problem> {
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
        return Err(Problem::new(Code::ComponentUnknownImport, not_offered(&unmet)));
    }
    let linker = interfaces::linker(engine, concurrency).map_err(|error| unlinkable(&error))?;
    let pre = linker.instantiate_pre(component).map_err(|error| unlinkable(&error))?;
    let typed = TypedPre::new(pre.clone()).map(|_| ());
    let service = ServicePre::new(pre.clone()).map(|_| ());
    let proxy = ProxyPre::new(pre.clone()).map(|_| ());
    let command = CommandPre::new(pre).map(|_| ());
    let (Err(typed), Err(service), Err(proxy), Err(command)) = (typed, service, proxy, command) else { return Ok(()) };
    let exports = ty.exports(engine).map(|(name, _)| name.to_owned());
    let exports: Vec<String> = exports.filter(|name| !name.starts_with(rewrite::PREFIX)).collect();
    let misfits =
        [(World::Typed, typed), (World::Service, service), (World::WasiHttp, proxy), (World::Command, command)];
    Err(no_handler(&exports, &misfits))
}

/// The names of what it imports and exports itself.
fn top_level_names(bytes: &[u8]) -> Result<Vec<String>, Problem> {
    let malformed = |error: BinaryReaderError| Problem::new(Code::ComponentMalformed, error.to_string());
    let (mut names, mut depth) = (Vec::new(), 0_u32);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(malformed)? {
            Payload::ComponentSection { .. } | Payload::ModuleSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    names.push(import.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    names.push(export.map_err(malformed)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

fn unlinkable(error: &wasmtime::Error) -> Problem {
    Problem::new(Code::ComponentUnknownImport, format!("an import does not fit what this host offers: {error:#}"))
}

fn no_handler(exports: &[String], misfits: &[(World, wasmtime::Error)]) -> Problem {
    let is_exported = |world: &World| exports.iter().any(|name| name.split('@').next() == Some(world.as_str()));
    let why = match misfits.iter().find(|(world, _)| is_exported(world)) {
        Some((world, why)) => format!("its {} does not fit: {why:#}", world.as_str()),
        None => format!("it exports {}", list(exports)),
    };
    let [typed, service, proxy, command] =
        [World::Typed, World::Service, World::WasiHttp, World::Command].map(World::as_str);
    let detail =
        format!("{why}; a function exports {typed}, {service} 0.3 or {proxy} 0.2, or with `cgi = true` {command} 0.2");
    Problem::new(Code::ComponentNoHandler, detail)
}

/// What of these is nearly offered is said too.
fn not_offered(unmet: &[String]) -> String {
    let near: Vec<String> = unmet
        .iter()
        .take(LISTED_MAX)
        .filter_map(|name| Some((name, nearest(name)?)))
        .map(|(name, nearest)| match unmet {
            [_] => format!("; the nearest is {nearest}"),
            _ => format!("; the nearest to {name} is {nearest}"),
        })
        .collect();
    format!("it imports {}, which this host does not offer{}", list(unmet), near.concat())
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
        let engine = wasmtime::Engine::new(&settings::compiling(Concurrency::Off)).unwrap();
        let artifact = engine.precompile_component(&wat::parse_str("(component)").unwrap()).unwrap();
        assert_eq!(code_of(&artifact), Code::ComponentPrecompiled);
    }

    #[test]
    fn every_import_that_is_not_offered_is_named() {
        let component = r#"(component
            (import "acme:hammers/hammer@0.2.0" (instance))
            (import "acme:tools/saw" (instance))
            (import "wasi:io/error@0.2.0" (instance)))"#;
        let problem = compile(&wat::parse_str(component).unwrap(), InstanceMode::Fresh, Tier::Quick).err().unwrap();
        assert_eq!(problem.code, Code::ComponentUnknownImport);
        assert!(problem.detail.contains("acme:hammers/hammer@0.2.0, acme:tools/saw"), "{problem}");
        assert!(!problem.detail.contains("wasi:io"), "{problem}");
        assert!(!problem.detail.contains("nearest"), "{problem}");
    }

    #[test]
    fn what_is_nearly_offered_is_told() {
        let refused = |imports: &str| {
            let component = wat::parse_str(format!("(component {imports})")).unwrap();
            compile(&component, InstanceMode::Fresh, Tier::Quick).err().unwrap().detail
        };
        let one = refused(r#"(import "wasi:config/store@0.2.0-draft" (instance))"#);
        assert!(one.ends_with("does not offer; the nearest is wasi:config/store@0.2.0-rc.1"), "{one}");
        let two = refused(r#"(import "acme:tools/saw" (instance)) (import "wasi:io/stream@0.2.0" (instance))"#);
        assert!(two.ends_with("does not offer; the nearest to wasi:io/stream@0.2.0 is wasi:io/streams@0.2"), "{two}");
    }
}
