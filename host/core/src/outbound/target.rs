//! What a request is for, in the one form in which it is compared, resolved and dialled.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use http::Uri;

use crate::routing::HostPattern;

/// How a peer is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    /// As URIs have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port where none is said.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Whom a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name, in lower case, without a dot at its end.
    Name(Box<str>),
    /// An address, IPv4 never in the form of IPv6.
    Address(IpAddr),
}

impl Host {
    /// From a URI's host, an address of IPv6 in brackets.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const NO_ADDRESS: &str = "is no address in its usual form";
        if let Some(rest) = text.strip_prefix('[') {
            let address: Option<Ipv6Addr> = rest.strip_suffix(']').and_then(|address| address.parse().ok());
            return address.map(|address| Self::Address(address.to_canonical())).ok_or(NO_ADDRESS);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        if is_numeric(name) {
            return Err(NO_ADDRESS);
        }
        match HostPattern::parse(Some(name)) {
            Ok(HostPattern::Exact(name)) => Ok(Self::Name(name)),
            _ => Err("is not the name of one"),
        }
    }
}

/// Whether somebody could take a name for an address: whoever resolves `2130706433`, `127.1` and `0x7f.1` does (WHATWG URL,
/// "ends in a number checker").
pub(super) fn is_numeric(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let is_hexadecimal = hexadecimal.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    is_hexadecimal || (!last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// What a request is for, beside its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// How.
    pub scheme: Scheme,
    /// Whom.
    pub host: Host,
    /// At which port.
    pub port: u16,
}

impl Target {
    /// That of a request's URI, or what is wrong with its host.
    pub fn of(uri: &Uri) -> Result<Self, &'static str> {
        let scheme = uri.scheme_str().and_then(Scheme::parse).ok_or("is asked for neither by http nor by https")?;
        let authority = uri.authority().ok_or("is missing")?;
        if authority.as_str().contains('@') {
            return Err("has a user before it");
        }
        let host = Host::parse(authority.host())?;
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("" | ":") => scheme.default_port(),
            Some(rest) => rest.strip_prefix(':').and_then(parse_port).ok_or("has no port that can be")?,
            None => return Err("is not the name of one"),
        };
        Ok(Self { scheme, host, port })
    }

    /// Host and port as a URI and the header `host` have them: the port only where it is not the scheme's.
    pub fn authority(&self) -> String {
        let Self { scheme, host, port } = self;
        if *port == scheme.default_port() { host.to_string() } else { format!("{host}:{port}") }
    }
}

pub(super) fn parse_port(text: &str) -> Option<u16> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0)
}

/// As a manifest has it.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(uri: &str) -> Result<String, &'static str> {
        Target::of(&uri.parse().map_err(|_| "no URI")?).map(|target| target.to_string())
    }

    #[test]
    fn a_target_has_one_form() {
        for (uri, form) in [
            ("http://Example.COM./a?b", "http://example.com"),
            ("http://example.com:80/", "http://example.com"),
            ("https://example.com:80/", "https://example.com:80"),
            ("https://example.com:443", "https://example.com"),
            ("http://example.com:/", "http://example.com"),
            ("http://127.0.0.1./", "http://127.0.0.1"),
            ("http://[::FFFF:127.0.0.1]/", "http://127.0.0.1"),
            ("http://[0:0::1]:81/", "http://[::1]:81"),
            ("http://a_b.xn--mnchen-3ya.de/", "http://a_b.xn--mnchen-3ya.de"),
        ] {
            assert_eq!(target(uri).as_deref(), Ok(form), "{uri}");
        }
    }

    #[test]
    fn what_could_be_taken_for_another_is_none() {
        for uri in [
            "http://0x7f000001/",
            "http://0X7F.1/",
            "http://2130706433/",
            "http://127.1/",
            "http://0177.0.0.1/",
            "http://017700000001./",
            "http://127.0.0.1.1/",
            "http://1.2.3.256/",
            "http://0x/",
            "http://a.0x7f/",
            "http://user@example.com/",
            "http://a:b@example.com/",
            "http://example.com..",
            "http://.example.com/",
            "http://*.example.com/",
            "http://[::1%25lo]/",
            "http://[v1.a]/",
            "http://example.com:0/",
            "http://example.com:99999/",
            "ftp://example.com/",
            "example.com",
            "/a",
            "http://münchen.de/",
        ] {
            assert!(target(uri).is_err(), "{uri}: {:?}", target(uri));
        }
    }

    proptest! {
        #[test]
        fn every_spelling_of_an_address_is_that_address_or_none(value: u32, form in 0..6) {
            let [a, b, c, d] = value.to_be_bytes();
            let host = match form {
                0 => format!("{value}"),
                1 => format!("{value:#x}"),
                2 => format!("0{value:o}"),
                3 => format!("{a}.{b}.{}", u16::from_be_bytes([c, d])),
                4 => format!("{a}.{b}.{c}.{d}"),
                _ => format!("[::ffff:{a}.{b}.{c}.{d}]"),
            };
            match Host::parse(&host) {
                Ok(host) => prop_assert_eq!(host, Host::Address(Ipv4Addr::from(value).into())),
                Err(_) => prop_assert!(form < 4),
            }
        }

        #[test]
        fn no_uri_makes_it_panic(uri in "(http|https)://([a-z0-9.:@%\\[\\]-]){0,40}(/.{0,9})?") {
            if let Ok(Ok(target)) = uri.parse::<Uri>().map(|uri| Target::of(&uri)) {
                let again: Uri = target.to_string().parse().unwrap();
                prop_assert_eq!(Target::of(&again), Ok(target));
            }
        }
    }
}
