//! WASI 0.3: `wasi:http`, and what programs for `wasi:cli` import.
//!
//! As in 0.2, there is no directory to open and every address is refused; what becomes of requests going out, `outgoing.rs` decides.
//! `wasi:http/handler` is what a component of the world `middleware` imports: whatever its request is handed on to.

use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime_wasi_http::{
    WasiHttp, WasiHttpView as _,
    p3::{
        Request, Response,
        bindings::http::{client::HostWithStore as _, types::ErrorCode},
    },
};

use crate::host::Host;

/// The interfaces of this module.
pub(super) const INTERFACES: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:cli/types",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/system-clock",
    "wasi:clocks/types",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/client",
    "wasi:http/handler",
    "wasi:http/types",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/types",
];

/// Adds them.
pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    wasmtime_wasi::p3::add_to_linker(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)?;
    linker
        .instance("wasi:http/handler@0.3.0")?
        .func_wrap_concurrent("handle", |accessor, (request,): (Resource<Request>,)| {
            Box::pin(async move { Ok((handle(accessor, request).await?,)) })
        })
}

/// `handler.handle` of what comes after the guest. Both are one in all but where the request goes.
async fn handle(
    accessor: &Accessor<Host>,
    request: Resource<Request>,
) -> wasmtime::Result<Result<Resource<Response>, ErrorCode>> {
    let hands_on = |is_so| accessor.with(|mut store| store.data_mut().hands_on(is_so));
    // It is sent when this is polled first, so that nothing else of the guest's is sent in between.
    hands_on(true);
    let sent = WasiHttp::send(&accessor.with_getter::<WasiHttp>(Host::http), request).await;
    // Where it was refused before that.
    hands_on(false);
    match sent {
        Ok(response) => Ok(Ok(response)),
        Err(error) => error.downcast().map(Err),
    }
}
