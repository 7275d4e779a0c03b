//! Headers that speak of a connection and not of a message (RFC 9110, section 7.6.1), and that go no further.

use http::{HeaderMap, HeaderName, header};

static HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers that speak of the message, whatever `Connection` says of them.
static NEVER_HOP_BY_HOP: [HeaderName; 4] =
    [header::HOST, header::CONTENT_LENGTH, header::CONTENT_TYPE, header::AUTHORIZATION];

/// Takes them out, and those that `Connection` names.
pub(crate) fn strip(headers: &mut HeaderMap) {
    strip_named(headers);
    // Few messages have any, and to look costs less than to remove what is not there.
    if headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        for name in &HOP_BY_HOP {
            headers.remove(name);
        }
    }
}

/// The same of what is about to be sent: which trailers come, and that they may, is said anew on every connection.
pub(crate) fn strip_sent(headers: &mut HeaderMap) {
    strip_named(headers);
    let takes_trailers = headers.get(header::TE).is_some_and(|te| te == "trailers");
    for name in HOP_BY_HOP.iter().filter(|name| **name != header::TRAILER && !(takes_trailers && **name == header::TE))
    {
        headers.remove(name);
    }
}

fn strip_named(headers: &mut HeaderMap) {
    if let header::Entry::Occupied(named) = headers.entry(header::CONNECTION) {
        let (_, named) = named.remove_entry_mult();
        for name in named.collect::<Vec<_>>().iter().flat_map(|names| names.to_str().unwrap_or_default().split(',')) {
            let name = name.trim();
            if !NEVER_HOP_BY_HOP.iter().any(|kept| name.eq_ignore_ascii_case(kept.as_str())) {
                headers.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        let sent =
            [("connection", "x-secret, close, Host"), ("connection", "x-hop"), ("x-secret", "1"), ("x-hop", "1")];
        for (name, value) in sent.into_iter().chain([("te", "trailers"), ("trailer", "x-sum"), ("host", "y")]) {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_connection_names_is_stripped_too() {
        let mut headers = headers();
        strip(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["host"]);
    }

    #[test]
    fn trailers_can_be_sent() {
        let mut headers = headers();
        strip_sent(&mut headers);
        let names = |headers: &HeaderMap| {
            let mut names: Vec<String> = headers.keys().map(ToString::to_string).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(names(&headers), ["host", "te", "trailer"]);
        headers.insert(header::TE, HeaderValue::from_static("gzip"));
        strip_sent(&mut headers);
        assert_eq!(names(&headers), ["host", "trailer"]);
    }
}
