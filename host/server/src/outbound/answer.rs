//! A peer's answer as a guest gets it, or why there is none.

use std::{error::Error, io, iter};

use gust_core::{Code, Problem};
use gust_engine::{Answer, Cause, Unanswered};
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy;

use crate::hop_by_hop;

/// What a peer answered, without what it says of its connection.
pub(super) fn of_peer(mut response: Response<Incoming>) -> Answer {
    hop_by_hop::strip(response.headers_mut());
    response.map(|body| body.map_err(|error| broken_off(&error)).boxed_unsync())
}

fn broken_off(error: &hyper::Error) -> Problem {
    Problem::new(Code::RequestBodyIncomplete, "the answer broke off").with_internal(error.to_string())
}

/// Why there is no answer.
pub(super) fn missing(error: &legacy::Error) -> Unanswered {
    let causes = || iter::successors(error.source(), |error| (**error).source());
    if let Some(unanswered) = causes().find_map(|cause| cause.downcast_ref::<Unanswered>()) {
        return unanswered.clone();
    }
    // The guest's own body broke off.
    if let Some(problem) = causes().find_map(|cause| cause.downcast_ref::<Problem>()) {
        return Cause::Own(problem.internal.clone().unwrap_or_else(|| problem.detail.clone())).into();
    }
    let of_io = causes().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    let of_hyper = causes().find_map(|cause| cause.downcast_ref::<hyper::Error>());
    match (of_io, of_hyper) {
        (_, Some(error)) if error.is_parse_too_large() => Cause::ResponseHeadTooLarge,
        (Some(io::ErrorKind::TimedOut), _) => Cause::ConnectionWriteTimeout,
        (Some(_), _) => Cause::ConnectionTerminated,
        (_, Some(error)) if error.is_timeout() => Cause::ConnectionReadTimeout,
        (_, Some(error)) if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => {
            Cause::ConnectionTerminated
        }
        _ => Cause::Protocol,
    }
    .into()
}
