//! Answers: a guest's, and the host's own, with what the host adds to their heads.

use std::fmt::Write as _;

use bytes::Bytes;
use gust_core::{Code, Problem, receipt::Timing};
use gust_engine::GuestBody;
use http::{HeaderName, HeaderValue, Response, header};

use super::{
    outgoing::{Outgoing, Way},
    visit::Visit,
};
use crate::{patience::OwnAnswer, status};

/// The header that carries the request's id.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header that says where the time went.
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The guest's response.
pub(super) fn of_guest(response: Response<GuestBody>, mut visit: Box<Visit>, way: Way<'_>) -> Response<Outgoing> {
    let (mut head, body) = response.into_parts();
    if let Ok(value) = HeaderValue::from_maybe_shared(server_timing(visit.timing())) {
        head.headers.append(SERVER_TIMING, value);
    }
    insert_request_id(&mut head.headers, &visit);
    if let Some(cookie) = visit.take_cookie() {
        head.headers.append(header::SET_COOKIE, cookie);
    }
    visit.answered(head.status);
    Response::from_parts(head, Outgoing::of_guest(body, visit, way))
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

/// The host's own answer to a request that went wrong.
pub(super) fn of_problem(problem: &Problem, mut visit: Box<Visit>, way: Way<'_>) -> Response<Outgoing> {
    let mut answer = status::answer(problem, Some(&visit.request_id()));
    // What could be understood in two ways ends its connection, so that nothing after it can be.
    let is_ambiguous = matches!(problem.code, Code::RequestMalformed | Code::MethodNotSupported);
    if is_ambiguous && matches!(way, Way::Alone) {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(allow) = visit.take_allow() {
        answer.headers_mut().insert(header::ALLOW, allow);
    }
    visit.fails(problem);
    let own_answer = place(way).unwrap_or_else(|| {
        // Without a body it needs no room.
        answer.headers_mut().remove(header::CONTENT_TYPE);
        answer.body_mut().clear();
        None
    });
    of_host(answer, visit, way, own_answer)
}

/// What a route answers by itself.
pub(super) fn of_route(mut answer: Response<Bytes>, mut visit: Box<Visit>, way: Way<'_>) -> Response<Outgoing> {
    let Some(own_answer) = place(way) else {
        let why = "too many answers wait on its connection";
        return of_problem(&Problem::new(Code::RequestUnread, why).with_internal(why), visit, way);
    };
    if let Some(cookie) = visit.take_cookie() {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    of_host(answer, visit, way, own_answer)
}

/// A place for an answer of the host's own, where it takes one; none where too many wait on its connection.
fn place(way: Way<'_>) -> Option<Option<OwnAnswer>> {
    match way {
        Way::Shared(activity) => activity.answers_itself().map(Some),
        Way::Alone | Way::InMemory => Some(None),
    }
}

fn of_host(
    answer: Response<Bytes>,
    mut visit: Box<Visit>,
    way: Way<'_>,
    own_answer: Option<OwnAnswer>,
) -> Response<Outgoing> {
    let (mut head, body) = answer.into_parts();
    insert_request_id(&mut head.headers, &visit);
    visit.answered(head.status);
    // However long its client takes for it.
    visit.gives_places_back();
    let has_body = visit.has_body();
    if !has_body {
        head.headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    let body = (has_body && !body.is_empty()).then_some(body);
    Response::from_parts(head, Outgoing::of_host(body, visit, way, own_answer))
}

fn insert_request_id(headers: &mut http::HeaderMap, visit: &Visit) {
    if let Ok(value) = HeaderValue::from_str(visit.request_id().as_str()) {
        headers.insert(REQUEST_ID, value);
    }
}
