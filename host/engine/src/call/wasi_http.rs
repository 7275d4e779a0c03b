//! A call through `wasi:http/incoming-handler` 0.2: bodies stream both ways.
//!
//! Nothing is spawned. The guest is a future that the connection's own task polls: here until the response has a head,
//! then each time a piece of the body is wanted. So a client that goes away takes its guest along, and a slow reader
//! slows its guest.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::Bytes;
use gust_core::{Code, Problem};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;
use wasmtime_wasi_http::{
    Error, WasiHttpView as _,
    p2::{
        bindings::http::types::{self, ErrorCode},
        body::HyperOutgoingBody,
    },
};

use super::{Scheme, head};
use crate::{
    allowed::Allowed,
    body::{GuestBody, Running},
    callee::Instance,
    failure,
    lease::{Lease, Leased},
    meter::Meter,
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
    let (mut running, mut answer) = (Some(Allowed::new(guest, &terms, &meter, deadline)), Some(answer));
    let answering = poll_fn(|cx| poll_head(cx, &mut running, &mut answer));
    let (mut parts, body) = answering.await?.map_err(failed)?.into_parts();
    head::status(parts.status.as_u16())?;
    head::within(&parts.headers, terms.limits.headers_bytes())?;
    let has_body = head::has_body(&method, parts.status);
    let length = head::frame(&mut parts, has_body, body.size_hint().exact())?;
    let running = running.map(|guest| Running::spawn(guest, meter));
    let body = match has_body {
        true => GuestBody::streamed(body, running, terms.limits.response_body_bytes(), length),
        false => GuestBody::none(running),
    };
    Ok(http::Response::from_parts(parts, body))
}

/// A guest that answered with an error.
fn failed(code: ErrorCode) -> Problem {
    // The text may be as long as the guest likes, and longer when it is quoted.
    let detail = match code {
        ErrorCode::InternalError(text) => {
            format!("it answered with an internal error: {}", failure::cut(text.unwrap_or_default()))
        }
        code => failure::cut(format!("it answered with the error {code:?}")),
    };
    Problem::new(Code::GuestFailed, detail)
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

/// Runs the guest until it has answered or is over.
fn poll_head(
    cx: &mut Context<'_>,
    running: &mut Option<Allowed<()>>,
    answer: &mut Option<oneshot::Receiver<Answer>>,
) -> Poll<Result<Answer, Problem>> {
    if let Some(guest) = running {
        match Pin::new(guest).poll(cx) {
            Poll::Ready(Ok(())) => *running = None,
            Poll::Ready(Err(problem)) => return Poll::Ready(Err(problem)),
            Poll::Pending => {}
        }
    }
    if let Some(awaited) = answer {
        match Pin::new(awaited).poll(cx) {
            Poll::Ready(Ok(answer)) => return Poll::Ready(Ok(answer)),
            // The sender is gone without an answer: the guest dropped its outparam, has returned, or failed.
            Poll::Ready(Err(_)) => *answer = None,
            Poll::Pending => return Poll::Pending,
        }
    }
    // Of one that fails elsewhere it is told a moment later why.
    if running.as_ref().is_some_and(Allowed::is_elsewhere) {
        return Poll::Pending;
    }
    Poll::Ready(Err(Problem::new(Code::GuestNoResponse, "it never set a response")))
}

/// What a guest is told of a request's body that did not arrive. What it answers then is its own affair, but the limit was reached.
fn to_wasi(problem: Problem, meter: &Meter) -> Error {
    problem.code.limit().into_iter().for_each(|limit| meter.reaches(limit));
    match problem.code {
        Code::LimitRequestBody => Error::HttpRequestBodySize(None),
        Code::RequestBodyIncomplete => Error::ConnectionTerminated,
        _ => Error::InternalError(Some(problem.detail)),
    }
}
