//! The export that requests go through: where it is in a component, and in an instance of it.

use gust_core::api::World;
use wasmtime::{
    Store,
    component::{Instance as Component, InstancePre},
};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyIndices};

use crate::{
    host::Host,
    interfaces::function::{Typed, TypedIndices},
};

/// A component with the export that its requests go through, resolved once.
#[derive(Clone)]
pub(crate) enum Callee {
    Typed { pre: InstancePre<Host>, indices: TypedIndices },
    WasiHttp { pre: InstancePre<Host>, indices: ProxyIndices },
}

/// An instance by that export.
pub(crate) enum Instance {
    Typed(Typed),
    WasiHttp(Proxy),
}

impl Callee {
    /// The typed export, else the other.
    pub(crate) fn new(pre: InstancePre<Host>) -> wasmtime::Result<Self> {
        Ok(match TypedIndices::new(&pre) {
            Ok(indices) => Self::Typed { pre, indices },
            Err(_) => Self::WasiHttp { indices: ProxyIndices::new(&pre)?, pre },
        })
    }

    /// Its name.
    pub(crate) fn world(&self) -> World {
        match self {
            Self::Typed { .. } => World::Typed,
            Self::WasiHttp { .. } => World::WasiHttp,
        }
    }

    /// Makes an instance.
    pub(crate) async fn instantiate(&self, store: &mut Store<Host>) -> wasmtime::Result<(Instance, Component)> {
        Ok(match self {
            Self::Typed { pre, indices } => {
                let component = pre.instantiate_async(&mut *store).await?;
                (Instance::Typed(indices.load(store, &component)?), component)
            }
            Self::WasiHttp { pre, indices } => {
                let component = pre.instantiate_async(&mut *store).await?;
                (Instance::WasiHttp(indices.load(store, &component)?), component)
            }
        })
    }
}
