//! A handler's failure: one that the client is told of, or one that only the log is.

use std::fmt;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use crate::{IntoResponse, Response};

/// Why a handler did not answer.
///
/// Any error becomes one with `?`; the client then gets 500 without its text, and the text goes to the function's log. An
/// error made with a status and a message is told to the client as `application/problem+json` (RFC 9457).
pub struct Error {
    status: StatusCode,
    message: String,
    for_log_only: bool,
}

/// Set on the response of an error that is for the log only.
#[derive(Clone)]
#[cfg_attr(not(any(target_arch = "wasm32", test)), expect(dead_code, reason = "read by the exports"))]
pub(crate) struct Failure(pub(crate) String);

impl Error {
    /// An error that the client is told of.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), for_log_only: false }
    }

    /// The client's request cannot be understood: 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The function failed: 500, the message for the log only.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message: message.into(), for_log_only: true }
    }

    /// The status that the client gets.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The error and what caused it, for the log only. `Error` itself is no `std::error::Error`, or this could not be.
impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::failed(message)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() = self.status;
        if self.for_log_only {
            response.extensions_mut().insert(Failure(self.message));
            return response;
        }
        let title = self.status.canonical_reason().unwrap_or("Error");
        let problem = serde_json::json!({ "title": title, "status": self.status.as_u16(), "detail": self.message });
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        *response.body_mut() = Bytes::from(problem.to_string());
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_may_know_is_told() {
        let response = Error::new(StatusCode::CONFLICT, "taken").into_response();
        assert_eq!(response.status(), StatusCode::CONFLICT);
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["detail"], "taken");
    }

    #[test]
    fn other_errors_are_for_the_log() {
        fn fails() -> Result<u8, Error> {
            Ok("x".parse::<u8>()?)
        }
        let response = fails().into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.body().is_empty());
        assert_eq!(response.extensions().get::<Failure>().unwrap().0, "invalid digit found in string");
    }

    impl IntoResponse for u8 {
        fn into_response(self) -> Response {
            Response::default()
        }
    }
}
