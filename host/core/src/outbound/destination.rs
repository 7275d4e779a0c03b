//! An entry of `allow.outbound`: whom a function may send requests, and by which methods.

use std::{fmt, str::FromStr};

use http::Method;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{
    Host, Network, Scheme, Target, is_internal,
    target::{is_numeric, parse_port},
};
use crate::routing::{HostPattern, Methods};

/// The most entries that a manifest has.
pub const DESTINATIONS_MAX: usize = 256;

/// Whom a function may send requests: `https://*.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    scheme: Scheme,
    hosts: Hosts,
    port: Port,
    methods: Methods,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    Named(HostPattern),
    Within(Network),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    One(u16),
    Any,
}

impl Destination {
    /// Whether a request may be sent.
    pub fn allows(&self, method: &Method, target: &Target) -> bool {
        let has_port = match self.port {
            Port::One(port) => port == target.port,
            Port::Any => true,
        };
        let has_method = self.methods.are_all() || self.methods.named().contains(method);
        self.scheme == target.scheme && has_port && has_method && self.hosts.have(&target.host)
    }

    /// Whether its hosts have names, rather than addresses.
    pub fn is_named(&self) -> bool {
        matches!(self.hosts, Hosts::Named(_))
    }

    /// Its port; none where it is for every one.
    pub fn port(&self) -> Option<u16> {
        match self.port {
            Port::One(port) => Some(port),
            Port::Any => None,
        }
    }

    /// All of it in a line, as `GET, HEAD https://*.example.com`.
    pub fn told(&self) -> String {
        if self.methods.are_all() {
            return self.to_string();
        }
        let methods: Vec<_> = self.methods.named().iter().map(Method::as_str).collect();
        format!("{} {self}", methods.join(", "))
    }

    /// Whether it is for some methods only.
    pub fn has_methods(&self) -> bool {
        !self.methods.are_all()
    }
}

impl Hosts {
    fn have(&self, host: &Host) -> bool {
        match (self, host) {
            (_, Host::Name(name)) if is_internal(name) => false,
            (Self::Named(HostPattern::Exact(exact)), Host::Name(name)) => exact == name,
            (Self::Named(HostPattern::Below(above)), Host::Name(name)) => name
                .strip_suffix(&**above)
                .and_then(|below| below.strip_suffix('.'))
                .is_some_and(|below| !below.is_empty()),
            (Self::Within(network), Host::Address(address)) => network.contains(*address),
            _ => false,
        }
    }

    /// What stands before the port, and the rest.
    fn parse(text: &str) -> Result<(Self, &str), String> {
        if let Some((inside, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
            if rest.starts_with('/') {
                return Err(
                    "has the bits of its network behind the bracket; write them inside, as in [fd00::/8]".to_owned()
                );
            }
            return Ok((
                Self::Within(inside.parse().map_err(|error| format!("has a host that is none: {error}"))?),
                rest,
            ));
        }
        if text.starts_with('[') {
            return Err("has an address that begins with a bracket and does not end with one".to_owned());
        }
        let (host, rest) = text.split_at(text.find([':', '/']).unwrap_or(text.len()));
        if host.parse::<std::net::Ipv4Addr>().is_ok() {
            let bits = rest
                .strip_prefix('/')
                .map_or(0, |bits| 1 + bits.find(|c: char| !c.is_ascii_digit()).unwrap_or(bits.len()));
            let (network, rest) = text.split_at(host.len() + bits);
            let network = network.parse().map_err(|error| format!("has a host that is none: {error}"))?;
            return Ok((Self::Within(network), rest));
        }
        Ok((Self::Named(named(host)?), rest))
    }
}

fn named(host: &str) -> Result<HostPattern, String> {
    if host.is_empty() {
        return Err("has no host; write it as https://api.example.com".to_owned());
    }
    if host == "*" {
        return Err("is for every host there is; name them, or those below one, as in https://*.example.com".to_owned());
    }
    if is_numeric(host) {
        return Err("has an address in another than its usual form; write it as 10.0.0.5".to_owned());
    }
    let pattern = HostPattern::parse(Some(host)).map_err(|why| format!("has a host that is none: {why}"))?;
    match &pattern {
        HostPattern::Exact(name) | HostPattern::Below(name) if is_internal(name) => {
            Err("is a function of this host; name it in allow.functions".to_owned())
        }
        _ => Ok(pattern),
    }
}

impl Port {
    fn parse(text: &str, scheme: Scheme) -> Result<Self, String> {
        match text.strip_prefix(':') {
            None if text.is_empty() => Ok(Self::One(scheme.default_port())),
            None => Err("has a path; every path of a host is allowed or none, so write it without".to_owned()),
            Some("*") => Ok(Self::Any),
            Some(port) if port.contains('/') => {
                Err("has a path; every path of a host is allowed or none, so write it without".to_owned())
            }
            Some(port) => parse_port(port).map(Self::One).ok_or_else(|| {
                "has a port that is none; it is a number from 1 to 65535, or * for every one".to_owned()
            }),
        }
    }
}

/// Not a destination: what it was, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("outbound: {text:?} {why}")]
pub struct NotADestination {
    text: String,
    why: String,
}

impl FromStr for Destination {
    type Err = NotADestination;

    fn from_str(text: &str) -> Result<Self, NotADestination> {
        parse(text).map_err(|why| NotADestination { text: text.chars().take(100).collect(), why })
    }
}

fn parse(text: &str) -> Result<Destination, String> {
    let (scheme, rest) = text.split_once("://").ok_or("has no scheme; write it as https://api.example.com")?;
    let scheme = Scheme::parse(scheme).ok_or("has another scheme than http and https")?;
    if rest.contains('@') {
        return Err("has a user; a function sends what it logs in with in a header".to_owned());
    }
    if rest.contains(['?', '#']) {
        return Err("has a query or a fragment; write it without".to_owned());
    }
    let (hosts, rest) = Hosts::parse(rest)?;
    Ok(Destination { scheme, hosts, port: Port::parse(rest, scheme)?, methods: Methods::default() })
}

/// Where it is, without methods.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme.as_str())?;
        match &self.hosts {
            Hosts::Named(pattern) => pattern.fmt(f)?,
            Hosts::Within(network) if network.is_v4() => network.fmt(f)?,
            Hosts::Within(network) => write!(f, "[{network}]")?,
        }
        match self.port {
            Port::One(port) if port == self.scheme.default_port() => Ok(()),
            Port::One(port) => write!(f, ":{port}"),
            Port::Any => f.write_str(":*"),
        }
    }
}

/// As it stands where methods are named, too.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WithMethods {
    to: String,
    methods: Vec<String>,
}

impl Serialize for Destination {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.methods.are_all() {
            return serializer.collect_str(self);
        }
        let methods = self.methods.named().iter().map(|method| method.as_str().to_owned()).collect();
        WithMethods { to: self.to_string(), methods }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Destination;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a text as \"https://api.example.com\", or { to = \"https://api.example.com\", methods = [\"POST\"] }",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Destination, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Destination, A::Error> {
        let WithMethods { to, methods } = WithMethods::deserialize(MapAccessDeserializer::new(map))?;
        let wrong = |why: String| de::Error::custom(NotADestination { text: to.chars().take(100).collect(), why });
        if methods.is_empty() {
            return Err(wrong("has no methods; leave `methods` out for all of them".to_owned()));
        }
        let methods = Methods::parse(&methods).map_err(wrong)?;
        Ok(Destination { methods, ..to.parse().map_err(de::Error::custom)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allows(written: &str, uri: &str) -> bool {
        let target = Target::of(&uri.parse().unwrap());
        target.is_ok_and(|target| written.parse::<Destination>().unwrap().allows(&Method::GET, &target))
    }

    #[test]
    fn what_is_written_is_allowed_and_nothing_else() {
        for (written, uri, allowed) in [
            ("https://api.example.com", "https://api.example.com/a", true),
            ("https://api.example.com", "https://API.EXAMPLE.com.:443/a", true),
            ("https://API.example.com", "https://api.example.com/a", true),
            ("https://api.example.com", "http://api.example.com/", false),
            ("https://api.example.com", "https://api.example.com:8443/", false),
            ("https://api.example.com", "https://api.example.com.evil.org/", false),
            ("https://api.example.com", "https://x.api.example.com/", false),
            ("https://api.example.com", "https://evilapi.example.com/", false),
            ("https://*.example.com", "https://a.example.com/", true),
            ("https://*.example.com", "https://a.b.example.com/", true),
            ("https://*.example.com", "https://example.com/", false),
            ("https://*.example.com", "https://.example.com/", false),
            ("https://*.example.com", "https://aexample.com/", false),
            ("https://*.example.com", "https://example.com.evil.org/", false),
            ("http://a.test:8080", "http://a.test:8080/", true),
            ("http://a.test:8080", "http://a.test/", false),
            ("http://a.test:*", "http://a.test:9/", true),
            ("http://a.test:*", "https://a.test:9/", false),
            ("http://10.0.0.5:8080", "http://10.0.0.5:8080/", true),
            ("http://10.0.0.5:8080", "http://[::ffff:10.0.0.5]:8080/", true),
            ("http://10.0.0.5:8080", "http://10.0.0.6:8080/", false),
            ("http://10.0.0.0/8:8080", "http://10.255.0.1:8080/", true),
            ("http://10.0.0.0/8:8080", "http://11.0.0.1:8080/", false),
            ("http://127.0.0.1", "http://0x7f000001/", false),
            ("http://127.0.0.1", "http://2130706433/", false),
            ("http://127.0.0.1", "http://0177.0.0.1/", false),
            ("http://[fd00::/8]:80", "http://[fd12::1]/", true),
            ("http://[::1]", "http://[0:0:0:0:0:0:0:1]/", true),
            ("http://[::1]:*", "http://127.0.0.1/", false),
            ("http://0.0.0.0/0:*", "http://localhost/", false),
            ("http://*.internal", "http://hello.gust.internal/", false),
            ("http://*.internal", "http://hello.gust.internal./", false),
            ("http://*.internal", "http://a.internal./", true),
        ] {
            assert_eq!(allows(written, uri), allowed, "{written} {uri}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (written, told) in [
            ("api.example.com", "has no scheme"),
            ("ftp://a.test", "another scheme"),
            ("HTTPS://a.test", "another scheme"),
            ("https://", "has no host"),
            ("https://*", "every host there is"),
            ("https://a.*.com", "has a * inside"),
            ("https://*.10.0.0.1", "another than its usual form"),
            ("https://a.test/", "has a path"),
            ("https://a.test:80/x", "has a path"),
            ("https://a.test?x", "has a query"),
            ("https://me:pw@a.test", "has a user"),
            ("https://a.test:0", "a port that is none"),
            ("https://a.test:+80", "a port that is none"),
            ("https://a.test:99999", "a port that is none"),
            ("https://a.test:", "a port that is none"),
            ("http://0x7f000001", "usual form"),
            ("http://2130706433", "usual form"),
            ("http://127.1", "usual form"),
            ("http://10.0.0.1/8", "inside of a network"),
            ("http://10.0.0.0/40", "more than 32 bits"),
            ("http://10.0.0.0/8/x", "has a path"),
            ("http://[fd00::]/8:80", "write them inside"),
            ("http://[::ffff:1.2.3.4]", "write 1.2.3.4"),
            ("http://[::1", "does not end with one"),
            ("http://münchen.de", "not in ASCII"),
            ("http://resize.gust.internal", "name it in allow.functions"),
            ("http://*.gust.internal", "name it in allow.functions"),
        ] {
            let error = written.parse::<Destination>().map_err(|error| error.to_string());
            assert!(error.as_ref().is_err_and(|error| error.contains(told)), "{written}: {error:?}");
        }
    }

    #[test]
    fn methods_are_named_or_all() {
        let read = |json: &str| serde_json::from_str::<Destination>(json).map_err(|error| error.to_string());
        let target = Target::of(&"https://a.test/".parse().unwrap()).unwrap();
        let posts = read(r#"{"to": "https://a.test", "methods": ["POST", "PUT"]}"#).unwrap();
        assert!(posts.allows(&Method::POST, &target) && !posts.allows(&Method::GET, &target));
        for destination in [posts, read("\"https://a.test\"").unwrap()] {
            assert_eq!(read(&serde_json::to_string(&destination).unwrap()), Ok(destination));
        }
        assert!(read(r#"{"to": "https://a.test", "methods": []}"#).unwrap_err().contains("has no methods"));
        assert!(read(r#"{"to": "https://a.test", "methods": ["get"]}"#).unwrap_err().contains("not in capitals"));
        assert!(read(r#"{"to": "https://a.test", "method": ["GET"]}"#).unwrap_err().contains("unknown field"));
        assert!(read("3").unwrap_err().contains("https://api.example.com"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}", near in "(http|https)://([a-z0-9.:/*@?\\[\\]-]){0,40}") {
            for text in [text, near] {
                if let Ok(destination) = text.parse::<Destination>() {
                    prop_assert_eq!(destination.to_string().parse(), Ok(destination));
                }
            }
        }

        #[test]
        fn only_what_ends_alike_is_below(name in "[a-z]{1,5}(\\.[a-z]{1,5}){0,3}", above in "[a-z]{1,2}(\\.[a-z]{1,2}){0,1}") {
            let is_below = name.ends_with(&format!(".{above}"));
            prop_assert_eq!(allows(&format!("http://*.{above}"), &format!("http://{name}/")), is_below);
            prop_assert_eq!(allows(&format!("http://{above}"), &format!("http://{name}/")), name == above);
        }
    }
}
