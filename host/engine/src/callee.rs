//! The export that requests go through: where it is in a component, and in an instance of it.

use gust_core::api::World;
use wasmtime::{
    Store,
    component::{Instance as Component, InstancePre},
};
use wasmtime_wasi::p2::bindings::{Command, CommandIndices};
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
    Command { pre: InstancePre<Host>, indices: CommandIndices },
}

/// An instance by that export.
pub(crate) enum Instance {
    Typed(Typed),
    Service(Service),
    WasiHttp(Proxy),
    Command(Command),
}

impl Callee {
    /// The first that there is: the typed export, that of WASI 0.3, that of WASI 0.2. Of a program that is to be run, its own.
    pub(crate) fn new(pre: InstancePre<Host>, is_cgi: bool) -> wasmtime::Result<Self> {
        if is_cgi {
            return Ok(Self::Command { indices: CommandIndices::new(&pre)?, pre });
        }
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
            Self::Command { .. } => World::Command,
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
            Self::Command { pre, indices } => {
                let component = pre.instantiate_async(&mut *store).await?;
                (Instance::Command(indices.load(store, &component)?), component)
            }
        })
    }
}
