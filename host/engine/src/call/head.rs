//! The head of a guest's response, checked before anything of it reaches the wire.
//!
//! The body's length and the connection are the host's to speak of. A guest that states a length must state the right
//! one; whatever else of a connection it speaks of is taken away.

use gust_core::{Code, Problem};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// Headers that speak of a connection and not of a message (RFC 9110, section 7.6.1).
static HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The most header fields of one response, and the most bytes of their names and values together.
const FIELDS_MAX: usize = 1000;
const FIELDS_BYTES_MAX: usize = 128 << 10;

/// The status that `code` stands for: 200 to 599, for informational ones are the host's own.
pub(super) fn status(code: u16) -> Result<StatusCode, Problem> {
    match StatusCode::from_u16(code) {
        Ok(status) if (200..600).contains(&code) => Ok(status),
        _ => Err(bad(format!("it answered with the status {code}; a final status is 200 to 599"))),
    }
}

/// The fields in order, checked.
pub(super) fn headers(fields: Vec<(String, Vec<u8>)>) -> Result<HeaderMap, Problem> {
    let bytes: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    if fields.len() > FIELDS_MAX || bytes > FIELDS_BYTES_MAX {
        let limit = format!("at most {FIELDS_MAX} and {FIELDS_BYTES_MAX} bytes are sent");
        return Err(bad(format!("it has {} headers of {bytes} bytes; {limit}", fields.len())));
    }
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

/// Takes away what is not the guest's to say, and checks the length that it states against the one that is known.
pub(super) fn tidy(headers: &mut HeaderMap, body_bytes: Option<u64>) -> Result<(), Problem> {
    if headers.is_empty() {
        return Ok(());
    }
    // Few responses have any, and to look costs less than to remove what is not there.
    if headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        for name in &HOP_BY_HOP {
            headers.remove(name);
        }
    }
    let Some(body_bytes) = body_bytes else { return Ok(()) };
    let Some(stated) = headers.remove(header::CONTENT_LENGTH) else { return Ok(()) };
    let right = stated.to_str().ok().and_then(|text| text.parse().ok()) == Some(body_bytes);
    if right { Ok(()) } else { Err(bad(format!("it states the length {stated:?} for a body of {body_bytes} bytes"))) }
}

/// The length that the head states for a body whose length is not known yet.
pub(super) fn stated_length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut stated = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = stated.next() else { return Ok(None) };
    let bytes = length.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match (bytes.and_then(|text| text.parse().ok()), stated.next()) {
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
        let headers = headers(fields(&[("Set-Cookie", "a"), ("x", "y"), ("set-cookie", "b")])).unwrap();
        assert_eq!(headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn what_would_break_the_wire_is_refused() {
        for (name, value) in [("a b", "x"), ("", "x"), ("x", "a\r\nb: c"), ("x", "\0"), ("é", "x")] {
            assert_eq!(headers(fields(&[(name, value)])).unwrap_err().code, Code::GuestBadResponse, "{name:?}");
        }
        let many = vec![("x", ""); FIELDS_MAX + 1];
        let long = "x".repeat(FIELDS_BYTES_MAX);
        for fields in [fields(&many), fields(&[("x", &long)])] {
            assert_eq!(headers(fields).unwrap_err().code, Code::GuestBadResponse);
        }
        for code in [0, 100, 101, 199, 600, 999, u16::MAX] {
            assert!(status(code).is_err(), "{code}");
        }
        assert_eq!(status(404).unwrap(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn the_connection_is_the_hosts_and_lengths_must_be_right() {
        let mut map =
            headers(fields(&[("connection", "close"), ("transfer-encoding", "chunked"), ("x", "y")])).unwrap();
        tidy(&mut map, Some(3)).unwrap();
        assert_eq!(map.len(), 1);
        for (stated, fine) in [("3", true), ("4", false), ("-3", false), ("x", false)] {
            let mut map = headers(fields(&[("content-length", stated)])).unwrap();
            assert_eq!(tidy(&mut map, Some(3)).is_ok(), fine, "{stated}");
            assert!(stated_length(&map).is_ok_and(|stated| stated.is_none()), "it is taken out");
        }
    }
}
