//! Whether a request may begin: its own form, its function's places, its stated size.

use gust_core::{Code, Problem};
use gust_engine::Place;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, request::Parts};

use crate::catalog::Deployment;

/// Headers that speak of a connection and not of a message (RFC 9110, section 7.6.1).
static HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The header that tells a function where it is mounted.
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// A place for one more request of the function.
pub(super) fn place(deployment: &Deployment) -> Result<Place, Problem> {
    deployment.places.try_take().ok_or_else(|| {
        let concurrency = deployment.limits().concurrency;
        let detail = format!("{concurrency} requests of {} are running, its limit concurrency", deployment.name);
        Problem::new(Code::LimitConcurrency, detail)
    })
}

/// Refuses a body whose stated length is over the limit, before any of it is read.
pub(super) fn stated_length(headers: &HeaderMap, deployment: &Deployment) -> Result<(), Problem> {
    let Some(length) = headers.get(header::CONTENT_LENGTH) else { return Ok(()) };
    let bytes_max = deployment.limits().request_body_bytes();
    match length.to_str().ok().and_then(|text| text.parse::<u64>().ok()) {
        Some(bytes) if bytes > bytes_max => Err(super::incoming::too_large(bytes_max)),
        _ => Ok(()),
    }
}

/// Makes a request's head what the guest shall see: its own path, one authority, no word of the connection.
pub(super) fn prepare(head: &mut Parts, target: Uri, deployment: &Deployment) -> Result<(), Problem> {
    // RFC 9112, section 3.2: two hosts could be two functions' to two readers.
    if head.headers.get_all(header::HOST).iter().nth(1).is_some() {
        return Err(Problem::new(Code::RequestMalformed, "the request has more than one Host header"));
    }
    // The target's authority wins over Host (RFC 9112, section 3.2.2); HTTP/2 has it there only.
    if let Some(authority) = head.uri.authority() {
        let malformed = |_| Problem::new(Code::RequestMalformed, "the target's authority is not valid");
        let host = HeaderValue::from_str(authority.as_str()).map_err(malformed)?;
        head.headers.insert(header::HOST, host);
    } else if !head.headers.contains_key(header::HOST) {
        return Err(Problem::new(Code::RequestMalformed, "the request has no Host header"));
    }
    head.uri = target;
    strip_hop_by_hop(&mut head.headers);
    head.headers.insert(FORWARDED_PREFIX, deployment.prefix.clone());
    Ok(())
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if let Some(named) = headers.remove(header::CONNECTION) {
        for name in named.to_str().unwrap_or_default().split(',') {
            headers.remove(name.trim());
        }
    }
    // Few requests have any, and to look costs less than to remove what is not there.
    if headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        for name in &HOP_BY_HOP {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connection_names_is_stripped_too() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("connection", "x-secret, close"), ("x-secret", "1"), ("te", "trailers"), ("x", "y")] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x"]);
    }
}
