//! `wasi:http` 0.2: requests coming in. What becomes of requests going out, `outgoing.rs` decides.

use wasmtime::component::Linker;
use wasmtime_wasi_http::{WasiHttp, WasiHttpView as _, p2::bindings::http};

use crate::host::Host;

/// The interfaces of this module.
pub(super) const INTERFACES: &[&str] = &["wasi:http/types", "wasi:http/outgoing-handler"];

/// Adds them.
pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let options = http::types::LinkOptions::default();
    http::types::add_to_linker::<Host, WasiHttp>(linker, &options, Host::http)?;
    http::outgoing_handler::add_to_linker::<Host, WasiHttp>(linker, Host::http)
}
