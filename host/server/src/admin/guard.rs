//! What keeps the pages that a browser shows from calling the admin API.
//!
//! The browser of somebody who can reach the listener is a way in that no firewall closes: any page may send requests from
//! there. One that has its own name lead to the listener's address (DNS rebinding) is known by the `Host` that the browser
//! sends, one that calls the listener by its right name by the `Origin`, and forms, which browsers send without asking, by
//! their kind of body. The token would stop all of them; this holds where a token is known to the browser.
//!
//! In this order: the host (421), the origin (403), the token (401), the kind of body (415). Health is exempt: it tells
//! nothing, and whoever balances load calls it by any name.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use gust_core::{Code, HostNames, Problem};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header, uri::Authority};

use super::{Admin, reply::Refusal};

/// Characters of a header that are told back.
const TOLD_MAX: usize = 100;

/// What the listener may be called by.
pub(crate) struct Guard {
    bound: IpAddr,
    names: HostNames,
}

impl Guard {
    /// For a listener at `bound`, which has these names besides.
    pub(crate) fn new(bound: IpAddr, names: HostNames) -> Self {
        Self { bound, names }
    }

    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let hosts = stated_hosts(uri, headers);
        if let Some(foreign) = hosts.iter().find(|host| !self.is_called(host)) {
            return Err(wrong_host(&format!("it was called as {:?}", told(foreign))));
        }
        if hosts.is_empty() {
            return Err(wrong_host("the call says no host"));
        }
        match values(headers, header::ORIGIN).find(|origin| !is_of(origin, &hosts)) {
            Some(foreign) => {
                let detail = format!("the call comes from a page of {:?}", told(&String::from_utf8_lossy(foreign)));
                Err(Problem::new(Code::ApiForeignOrigin, detail))
            }
            None => Ok(()),
        }
    }

    /// Whether this, with a port or without, is the listener.
    fn is_called(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host();
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_own = address.map_or(name.eq_ignore_ascii_case("localhost"), |address| self.is_at(address));
        is_own || self.names.contains(name)
    }

    /// Whether it is reached there. A page cannot make an address of its own lead elsewhere, so where the listener has all
    /// addresses of the machine any will do.
    fn is_at(&self, address: IpAddr) -> bool {
        let is_loopback = address == Ipv4Addr::LOCALHOST || address == Ipv6Addr::LOCALHOST;
        is_loopback || self.bound.is_unspecified() || self.bound == address
    }
}

fn wrong_host(what: &str) -> Problem {
    let detail = format!("{what}; call it by its address or localhost, or give its name in the setting admin_hosts");
    Problem::new(Code::ApiWrongHost, detail)
}

/// Every host that a call says it is for: one, unless the call is up to something.
fn stated_hosts(uri: &Uri, headers: &HeaderMap) -> Vec<String> {
    let in_headers = values(headers, header::HOST).map(|host| String::from_utf8_lossy(host).into_owned());
    uri.authority().map(|authority| authority.as_str().to_owned()).into_iter().chain(in_headers).collect()
}

/// Whether a page of this origin came from the listener itself.
fn is_of(origin: &[u8], hosts: &[String]) -> bool {
    let host = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    host.is_some_and(|host| hosts.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(host)))
}

fn values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    headers.get_all(name).into_iter().map(HeaderValue::as_bytes)
}

fn told(text: &str) -> String {
    text.chars().take(TOLD_MAX).collect()
}

/// Lets a call pass that is for this listener, and from no page but its own.
pub(super) async fn refuse_strangers(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    match admin.guard.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => Refusal(problem).into_response(),
    }
}

/// Lets a call pass whose body is not of a kind that forms have. An upload, which may be a form, looks at that itself.
pub(super) async fn refuse_forms(request: Request, next: Next) -> Response {
    let form = values(request.headers(), header::CONTENT_TYPE).map(String::from_utf8_lossy).find(|kind| is_form(kind));
    match form {
        Some(kind) if !is_upload(&request) => {
            let detail = format!("Content-Type is {:?}; send what docs/api.md says of this call", told(&kind));
            Refusal(Problem::new(Code::ApiContentType, detail)).into_response()
        }
        _ => next.run(request).await,
    }
}

/// Whether a page's form could send it without the browser asking first (the Fetch Standard's safelist).
fn is_form(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "application/x-www-form-urlencoded" | "text/plain") || kind.starts_with("multipart/")
}

fn is_upload(request: &Request) -> bool {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    *request.method() == Method::PUT && path == Some("/v1/functions/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bound: &str, uri: &str, headers: &[(HeaderName, &str)]) -> Option<Code> {
        let guard = Guard::new(bound.parse().unwrap(), "gust.example.com".parse().unwrap());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value.parse().unwrap());
        }
        guard.check(&uri.parse().unwrap(), &map).err().map(|problem| problem.code)
    }

    #[test]
    fn only_its_own_names_are_answered() {
        let called = |bound: &str, host: &str| check(bound, "/", &[(header::HOST, host)]).is_none();
        for own in ["localhost", "LOCALHOST:3001", "127.0.0.1:1", "[::1]:3001", "10.0.0.7:3001", "Gust.example.com"] {
            assert!(called("10.0.0.7", own), "{own}");
        }
        for foreign in ["evil.example", "localhost.evil.example", "10.0.0.8", "[::2]", "", "a b", "localhost:1:2"] {
            assert!(!called("10.0.0.7", foreign), "{foreign}");
        }
        for everywhere in ["0.0.0.0", "::"] {
            assert!(called(everywhere, "10.0.0.8:1") && called(everywhere, "[fd00::1]"));
            assert!(!called(everywhere, "evil.example"));
        }
    }

    #[test]
    fn every_host_that_is_said_must_be_its_own() {
        let host = |host| (header::HOST, host);
        assert_eq!(check("127.0.0.1", "http://localhost/", &[]), None);
        assert_eq!(check("127.0.0.1", "/", &[]), Some(Code::ApiWrongHost));
        for (uri, headers) in [
            ("http://evil.example/", vec![host("localhost")]),
            ("http://localhost/", vec![host("evil.example")]),
            ("/", vec![host("localhost"), host("evil.example")]),
        ] {
            assert_eq!(check("127.0.0.1", uri, &headers), Some(Code::ApiWrongHost), "{uri}");
        }
    }

    #[test]
    fn only_its_own_pages_are_answered() {
        let from = |origin| check("127.0.0.1", "/", &[(header::HOST, "localhost:3001"), (header::ORIGIN, origin)]);
        for own in ["http://localhost:3001", "https://localhost:3001"] {
            assert_eq!(from(own), None);
        }
        for foreign in
            ["http://localhost:3000", "http://localhost", "null", "", "ftp://localhost:3001", "localhost:3001"]
        {
            assert_eq!(from(foreign), Some(Code::ApiForeignOrigin), "{foreign}");
        }
    }

    #[test]
    fn kinds_that_forms_have_are_known() {
        for form in ["text/plain", "Text/Plain; charset=utf-8", "application/x-www-form-urlencoded", "multipart/mixed"]
        {
            assert!(is_form(form), "{form}");
        }
        for other in ["", "application/json", "application/wasm", "application/toml"] {
            assert!(!is_form(other), "{other}");
        }
    }
}
