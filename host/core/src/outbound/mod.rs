//! Where a function may send requests outside of its host: what its manifest names, what a request is for, and which addresses are
//! open to everybody.
//!
//! Both sides are brought to one form before they are compared: names in lower case and without the dot at their end, addresses as
//! numbers. What is neither a plain name nor an address in its usual form (`0x7f000001`, `127.1`, letters beyond ASCII) is nobody's.

mod destination;
mod network;
mod target;

pub use destination::{DESTINATIONS_MAX, Destination};
pub use network::{Network, Networks, NotANetwork, is_public};
pub use target::{Host, Scheme, Target};

use http::{Method, Uri};

/// The name below which functions have theirs. It leads nowhere else.
const INTERNAL: &str = "gust.internal";

/// The function that a request is for: `resize` where its URI names `resize.gust.internal`. Where it is written in capital letters there is
/// none of that name.
pub fn function_of(uri: &Uri) -> Option<&str> {
    let host = uri.host()?;
    let (before, domain) = host.split_at_checked(host.len().checked_sub(INTERNAL.len())?)?;
    before.strip_suffix('.').filter(|_| domain.eq_ignore_ascii_case(INTERNAL))
}

/// Whether a name is one of those that functions have.
fn is_internal(name: &str) -> bool {
    name.strip_suffix(INTERNAL).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// What a function's owner does so that a request which is not allowed will be.
pub fn advice(method: &Method, uri: &Uri) -> String {
    if let Some(function) = function_of(uri) {
        let small = function.to_ascii_lowercase();
        if small != function {
            return format!(
                "a call of {function} is not allowed: functions are called in small letters, {small}.{INTERNAL}"
            );
        }
        return format!(
            "a call of {function} is not allowed; name it in gust.toml: [allow] functions = [\"{function}\"]"
        );
    }
    match Target::of(uri) {
        Ok(target) => {
            format!("{method} {target} is not allowed; name it in gust.toml: [allow] outbound = [\"{target}\"]")
        }
        Err(why) => format!("a request was refused: its host {why}"),
    }
}

/// Whether one of these allows a request.
pub fn allows(destinations: &[Destination], method: &Method, target: &Target) -> bool {
    destinations.iter().any(|destination| destination.allows(method, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_by_authorities() {
        for (uri, named) in [
            ("http://resize.gust.internal/a?b", Some("resize")),
            ("https://resize.gust.internal:80/", Some("resize")),
            ("http://a.b.gust.internal/", Some("a.b")),
            ("http://gust.internal/", None),
            ("http://xgust.internal/", None),
            ("http://resize.gust.internal.example.com/", None),
            ("http://example.com/resize.gust.internal", None),
            ("http://example.com#resize.gust.internal", None),
            ("/resize", None),
        ] {
            assert_eq!(uri.parse().as_ref().ok().and_then(function_of), named, "{uri}");
        }
    }

    #[test]
    fn a_function_is_named_as_any_host_is() {
        let function = |uri: &str| function_of(&uri.parse().unwrap()).map(str::to_owned);
        assert_eq!(function("http://resize.gust.internal:80/a").as_deref(), Some("resize"));
        assert_eq!(function("http://Resize.GUST.Internal/").as_deref(), Some("Resize"));
        for other in [
            "http://gust.internal/",
            "http://resizegust.internal/",
            "http://internal/",
            "/a",
            "http://a.gust.internal.x/",
        ] {
            assert_eq!(function(other), None, "{other}");
        }
    }

    #[test]
    fn who_is_refused_learns_what_to_write() {
        let advice = |uri: &str| advice(&Method::POST, &uri.parse().unwrap());
        assert!(advice("http://RESIZE.gust.internal/").ends_with("small letters, resize.gust.internal"));
        assert!(advice("http://resize.GUST.internal/").ends_with("[allow] functions = [\"resize\"]"));
        assert!(advice("http://resize.gust.internal/").ends_with("[allow] functions = [\"resize\"]"));
        assert!(
            advice("https://API.example.com/secret?key=1")
                .ends_with("[allow] outbound = [\"https://api.example.com\"]")
        );
        assert!(advice("http://[::1]:81/").ends_with("[allow] outbound = [\"http://[::1]:81\"]"));
        assert!(advice("http://0x7f.1/").contains("its usual form"));
        // What it says to write is taken, and then allows the request.
        for uri in ["https://api.example.com", "http://10.0.0.1:81/x", "https://[fd00::1]/"] {
            let (uri, told): (Uri, String) = (uri.parse().unwrap(), advice(uri));
            let written: Destination = told.split('"').nth(1).unwrap().parse().unwrap();
            assert!(written.allows(&Method::POST, &Target::of(&uri).unwrap()), "{told}");
        }
    }
}
