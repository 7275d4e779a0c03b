//! The export that requests go through: where it is in a component, and in an instance of it.

use gust_core::api::World;
use wasmtime::{
    Store,
    component::{Instance as Component, InstancePre},
};
use wasmtime_wasi_http::{
    p2::bindings::{Proxy, ProxyIndices},
    p3::bindings::{Service, ServiceIndices},
};

use crate::{
    host::Host,
    interfaces::function::{Typed, TypedIndices},
};

/// A component with the export that its requests go through, resolved once.
#[derive(Clone)]
pub(crate) enum Callee {
    Typed { pre: InstancePre<Host>, indices: TypedIndices },
    Service { pre: InstancePre<Host>, indices: ServiceIndices },
    WasiHttp { pre: InstancePre<Host>, indices: ProxyIndices },
}

/// An instance by that export.
pub(crate) enum Instance {
    Typed(Typed),
    Service(Service),
    WasiHttp(Proxy),
}

impl Callee {
    /// The first that there is: the typed export, that of WASI 0.3, that of WASI 0.2.
    pub(crate) fn new(pre: InstancePre<Host>) -> wasmtime::Result<Self> {
        if let Ok(indices) = TypedIndices::new(&pre) {
            return Ok(Self::Typed { pre, indices });
        }
        if let Ok(indices) = ServiceIndices::new(&pre) {
            return Ok(Self::Service { pre, indices });
        }
        Ok(Self::WasiHttp { indices: ProxyIndices::new(&pre)?, pre })
    }

    /// Its name.
    pub(crate) fn world(&self) -> World {
        match self {
            Self::Typed { .. } => World::Typed,
            Self::Service { .. } => World::Service,
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
            Self::Service { pre, indices } => {
                let component = pre.instantiate_async(&mut *store).await?;
                (Instance::Service(indices.load(store, &component)?), component)
            }
            Self::WasiHttp { pre, indices } => {
                let component = pre.instantiate_async(&mut *store).await?;
                (Instance::WasiHttp(indices.load(store, &component)?), component)
            }
        })
    }
}
