//! `wasi:http` 0.2: requests coming in. Requests going out are refused, each with an error that the guest can read.

use wasmtime::component::Linker;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttp, WasiHttpHooks, WasiHttpView as _, p2::bindings::http,
};

use crate::host::Host;

/// The interfaces of this module.
pub(super) const INTERFACES: &[&str] = &["wasi:http/types", "wasi:http/outgoing-handler"];

/// Adds them.
pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let options = http::types::LinkOptions::default();
    http::types::add_to_linker::<Host, WasiHttp>(linker, &options, Host::http)?;
    http::outgoing_handler::add_to_linker::<Host, WasiHttp>(linker, Host::http)
}

/// Reports the end of an exchange.
type Done = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// The host's say in what `wasi:http` does.
pub(crate) struct Hooks;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        _: ::http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Done,
    ) -> Box<dyn Future<Output = Result<(::http::Response<WasiBody>, Done), Error>> + Send> {
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}
