//! A call through `wasi:http/incoming-handler` 0.2: bodies [stream](super::streaming) both ways.

use std::pin::pin;

use bytes::Bytes;
use gust_core::Problem;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;
use wasmtime_wasi_http::{
    WasiHttpView as _,
    p2::{
        bindings::http::types::{self, ErrorCode},
        body::HyperOutgoingBody,
    },
};

use super::{
    Scheme,
    streaming::{self, Called, to_wasi},
};
use crate::{
    body::GuestBody,
    callee::Instance,
    lease::{Lease, Leased},
    rewind,
};

/// What a guest gives to `response-outparam.set`.
type Answer = Result<http::Response<HyperOutgoingBody>, ErrorCode>;

/// Calls a `wasi:http` instance.
pub(super) async fn call<B>(
    lease: Lease,
    request: Box<http::Request<B>>,
    scheme: Scheme,
) -> Result<http::Response<GuestBody>, Problem>
where
    B: Body<Data = Bytes, Error = Problem> + Send + 'static,
{
    let Lease { instance, deadline, .. } = lease;
    let method = request.method().clone();
    let (answer_sender, answer) = oneshot::channel();
    let (terms, meter) = (instance.terms().clone(), instance.meter().clone());
    let guest = Box::pin(run(instance, request, scheme, answer_sender));
    Called { method, deadline, terms, meter, answer }.answer(guest, failed).await
}

/// A guest that answered with an error.
fn failed(code: ErrorCode) -> Problem {
    streaming::failed(match code {
        ErrorCode::InternalError(text) => format!("an internal error: {}", text.unwrap_or_default()),
        code => format!("the error {code:?}"),
    })
}

/// The guest's whole life, from the call to its return.
async fn run<B>(
    mut instance: Leased,
    request: Box<http::Request<B>>,
    scheme: Scheme,
    answer: oneshot::Sender<Answer>,
) -> Result<(), Problem>
where
    B: Body<Data = Bytes, Error = Problem> + Send + 'static,
{
    let meter = instance.meter().clone();
    let called = async {
        let Leased { store, callee: Instance::WasiHttp(proxy), .. } = &mut instance else {
            return Err(wasmtime::Error::msg("an instance was called through another's export"));
        };
        let scheme = match scheme {
            Scheme::Http => types::Scheme::Http,
            Scheme::Https => types::Scheme::Https,
        };
        let request = request.map(|body| body.map_err(move |problem| to_wasi(problem, &meter)));
        let request = store.data_mut().http().new_incoming_request(scheme, request)?;
        let outparam = store.data_mut().http().new_response_outparam(answer)?;
        proxy.wasi_http_incoming_handler().call_handle(store, request, outparam).await
    };
    let (returned, at_once) = rewind::at_once(pin!(called)).await;
    match returned {
        Ok(()) => {
            instance.give_back(at_once).await;
            Ok(())
        }
        Err(error) => {
            // Before it is gone.
            instance.meter().fails();
            Err(instance.store.data().failure(&error))
        }
    }
}
