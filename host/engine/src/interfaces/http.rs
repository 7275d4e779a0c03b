//! `wasi:http` 0.2: requests coming in. What becomes of requests going out, `outgoing.rs` decides.

use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::{
    RequestOptions, WasiHttp, WasiHttpCtxView, WasiHttpView as _,
    p2::{
        HttpResult,
        bindings::http::{
            outgoing_handler::Host as _,
            types::{self, ErrorCode, Host as _},
        },
        types::{HostFutureIncomingResponse, HostOutgoingRequest},
    },
};

use crate::host::Host;

/// The interfaces of this module.
pub(super) const INTERFACES: &[&str] = &["wasi:http/types", "wasi:http/outgoing-handler"];

/// A request on its way.
type Sent = Resource<HostFutureIncomingResponse>;

/// What a guest sends, and how.
type Given = (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>);

/// Adds them.
pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let options = types::LinkOptions::default();
    types::add_to_linker::<Host, WasiHttp>(linker, &options, Host::http)?;
    linker.instance("wasi:http/outgoing-handler@0.2.0")?.func_wrap("handle", |mut store, given: Given| {
        let mut view = store.data_mut().http();
        Ok((match handle(&mut view, given) {
            Ok(sent) => Ok::<Sent, ErrorCode>(sent),
            Err(error) => Err(view.convert_error_code(error)?),
        },))
    })
}

/// wasmtime's own, which leaves the options in the guest's table that the guest has given away. It would look as if an instance kept a
/// handle, and none that sends with options would be put back.
fn handle(view: &mut WasiHttpCtxView<'_>, (request, options): Given) -> HttpResult<Sent> {
    let given_away = options.as_ref().map(Resource::rep);
    let sent = view.handle(request, options);
    if let Some(options) = given_away {
        view.table.delete(Resource::<RequestOptions>::new_own(options))?;
    }
    sent
}
