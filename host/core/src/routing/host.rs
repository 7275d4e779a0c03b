//! Hosts: the pattern of a route, and the name that a request asks for.
//!
//! Both are compared in lower case. Of a request's host the port counts for nothing, nor does the dot at the end of a name
//! that is written in full: `shop.example.com.:8443` is `shop.example.com`.

use std::fmt;

use arrayvec::ArrayString;

use super::shown;

/// The longest name of a host, in bytes (RFC 1035, section 2.3.4).
pub const HOST_BYTES_MAX: usize = 253;

/// The longest label of one, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// Which hosts a route is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// All of them.
    Any,
    /// The host of this name.
    Exact(Box<str>),
    /// The hosts that have one label or more before this name: `*.example.com` is below `example.com`.
    Below(Box<str>),
}

impl HostPattern {
    /// From a route's `host`.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, String> {
        let Some(text) = text else { return Ok(Self::Any) };
        let wrong = |why: &str| Err(format!("the host {} {why}", shown(text)));
        let (name, is_wildcard) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        if name.is_empty() || name == "*" {
            return wrong("names none; leave it out for a route of every host");
        }
        if name.contains('*') {
            return wrong("has a * inside; a wildcard is the whole first label, as in *.example.com");
        }
        if name.contains([':', '[']) {
            return wrong("has a port, or is no name; write the name alone, a route is for every port");
        }
        if !name.is_ascii() {
            return wrong("is not in ASCII; write it as DNS has it (xn--...)");
        }
        if name.len() > HOST_BYTES_MAX || !name.split('.').all(is_label) {
            return wrong(
                "is not a name: labels of 1 to 63 letters, digits, - and _, with dots between, 253 bytes at most",
            );
        }
        if is_wildcard && ends_in_number(name) {
            return wrong("is below an address; only names have others below them");
        }
        let name = name.to_ascii_lowercase().into();
        Ok(if is_wildcard { Self::Below(name) } else { Self::Exact(name) })
    }
}

fn is_label(label: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(is_inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Whether it is an address rather than a name.
fn ends_in_number(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Exact(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

/// Where a name is written that has to be put in lower case.
pub(super) type Folded = ArrayString<HOST_BYTES_MAX>;

/// The name of a request's host, as it is compared. None where it is too long for a name: no route has it.
pub(super) fn name_of<'b>(host: &'b str, folded: &'b mut Folded) -> Option<&'b str> {
    let name = without_port(host);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > HOST_BYTES_MAX {
        return None;
    }
    if !name.bytes().fold(false, |any, b| any | b.is_ascii_uppercase()) {
        return Some(name);
    }
    folded.clear();
    folded.try_push_str(name).ok()?;
    folded.make_ascii_lowercase();
    Some(folded)
}

/// The names that a name is below, the longest first, as far as its labels are not empty. An address is below none.
pub(super) fn parents(name: &str) -> impl Iterator<Item = &str> {
    let name = Some(name).filter(|name| !ends_in_number(name));
    std::iter::successors(name, |name| parent(name)).skip(1)
}

/// What is left of a name without its first label.
fn parent(name: &str) -> Option<&str> {
    let (label, parent) = name.split_once('.')?;
    (!label.is_empty()).then_some(parent)
}

/// An address of IPv6 has colons of its own, but stands in brackets.
fn without_port(host: &str) -> &str {
    host.trim_end_matches(|c: char| c.is_ascii_digit()).strip_suffix(':').unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_or_what_is_below_one() {
        let parse = |text| HostPattern::parse(Some(text));
        assert_eq!(HostPattern::parse(None), Ok(HostPattern::Any));
        assert_eq!(parse("Shop.Example.COM"), Ok(HostPattern::Exact("shop.example.com".into())));
        assert_eq!(parse("*.example.com"), Ok(HostPattern::Below("example.com".into())));
        assert_eq!(parse("127.0.0.1"), Ok(HostPattern::Exact("127.0.0.1".into())));
        assert_eq!(parse("my_service").unwrap().to_string(), "my_service");
        assert_eq!(parse("*.Example.com").unwrap().to_string(), "*.example.com");
        let (long_label, long) = ("x".repeat(64), ["x".repeat(63).as_str(); 4].join("."));
        for (bad, why) in [
            ("", "leave it out"),
            ("*", "leave it out"),
            ("*.*", "leave it out"),
            ("a.*.b", "a wildcard is"),
            ("*a.b", "a wildcard is"),
            ("a.b:80", "every port"),
            ("[::1]", "every port"),
            ("bücher.example", "xn--"),
            ("a..b", "labels"),
            ("a.b.", "labels"),
            (".a", "labels"),
            ("-a.b", "labels"),
            ("a b", "labels"),
            ("a/b", "labels"),
            ("*.0.0.1", "below an address"),
            (&long_label, "labels"),
            (&long, "labels"),
        ] {
            assert!(parse(bad).unwrap_err().contains(why), "{bad:?}: {:?}", parse(bad));
        }
    }

    #[test]
    fn a_requests_host_is_its_name_in_lower_case() {
        let name = |host: &str| name_of(host, &mut Folded::new()).map(str::to_owned);
        for (host, expected) in [
            ("shop.example.com", "shop.example.com"),
            ("SHOP.example.COM:8443", "shop.example.com"),
            ("shop.example.com.", "shop.example.com"),
            ("shop.example.com.:80", "shop.example.com"),
            ("shop.example.com:", "shop.example.com"),
            ("shop-12", "shop-12"),
            ("[::1]:3000", "[::1]"),
            ("[::1]", "[::1]"),
            ("127.0.0.1:3000", "127.0.0.1"),
            ("", ""),
        ] {
            assert_eq!(name(host).as_deref(), Some(expected));
        }
        for long in ["x".repeat(254), "X".repeat(254)] {
            assert_eq!((name(&long), name(&long[1..])), (None, Some("x".repeat(253))));
        }
    }

    #[test]
    fn a_name_is_below_others() {
        let parents = |name| parents(name).collect::<Vec<_>>();
        assert_eq!(parents("a.b.example.com"), ["b.example.com", "example.com", "com"]);
        for none in ["localhost", "", ".", "[::1]", ".example.com", "127.0.0.1"] {
            assert!(parents(none).is_empty(), "{none}");
        }
        assert_eq!(parents("a..example.com"), [".example.com"], "an empty label is none");
    }
}
