//! The head of a guest's response, checked before anything of it reaches the wire.
//!
//! The body's length and the connection are the host's to speak of. A guest that states a length must state the right
//! one; whatever else of a connection it speaks of is taken away.

use gust_core::{Code, Problem};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, response::Parts};

/// Headers that speak of a connection and not of a message (RFC 9110, section 7.6.1).
static HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The most header fields of one response.
const FIELDS_MAX: usize = 1000;

/// The status that `code` stands for: 200 to 599, for informational ones are the host's own.
pub(super) fn status(code: u16) -> Result<StatusCode, Problem> {
    match StatusCode::from_u16(code) {
        Ok(status) if (200..600).contains(&code) => Ok(status),
        _ => Err(bad(format!("it answered with the status {code}; a final status is 200 to 599"))),
    }
}

/// The fields in order, checked.
pub(super) fn headers(fields: Vec<(String, Vec<u8>)>, bytes_max: usize) -> Result<HeaderMap, Problem> {
    let bytes = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    must_fit(fields.len(), bytes, bytes_max)?;
    // The host adds two of its own.
    let mut headers = HeaderMap::with_capacity(fields.len() + 2);
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| bad(format!("its header {:?} has a name that HTTP does not allow", shortened(&name))))?;
        let value = HeaderValue::from_maybe_shared(bytes::Bytes::from(value))
            .map_err(|_| bad(format!("its header {name} has a value that HTTP does not allow")))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Fails where fields that were checked are over their limit.
pub(super) fn within(headers: &HeaderMap, bytes_max: usize) -> Result<(), Problem> {
    let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    must_fit(headers.len(), bytes, bytes_max)
}

fn must_fit(count: usize, bytes: usize, bytes_max: usize) -> Result<(), Problem> {
    if count > FIELDS_MAX {
        let detail = format!("it has {count} headers; at most {FIELDS_MAX} are sent");
        return Err(Problem::new(Code::LimitHeaders, detail));
    }
    if bytes > bytes_max {
        let detail = format!("its headers have {bytes} bytes; its limit headers_kib allows {bytes_max}");
        return Err(Problem::new(Code::LimitHeaders, detail));
    }
    Ok(())
}

/// Takes away what is not the guest's to say, and settles how the answer is framed: its length, as far as the guest states
/// it or `body_bytes` is known, for a body that is still to be written. What is stated must be true; without a body it is
/// the length of the body that another method would have brought (RFC 9110, sections 8.6 and 9.3.2).
pub(super) fn frame(parts: &mut Parts, has_body: bool, body_bytes: Option<u64>) -> Result<Option<u64>, Problem> {
    let headers = &mut parts.headers;
    // Few responses have any, and to look costs less than to remove what is not there.
    if headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        for name in &HOP_BY_HOP {
            headers.remove(name);
        }
    }
    let stated = stated_length(headers)?;
    if stated.is_some() {
        headers.remove(header::CONTENT_LENGTH);
    }
    if !has_body {
        let told = stated.or(body_bytes.filter(|bytes| *bytes > 0));
        if let Some(bytes) = told.filter(|_| may_state_length(parts.status)) {
            headers.insert(header::CONTENT_LENGTH, bytes.into());
        }
        return Ok(None);
    }
    match (stated, body_bytes) {
        (Some(stated), Some(known)) if stated != known => {
            Err(bad(format!("it states the length {stated} for a body of {known} bytes")))
        }
        (Some(stated), None) => {
            headers.insert(header::CONTENT_LENGTH, stated.into());
            Ok(Some(stated))
        }
        (_, known) => Ok(known),
    }
}

/// Whether an answer has a body at all, whatever its guest writes (RFC 9110, sections 9.3.2, 15.3.5, 15.3.6 and 15.4.5).
pub fn has_body(method: &Method, status: StatusCode) -> bool {
    let bodiless = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
    *method != Method::HEAD && !bodiless.contains(&status)
}

/// RFC 9110, sections 8.6 and 15.3.6.
fn may_state_length(status: StatusCode) -> bool {
    status != StatusCode::NO_CONTENT && status != StatusCode::RESET_CONTENT
}

/// The length that the head states.
fn stated_length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut stated = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = stated.next() else { return Ok(None) };
    let digits = length.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match (digits.and_then(|text| text.parse().ok()), stated.next()) {
        (Some(bytes), None) => Ok(Some(bytes)),
        _ => Err(bad(format!("it states the length {length:?}, which is not one number"))),
    }
}

fn bad(detail: String) -> Problem {
    Problem::new(Code::GuestBadResponse, detail)
}

/// A guest's text, short enough for an error.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn repeated_headers_stay_in_order() {
        let headers = headers(fields(&[("Set-Cookie", "a"), ("x", "y"), ("set-cookie", "b")]), 100).unwrap();
        assert_eq!(headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn what_would_break_the_wire_is_refused() {
        for (name, value) in [("a b", "x"), ("", "x"), ("x", "a\r\nb: c"), ("x", "\0"), ("é", "x")] {
            assert_eq!(headers(fields(&[(name, value)]), 100).unwrap_err().code, Code::GuestBadResponse, "{name:?}");
        }
        let many = vec![("x", ""); FIELDS_MAX + 1];
        for fields in [fields(&many), fields(&[("x", "a value of 100 bytes, or a few more".repeat(3).as_str())])] {
            assert_eq!(headers(fields, 100).unwrap_err().code, Code::LimitHeaders);
        }
        for code in [0, 100, 101, 199, 600, 999, u16::MAX] {
            assert!(status(code).is_err(), "{code}");
        }
        assert_eq!(status(404).unwrap(), StatusCode::NOT_FOUND);
    }

    fn framed(
        pairs: &[(&str, &str)],
        status: u16,
        has_body: bool,
        known: Option<u64>,
    ) -> Result<(Parts, Option<u64>), Code> {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.headers = headers(fields(pairs), 1000).unwrap();
        parts.status = self::status(status).unwrap();
        let length = frame(&mut parts, has_body, known).map_err(|problem| problem.code)?;
        Ok((parts, length))
    }

    #[test]
    fn the_connection_is_the_hosts_and_lengths_must_be_right() {
        let sent = [("connection", "close"), ("transfer-encoding", "chunked"), ("x", "y")];
        assert_eq!(framed(&sent, 200, true, Some(3)).unwrap().0.headers.len(), 1);
        for (stated, fine) in [("3", true), ("4", false), ("-3", false), ("+3", false), ("x", false)] {
            let framed = framed(&[("content-length", stated)], 200, true, Some(3));
            assert_eq!(
                framed.is_ok_and(|(parts, length)| parts.headers.is_empty() && length == Some(3)),
                fine,
                "{stated}"
            );
        }
        assert!(framed(&[("content-length", "3"), ("content-length", "3")], 200, true, Some(3)).is_err());
        let (parts, length) = framed(&[("content-length", "7")], 200, true, None).unwrap();
        assert_eq!((parts.headers.get("content-length").unwrap().as_bytes(), length), (&b"7"[..], Some(7)));
    }

    #[test]
    fn without_a_body_the_length_is_anothers() {
        let length = |pairs: &[_], status, known| {
            let (parts, length) = framed(pairs, status, false, known).unwrap();
            assert_eq!(length, None);
            parts.headers.get("content-length").map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(length(&[("content-length", "1234")], 200, Some(0)).as_deref(), Some("1234"));
        assert_eq!(length(&[], 200, Some(13)).as_deref(), Some("13"));
        assert_eq!(length(&[], 200, Some(0)), None);
        assert_eq!(length(&[("content-length", "9")], 304, Some(0)).as_deref(), Some("9"));
        assert_eq!(length(&[("content-length", "9")], 204, Some(9)), None);
        assert!(!has_body(&Method::HEAD, StatusCode::OK) && has_body(&Method::GET, StatusCode::OK));
    }
}
