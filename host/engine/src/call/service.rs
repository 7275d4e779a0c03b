//! A call through `wasi:http/handler` 0.3, of the world `service`: bodies [stream](super::streaming) both ways, and the guest may have
//! several tasks at the same time.
//!
//! The guest's tasks, its streams and what it waits for go on in wasmtime's own loop, which is polled as one future from outside of it.
//! So its limits of time hold whatever it does: wasmtime would not look at a timer inside the loop while a task computes.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use gust_core::{Code, Problem};
use http::{header, uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::{
    Error, WasiBody, WasiHttpView as _,
    p3::{
        Request,
        bindings::{Service, http::types::ErrorCode},
    },
};

use super::{
    Scheme,
    streaming::{self, Called, to_wasi},
};
use crate::{
    body::GuestBody,
    callee::Instance,
    host::Host,
    lease::{Lease, Leased},
};

/// What a guest returns.
type Answer = Result<http::Response<WasiBody>, ErrorCode>;

/// Calls an instance of WASI 0.3.
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

/// The guest's whole life, from the call to the end of its last task.
async fn run<B>(
    mut instance: Leased,
    request: Box<http::Request<B>>,
    scheme: Scheme,
    answer: oneshot::Sender<Answer>,
) -> Result<(), Problem>
where
    B: Body<Data = Bytes, Error = Problem> + Send + 'static,
{
    let Leased { store, callee: Instance::Service(service), .. } = &mut instance else {
        return Err(Problem::new(Code::Internal, "an instance was called through another's export"));
    };
    let request = incoming(store.data_mut(), *request, scheme);
    let ran = store.run_concurrent(async |accessor| tasks(accessor, service, request, answer).await).await;
    match ran.flatten() {
        Ok(()) => {
            store.data_mut().is_over();
            Ok(())
        }
        Err(error) => {
            // Before it is gone.
            instance.meter().fails();
            Err(instance.store.data().failure(&error))
        }
    }
}

/// The request as the guest gets it.
fn incoming<B>(host: &mut Host, request: http::Request<B>, scheme: Scheme) -> Request
where
    B: Body<Data = Bytes, Error = Problem> + Send + 'static,
{
    let meter = host.meter().clone();
    let authority = request.headers().get(header::HOST).and_then(|host| uri::Authority::try_from(host.as_bytes()).ok());
    let request = request.map(|body| body.map_err(move |problem| to_wasi(problem, &meter)));
    // What the guest makes of the body is its own affair.
    let (mut request, _) = Request::from_http(host.http().hooks, request);
    request.scheme = Some(match scheme {
        Scheme::Http => uri::Scheme::HTTP,
        Scheme::Https => uri::Scheme::HTTPS,
    });
    request.authority = authority;
    request
}

/// Calls the guest, hands over its answer, and sees all its tasks through.
async fn tasks(
    accessor: &Accessor<Host>,
    service: &Service,
    request: Request,
    answer: oneshot::Sender<Answer>,
) -> wasmtime::Result<()> {
    let answered = match service.handle(accessor, request).await? {
        Ok(response) => {
            let (report, reported) = oneshot::channel();
            let sent = async { reported.await.unwrap_or(Err(Error::ConnectionTerminated)) };
            let response = accessor.with(|store| response.into_http(store, sent))?;
            Ok(response.map(|body| Reporting { body, report: Some(report) }.boxed_unsync()))
        }
        Err(code) => Err(code),
    };
    // Where nobody waits any more, this is about to be dropped.
    let _ = answer.send(answered);
    poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
    Ok(())
}

/// An answer's body, whose guest may ask how it was sent.
struct Reporting {
    body: WasiBody,
    report: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Reporting {
    fn report(&mut self, outcome: Result<(), Error>) {
        if let Some(report) = self.report.take() {
            // Few ask.
            let _ = report.send(outcome);
        }
    }
}

impl Body for Reporting {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) {
            self.report(Ok(()));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whoever knows its length does not ask for its end.
impl Drop for Reporting {
    fn drop(&mut self) {
        let is_whole = self.body.is_end_stream();
        self.report(if is_whole { Ok(()) } else { Err(Error::ConnectionTerminated) });
    }
}
