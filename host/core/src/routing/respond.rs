//! Static responses: what a route answers without asking a function.

use bytes::Bytes;
use http::HeaderValue;

use super::{shown, spec::RespondSpec};

/// The largest body of a static response, in bytes.
pub const BODY_BYTES_MAX: usize = 16 << 10;

/// Statuses of responses that have no body (RFC 9110, section 15).
const WITHOUT_BODY: [u16; 3] = [204, 205, 304];

/// A static response, checked. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Respond {
    /// Its status.
    pub status: u16,
    /// The type of its body.
    pub content_type: HeaderValue,
    /// Its body.
    pub body: Bytes,
}

impl Respond {
    /// From a route's `respond`.
    pub(super) fn new(spec: &RespondSpec) -> Result<Self, String> {
        let RespondSpec { status, content_type, body } = spec;
        if !(200..=599).contains(status) {
            return Err(format!("respond.status is {status}; it is 200 to 599"));
        }
        if body.len() > BODY_BYTES_MAX {
            return Err(format!("respond.body has {} bytes; it has at most {BODY_BYTES_MAX}", body.len()));
        }
        if WITHOUT_BODY.contains(status) && !body.is_empty() {
            return Err(format!("respond.body is given, but a response of status {status} has none; take one out"));
        }
        let value = HeaderValue::from_str(content_type).ok().filter(|value| !value.is_empty());
        let content_type = value
            .ok_or_else(|| format!("respond.content_type is {}; it is a type like text/html", shown(content_type)))?;
        Ok(Self { status: *status, content_type, body: Bytes::copy_from_slice(body.as_bytes()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn respond(status: u16, content_type: &str, body: &str) -> Result<Respond, String> {
        Respond::new(&RespondSpec { status, content_type: content_type.to_owned(), body: body.to_owned() })
    }

    #[test]
    fn a_response_is_one_that_can_be_sent() {
        let whole = "x".repeat(BODY_BYTES_MAX);
        assert_eq!(respond(200, "text/html", &whole).unwrap().body.len(), BODY_BYTES_MAX);
        assert_eq!(respond(204, "text/plain", "").unwrap().status, 204);
        for (status, content_type, body, why) in [
            (199, "text/plain", "", "200 to 599"),
            (600, "text/plain", "", "200 to 599"),
            (200, "", "", "content_type"),
            (200, "a/b\r\nx: y", "", "content_type"),
            (200, "text/é\u{7f}", "", "content_type"),
            (204, "text/plain", "x", "has none"),
            (304, "text/plain", "x", "has none"),
            (200, "text/plain", &format!("{whole}x"), "at most 16384"),
        ] {
            let error = respond(status, content_type, body).unwrap_err();
            assert!(error.contains(why), "{status} {content_type:?}: {error}");
        }
    }
}
