//! A guest that streams: what calls through `wasi:http` have in common, of whichever release.
//!
//! Nothing is spawned until the answer has a head, and nothing at all for a guest that is over soon after. The guest is a future that the
//! connection's own task polls: here until then, and each time a piece of the body is wanted. So a client that goes away takes its guest
//! along, and a slow reader slows its guest.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use gust_core::{Code, Problem};
use http::{Method, Response};
use http_body::Body as _;
use tokio::{sync::oneshot, time::Instant};
use wasmtime_wasi_http::{Error, WasiBody};

use super::head;
use crate::{
    allowed::Allowed,
    body::{GuestBody, Running},
    failure,
    host::Terms,
    lane::Guest,
    meter::Meter,
};

/// A guest that is called: all but the guest.
pub(super) struct Called<E> {
    /// How its request asks.
    pub(super) method: Method,
    /// When it must be over.
    pub(super) deadline: Instant,
    /// The terms that it runs on.
    pub(super) terms: Arc<Terms>,
    /// What it uses.
    pub(super) meter: Arc<Meter>,
    /// What it answers with.
    pub(super) answer: oneshot::Receiver<Result<Response<WasiBody>, E>>,
}

impl<E> Called<E> {
    /// Runs the guest until its answer has a head. `failed` says what an error means that it answers with.
    pub(super) async fn answer(
        self,
        guest: Guest<()>,
        failed: impl FnOnce(E) -> Problem,
    ) -> Result<Response<GuestBody>, Problem> {
        let Self { method, deadline, terms, meter, answer } = self;
        let mut running = Some(Allowed::new(guest, &terms, &meter, deadline));
        let mut answer = Some(answer);
        let answering = poll_fn(|cx| poll_head(cx, &mut running, &mut answer));
        let (mut parts, body) = answering.await?.map_err(failed)?.into_parts();
        head::status(parts.status.as_u16())?;
        head::within(&parts.headers, terms.limits.headers_bytes())?;
        let has_body = head::has_body(&method, parts.status);
        let length = head::frame(&mut parts, has_body, body.size_hint().exact())?;
        let bytes_max = terms.limits.response_body_bytes();
        let body = match (has_body, running.map(|guest| Running::spawn(guest, meter))) {
            (true, None) => GuestBody::written(body, bytes_max, length).await?,
            (true, Some(running)) => GuestBody::streamed(body, running, bytes_max, length),
            (false, running) => GuestBody::none(running),
        };
        Ok(Response::from_parts(parts, body))
    }
}

/// Runs the guest until it has answered or is over. One that has answered is run once more: what it writes at once goes to the client along
/// with the head, and if that was all it needs no task of its own.
fn poll_head<T>(
    cx: &mut Context<'_>,
    running: &mut Option<Allowed<()>>,
    answer: &mut Option<oneshot::Receiver<T>>,
) -> Poll<Result<T, Problem>> {
    poll_guest(cx, running)?;
    if let Some(awaited) = answer {
        match Pin::new(awaited).poll(cx) {
            Poll::Ready(Ok(answer)) => {
                poll_guest(cx, running)?;
                return Poll::Ready(Ok(answer));
            }
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

/// Runs the guest for a while, unless it is over.
fn poll_guest(cx: &mut Context<'_>, running: &mut Option<Allowed<()>>) -> Result<(), Problem> {
    let Some(guest) = running else { return Ok(()) };
    let Poll::Ready(ended) = Pin::new(guest).poll(cx) else { return Ok(()) };
    *running = None;
    ended
}

/// A guest that answered with an error. What it says may be as long as it likes.
pub(super) fn failed(what: String) -> Problem {
    Problem::new(Code::GuestFailed, failure::cut(format!("it answered with {what}")))
}

/// What a guest is told of a request's body that did not arrive. What it answers then is its own affair, but the limit was reached.
pub(super) fn to_wasi(problem: Problem, meter: &Meter) -> Error {
    problem.code.limit().into_iter().for_each(|limit| meter.reaches(limit));
    match problem.code {
        Code::LimitRequestBody => Error::HttpRequestBodySize(None),
        Code::RequestBodyIncomplete => Error::ConnectionTerminated,
        _ => Error::InternalError(Some(problem.detail)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::{BodyExt as _, Empty};
    use tokio::task;

    use super::*;

    /// What comes of a guest that answers at once, is run so many times more, and ends so.
    async fn called(more: u32, ends: Result<(), Problem>) -> Result<Response<GuestBody>, Problem> {
        let (sender, answer) = oneshot::channel();
        let guest = Box::pin(async move {
            let body: WasiBody = Empty::new().map_err(|never| match never {}).boxed_unsync();
            let _ = sender.send(Ok(Response::new(body)));
            for _ in 0..more {
                task::yield_now().await;
            }
            ends
        });
        let (terms, meter) = (Arc::new(Terms::of_test()), Meter::new());
        let deadline = Instant::now() + Duration::from_secs(10);
        Called::<String> { method: Method::GET, deadline, terms, meter, answer }.answer(guest, failed).await
    }

    #[tokio::test]
    async fn a_guest_that_is_soon_over_needs_no_task_of_its_own() {
        for (more, goes_on) in [(0, false), (1, false), (50, true)] {
            let rest = called(more, Ok(())).await.unwrap().into_body().rest();
            assert_eq!(rest.is_some(), goes_on, "run {more} times more");
        }
    }

    #[tokio::test]
    async fn one_that_fails_before_anything_was_sent_has_not_answered() {
        let fails = || Err(Problem::new(Code::Trap, "unreachable"));
        for more in [0, 1] {
            assert_eq!(called(more, fails()).await.err().unwrap().code, Code::Trap, "run {more} times more");
        }
        assert!(called(50, fails()).await.is_ok());
    }
}
