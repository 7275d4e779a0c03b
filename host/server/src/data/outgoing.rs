//! The response on its way out: what the host adds to its head, and its body with the visit inside.

use std::{
    fmt::Write as _,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use gust_core::{Code, Problem, receipt::Timing};
use gust_engine::GuestBody;
use http::{HeaderName, HeaderValue, Response, header};
use http_body::{Body, Frame, SizeHint};

use super::visit::Visit;
use crate::{leaving, status};

/// The header that carries the request's id.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header that says where the time went.
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// A response's body. Dropping it ends the visit.
pub(crate) struct Outgoing {
    source: Source,
    /// The client waits for the guest, not the guest for the client.
    awaits_guest: bool,
    /// There until this is dropped, or nothing of it is the function's any more.
    visit: Option<Box<Visit>>,
}

enum Source {
    Guest(GuestBody),
    Host(Option<Bytes>),
}

/// The guest's response.
pub(super) fn of_guest(response: Response<GuestBody>, mut visit: Box<Visit>) -> Response<Outgoing> {
    let (mut head, body) = response.into_parts();
    if let Ok(value) = HeaderValue::from_maybe_shared(server_timing(visit.timing())) {
        head.headers.append(SERVER_TIMING, value);
    }
    insert_request_id(&mut head.headers, &visit);
    if let Some(cookie) = visit.take_cookie() {
        head.headers.append(header::SET_COOKIE, cookie);
    }
    visit.answered(head.status);
    let mut outgoing = Outgoing::new(Source::Guest(body), visit);
    outgoing.leaves_in_memory();
    Response::from_parts(head, outgoing)
}

/// Milliseconds to the microsecond (Server Timing, W3C). Whole numbers are formatted, for that costs less than floats.
fn server_timing(timing: Timing) -> Bytes {
    let Timing { queue_us, init_us, run_us, .. } = timing;
    let mut text = String::with_capacity(64);
    for (name, us) in [("queue;dur=", queue_us), (", init;dur=", init_us), (", run;dur=", run_us)] {
        // Writing to a String cannot fail.
        let _ = write!(text, "{name}{}.{:03}", us / 1000, us % 1000);
    }
    text.into()
}

/// The host's own answer to a request that went wrong, and whether its connection `ends` with it.
pub(super) fn of_problem(problem: &Problem, mut visit: Box<Visit>, ends: bool) -> Response<Outgoing> {
    let mut answer = status::answer(problem, Some(&visit.request_id()));
    if ends {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(allow) = visit.take_allow() {
        answer.headers_mut().insert(header::ALLOW, allow);
    }
    visit.fails(problem);
    of_host(answer, visit)
}

/// What a route answers by itself.
pub(super) fn of_route(mut answer: Response<Bytes>, mut visit: Box<Visit>) -> Response<Outgoing> {
    if let Some(cookie) = visit.take_cookie() {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    of_host(answer, visit)
}

fn of_host(answer: Response<Bytes>, mut visit: Box<Visit>) -> Response<Outgoing> {
    let (mut head, body) = answer.into_parts();
    insert_request_id(&mut head.headers, &visit);
    visit.answered(head.status);
    // However long its client takes for it.
    visit.gives_places_back();
    let has_body = visit.has_body();
    if !has_body {
        head.headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    Response::from_parts(head, Outgoing::new(Source::Host(has_body.then_some(body)), visit))
}

fn insert_request_id(headers: &mut http::HeaderMap, visit: &Visit) {
    if let Ok(value) = HeaderValue::from_str(visit.request_id().as_str()) {
        headers.insert(REQUEST_ID, value);
    }
}

impl Outgoing {
    fn new(source: Source, visit: Box<Visit>) -> Self {
        visit.leaves();
        Self { source, awaits_guest: false, visit: Some(visit) }
    }

    /// What another function gets whole is its own from now on, and within its own limits.
    fn leaves_in_memory(&mut self) {
        let Source::Guest(body) = &self.source else { return };
        let Some(bytes) = body.bytes_here() else { return };
        if let Some(mut visit) = self.visit.take_if(|visit| !visit.is_for_client()) {
            visit.sent(bytes as u64);
            visit.completes();
        }
    }

    /// Why it is dropped before it is whole.
    fn too_late(&self) -> Problem {
        if self.awaits_guest {
            return Problem::new(Code::LimitWall, "its answer was not whole within its limit wall_ms");
        }
        Problem::new(Code::RequestUnread, "the client did not take the answer within the function's limit wall_ms")
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Problem;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        let this = &mut *self;
        let frame = match &mut this.source {
            Source::Guest(body) => {
                let polled = Pin::new(body).poll_frame(cx);
                this.awaits_guest = polled.is_pending();
                ready!(polled)
            }
            Source::Host(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
        };
        let Some(visit) = &mut this.visit else { return Poll::Ready(frame) };
        match &frame {
            None => visit.completes(),
            Some(Ok(frame)) => visit.sent(frame.data_ref().map_or(0, |data| data.len() as u64)),
            Some(Err(problem)) => visit.breaks_off(problem),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Guest(body) => body.is_end_stream(),
            Source::Host(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Guest(body) => body.size_hint(),
            Source::Host(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        let Some(mut visit) = self.visit.take() else { return };
        // A body that is known to be at its end is not polled again, and one that must not be sent is not polled at all.
        let is_whole = match &self.source {
            Source::Guest(body) => body.is_whole(),
            Source::Host(bytes) => bytes.is_none(),
        };
        if leaving::is_late() {
            // HTTP/2 may have it whole, and have sent nothing of it.
            visit.breaks_off(&self.too_late());
        } else if is_whole {
            visit.completes();
        }
        let Source::Guest(body) = &mut self.source else { return };
        if let Some(rest) = body.rest() {
            visit.outlives_answer();
            tokio::spawn(async move {
                let ended = rest.await;
                visit.outlived(ended);
            });
        }
    }
}
