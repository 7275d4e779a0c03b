//! What a handler may return.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{Error, Json, Response};

/// What becomes a response: texts, bytes, JSON, a status, tuples of a status and headers with any of them, and a `Result`
/// of two of them.
pub trait IntoResponse {
    /// Makes the response.
    fn into_response(self) -> Response;
}

/// What becomes headers: an array of names and values, or a map.
pub trait IntoHeaders {
    /// Puts the headers into `headers`, in the place of those that have the same name.
    fn put_into(self, headers: &mut HeaderMap) -> Result<(), Error>;
}

/// An HTML page.
#[derive(Debug, Clone)]
pub struct Html<T>(pub T);

fn with_type(content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

impl IntoResponse for Response {
    fn into_response(self) -> Response {
        self
    }
}

/// 204.
impl IntoResponse for () {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// No body.
impl IntoResponse for StatusCode {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() = self;
        response
    }
}

/// `text/plain; charset=utf-8`
impl IntoResponse for &'static str {
    fn into_response(self) -> Response {
        with_type("text/plain; charset=utf-8", self)
    }
}

/// `text/plain; charset=utf-8`
impl IntoResponse for String {
    fn into_response(self) -> Response {
        with_type("text/plain; charset=utf-8", self)
    }
}

/// `application/octet-stream`
impl IntoResponse for Bytes {
    fn into_response(self) -> Response {
        with_type("application/octet-stream", self)
    }
}

/// `application/octet-stream`
impl IntoResponse for Vec<u8> {
    fn into_response(self) -> Response {
        with_type("application/octet-stream", self)
    }
}

/// `text/html; charset=utf-8`
impl<T: Into<Bytes>> IntoResponse for Html<T> {
    fn into_response(self) -> Response {
        with_type("text/html; charset=utf-8", self.0)
    }
}

/// `application/json`. What cannot be written as JSON is a failure of the function.
impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => with_type("application/json", body),
            Err(error) => Error::from(error).into_response(),
        }
    }
}

impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => error.into_response(),
        }
    }
}

impl<R: IntoResponse> IntoResponse for (StatusCode, R) {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        *response.status_mut() = self.0;
        response
    }
}

impl<H: IntoHeaders, R: IntoResponse> IntoResponse for (H, R) {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        match self.0.put_into(response.headers_mut()) {
            Ok(()) => response,
            Err(error) => error.into_response(),
        }
    }
}

impl<H: IntoHeaders, R: IntoResponse> IntoResponse for (StatusCode, H, R) {
    fn into_response(self) -> Response {
        (self.0, (self.1, self.2)).into_response()
    }
}

impl IntoHeaders for HeaderMap {
    fn put_into(self, headers: &mut HeaderMap) -> Result<(), Error> {
        headers.extend(self);
        Ok(())
    }
}

impl<K, V, const N: usize> IntoHeaders for [(K, V); N]
where
    K: TryInto<HeaderName, Error: std::error::Error>,
    V: TryInto<HeaderValue, Error: std::error::Error>,
{
    fn put_into(self, headers: &mut HeaderMap) -> Result<(), Error> {
        for (name, value) in self {
            let name = name.try_into().map_err(|error| Error::failed(format!("a header's name: {error}")))?;
            let value = value.try_into().map_err(|error| Error::failed(format!("the header {name}: {error}")))?;
            headers.insert(name, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(response: impl IntoResponse) -> (u16, String, String) {
        let response = response.into_response();
        let kind = response.headers().get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap());
        (response.status().as_u16(), kind.to_owned(), String::from_utf8(response.body().to_vec()).unwrap())
    }

    #[test]
    fn values_become_responses() {
        let text = "text/plain; charset=utf-8";
        assert_eq!(summary("hi"), (200, text.into(), "hi".into()));
        assert_eq!(summary(()), (204, String::new(), String::new()));
        assert_eq!(summary(Json([1, 2])), (200, "application/json".into(), "[1,2]".into()));
        assert_eq!(summary((StatusCode::CREATED, "made")), (201, text.into(), "made".into()));
        assert_eq!(summary(Html("<p>")), (200, "text/html; charset=utf-8".into(), "<p>".into()));
        assert_eq!(summary(([("content-type", "image/png")], vec![65])), (200, "image/png".into(), "A".into()));
        assert_eq!(summary((StatusCode::ACCEPTED, [("x", "y")], "z")), (202, text.into(), "z".into()));
        let refused: Result<&str, Error> = Err(Error::bad_request("no"));
        assert_eq!(summary(refused).0, 400);
    }

    #[test]
    fn a_header_that_cannot_be_is_a_failure() {
        assert_eq!(summary(([("x", "a\nb".to_owned())], "z")).0, 500);
    }
}
