//! Whether a request may begin: its own form, its function's places, its stated size.

use std::{net::Ipv6Addr, time::Duration};

use gust_core::{Code, Limits, Problem};
use gust_engine::{Awaited, Place};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header, request::Parts, uri::Authority};
use tokio::time;

use super::{access, caller::CALLER, found::PARAM_PREFIX, visit::Visit};
use crate::{binding::Binding, deployment::Deployment, hop_by_hop, logbook::unix_ms};

/// Names and values of a request's headers, in bytes.
const HEADERS_BYTES_MAX: usize = 16 << 10;

/// The header that tells a function where it is mounted.
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// The longest method, in bytes. The longest that is registered (IANA HTTP Method Registry) has 17.
const METHOD_BYTES_MAX: usize = 32;

/// Refuses methods that are no function's business.
pub(super) fn method(method: &Method) -> Result<(), Problem> {
    let refused = |what: &str| Err(Problem::new(Code::MethodNotSupported, format!("{what} is not served here")));
    match method.as_str() {
        "CONNECT" | "TRACE" => refused(method.as_str()),
        long if long.len() > METHOD_BYTES_MAX => refused(&format!("a method of {} bytes", long.len())),
        _ => Ok(()),
    }
}

/// The method as it is logged: short, even where the request is refused for its length.
pub(super) fn told_method(method: &Method) -> Method {
    match method.as_str().as_bytes().get(..METHOD_BYTES_MAX) {
        Some(begin) if begin.len() < method.as_str().len() => Method::from_bytes(begin).unwrap_or_default(),
        _ => method.clone(),
    }
}

/// Whether a request may begin now.
pub(super) enum Admitted {
    /// It has its place.
    Now(Place),
    /// It gets one when another request is over.
    Later(Awaited),
}

/// A place for one more request of the function, or for one more that waits for a place.
pub(super) fn place(deployment: &Deployment) -> Result<Admitted, Problem> {
    if let Some(place) = deployment.places.try_take() {
        return Ok(Admitted::Now(place));
    }
    let Limits { concurrency, queue, .. } = *deployment.limits();
    deployment.places.queue(queue as usize).map(Admitted::Later).ok_or_else(|| {
        let name = &deployment.name;
        match queue {
            0 => {
                let detail = format!("{concurrency} requests of {name} are running, its limit concurrency");
                Problem::new(Code::LimitConcurrency, detail)
            }
            _ => {
                let detail = format!("{concurrency} requests of {name} are running and {queue} wait, its limit queue");
                Problem::new(Code::LimitQueue, detail)
            }
        }
    })
}

/// The place that a request waits for, unless that takes longer than it may.
pub(super) async fn awaited(deployment: &Deployment, place: Awaited, visit: &mut Visit) -> Result<Place, Problem> {
    let Limits { queue_ms, wall_ms, .. } = *deployment.limits();
    let wait = Duration::from_millis(queue_ms.min(wall_ms).into());
    let taken = time::timeout(wait, place.taken()).await;
    visit.waited(visit.began().elapsed());
    taken.map_err(|_| {
        let detail = format!("no place of {} became free within {queue_ms} ms, its limit queue_ms", deployment.name);
        Problem::new(Code::LimitQueueTime, detail)
    })
}

/// Whether the function's app may have one more request now. What it gives is held until the request is over.
pub(super) fn quota(binding: &Binding) -> Result<Option<Place>, Problem> {
    binding.app.quota.admit(unix_ms)
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

/// Refuses a head that says to one reader what it does not say to another, or that says too much.
pub(super) fn unambiguous(head: &Parts) -> Result<(), Problem> {
    fields(&head.headers)?;
    // HTTP/2 has it in the target only.
    let host = head.headers.get(header::HOST);
    if host.is_some() || head.version < Version::HTTP_2 {
        must_be_host(host)?;
    }
    // The target's authority wins over Host (RFC 9112, section 3.2.2).
    if let Some(authority) = head.uri.authority() {
        let malformed = |_| Problem::new(Code::RequestMalformed, "the target's authority is not valid");
        let host = HeaderValue::from_str(authority.as_str()).map_err(malformed)?;
        must_be_host(Some(&host))?;
    } else if host.is_none() {
        return Err(Problem::new(Code::RequestMalformed, "the request names no host"));
    }
    Ok(())
}

/// Looks at each header once: how large they are together, and at those that decide where a request goes and where it ends.
fn fields(headers: &HeaderMap) -> Result<(), Problem> {
    let malformed = |detail: String| Err(Problem::new(Code::RequestMalformed, detail));
    let (mut bytes, mut hosts, mut callers) = (0, 0, 0);
    for (name, value) in headers {
        bytes += name.as_str().len() + value.len();
        if *name == header::HOST {
            hosts += 1;
        } else if *name == header::AUTHORIZATION {
            callers += 1;
        } else if *name == header::TRANSFER_ENCODING && !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
            // hyper takes any that ends so, and its guest would get what is still encoded.
            return malformed("the only transfer-encoding that is taken is chunked".to_owned());
        } else if *name == header::UPGRADE && is_websocket(value) {
            let detail = "an upgrade to websocket is not served here";
            return Err(Problem::new(Code::MethodNotSupported, detail));
        }
    }
    // RFC 9112, section 3.2: two hosts could be two functions' to two readers. So could two callers.
    for (count, name) in [(hosts, header::HOST), (callers, header::AUTHORIZATION)] {
        if count > 1 {
            return malformed(format!("the request has more than one {name} header"));
        }
    }
    if bytes > HEADERS_BYTES_MAX {
        let detail = format!("the headers have {bytes} bytes; at most {HEADERS_BYTES_MAX} are taken");
        return Err(Problem::new(Code::RequestHeadersTooLarge, detail));
    }
    Ok(())
}

/// Other upgrades are passed over, as a server may (RFC 9110, section 7.8): clients offer HTTP/2 so. This one is meant.
fn is_websocket(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|names| names.split(',').any(|name| name.trim().eq_ignore_ascii_case("websocket")))
}

/// Makes a request's head what the guest shall see: its own path, one authority, no word of the connection.
pub(super) fn prepare(head: &mut Parts, target: Uri, prefix: Option<HeaderValue>) {
    let authority = head.uri.authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    if let Some(Ok(host)) = authority {
        head.headers.insert(header::HOST, host);
    }
    head.uri = target;
    hop_by_hop::strip(&mut head.headers);
    strip_hosts_own(&mut head.headers);
    access::strip(&mut head.headers);
    match prefix {
        Some(prefix) => head.headers.insert(FORWARDED_PREFIX, prefix),
        None => head.headers.remove(FORWARDED_PREFIX),
    };
}

/// A host and perhaps a port, as RFC 9110, section 7.2, has it.
fn must_be_host(value: Option<&HeaderValue>) -> Result<(), Problem> {
    let malformed = |detail| Err(Problem::new(Code::RequestMalformed, detail));
    let Some(value) = value else { return malformed("the request has no Host header") };
    match Authority::try_from(value.as_bytes()) {
        Ok(authority) if is_host(&authority) => Ok(()),
        _ => malformed("the request's host is not a host with an optional port"),
    }
}

fn is_host(authority: &Authority) -> bool {
    let (text, host) = (authority.as_str(), authority.host());
    let port = text.strip_prefix(host).and_then(|rest| rest.strip_prefix(':'));
    let has_port = port.is_none_or(|port| port.is_empty() || port.parse::<u16>().is_ok());
    let named = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => !host.is_empty(),
    };
    !text.contains('@') && named && has_port
}

/// Takes out what only the host says: a route's parameters, and which function calls.
fn strip_hosts_own(headers: &mut HeaderMap) {
    let is_hosts_own = |name: &&HeaderName| name.as_str().starts_with(PARAM_PREFIX) || **name == CALLER;
    while let Some(name) = headers.keys().find(is_hosts_own).cloned() {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_says_what_is_its_own() {
        let mut headers = HeaderMap::new();
        for name in ["x-route-param-id", "x-gust-caller", "x-gust-callers", "x-route-param-a"] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("1"));
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("2"));
        }
        strip_hosts_own(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-gust-callers"]);
    }

    #[test]
    fn a_host_is_a_host() {
        for (host, fine) in [
            ("example.com", true),
            ("example.com:8080", true),
            ("[::1]:80", true),
            ("", false),
            ("a b", false),
            ("a/b", false),
            ("user@example.com", false),
            ("example.com:port", false),
            ("example.com:99999", false),
            (":80", false),
            ("[zz]", false),
        ] {
            assert_eq!(must_be_host(Some(&HeaderValue::from_static(host))).is_ok(), fine, "{host:?}");
        }
        assert!(must_be_host(None).is_err());
    }

    #[test]
    fn methods_have_an_end() {
        assert!(method(&Method::from_bytes(&[b'A'; METHOD_BYTES_MAX]).unwrap()).is_ok());
        for refused in [&[b'A'; METHOD_BYTES_MAX + 1][..], b"CONNECT", b"TRACE"] {
            assert!(method(&Method::from_bytes(refused).unwrap()).is_err());
        }
    }
}
