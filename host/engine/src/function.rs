//! A loaded component, ready to be instantiated, with the terms on which its requests run.

use std::sync::Arc;

use gust_core::{Code, Limits, Problem, api::World};
use wasmtime::component::Component;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::{
    Engine,
    host::{Host, Terms},
    interfaces::function::TypedPre,
    output::OutputSink,
};

/// What a function's owner decided about it.
pub struct FunctionConfig {
    /// The limits of each invocation.
    pub limits: Limits,
    /// The environment that the guest sees.
    pub env: Vec<(String, String)>,
    /// Where what it prints goes.
    pub sink: Arc<dyn OutputSink>,
}

/// A component that is loaded and linked. Cheap to clone.
#[derive(Clone)]
pub struct Function {
    pub(crate) engine: Engine,
    pub(crate) callee: Callee,
    pub(crate) terms: Arc<Terms>,
    imports: Arc<[String]>,
}

/// The export that requests go through, resolved once.
#[derive(Clone)]
pub(crate) enum Callee {
    Typed(TypedPre<Host>),
    WasiHttp(ProxyPre<Host>),
}

impl Function {
    /// Links `component`, as it came from an [`ArtifactCache`](crate::ArtifactCache).
    pub(crate) fn link(engine: &Engine, component: &Component, config: FunctionConfig) -> Result<Self, Problem> {
        let refused = |error: wasmtime::Error| {
            let detail = format!("the component cannot be linked: {error:#}");
            Problem::new(Code::ComponentUnknownImport, detail)
        };
        let pre = engine.linker().instantiate_pre(component).map_err(refused)?;
        let callee = match TypedPre::new(pre.clone()) {
            Ok(typed) => Callee::Typed(typed),
            Err(_) => Callee::WasiHttp(ProxyPre::new(pre).map_err(refused)?),
        };
        let terms = Terms {
            env: config.env,
            log_bytes_max: config.limits.log_bytes(),
            memory_bytes_max: config.limits.memory_bytes(),
            response_bytes_max: config.limits.response_body_bytes(),
            sink: config.sink,
        };
        let ty = component.component_type();
        let imports = ty.imports(engine.wasmtime()).map(|(name, _)| name.to_owned()).collect();
        Ok(Self { engine: engine.clone(), callee, terms: Arc::new(terms), imports })
    }

    /// The export that requests go through.
    pub fn world(&self) -> World {
        match self.callee {
            Callee::Typed(_) => World::Typed,
            Callee::WasiHttp(_) => World::WasiHttp,
        }
    }

    /// What the component imports, as `wasi:io/streams@0.2.6`.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }
}
