//! A matcher to compare with: it looks at one route after the other, and says in numbers how specific each is. It shares
//! nothing with the router but the routes as they are written.

use std::cmp::Reverse;

use super::{Lookup, RouteSpec, Router};

/// What there is for a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// This route, and its parameters' values.
    Found(usize, Vec<String>),
    /// These methods, sorted.
    MethodNotAllowed(Vec<String>),
    Ambiguous,
    NotFound,
}

/// How specific a route is for a host and a path. More is more specific.
type Rank = ((u8, usize), Vec<u8>);

/// What a router has for a request, in the same words.
pub(super) fn found(router: &Router<usize>, host: &str, path: &str, method: &str) -> Expected {
    match router.find(host, path, &method.parse().unwrap()) {
        Lookup::Found(found) => {
            Expected::Found(*found.value, found.values().iter().map(|value| (*value).to_owned()).collect())
        }
        Lookup::MethodNotAllowed(allow, _) => {
            let mut methods: Vec<String> = allow.methods().map(|method| method.to_string()).collect();
            methods.sort();
            Expected::MethodNotAllowed(methods)
        }
        Lookup::Ambiguous => Expected::Ambiguous,
        Lookup::NotFound => Expected::NotFound,
    }
}

pub(super) fn expected(specs: &[RouteSpec], host: &str, path: &str, method: &str) -> Expected {
    if is_ambiguous(path) {
        return Expected::Ambiguous;
    }
    let ranks: Vec<Option<Rank>> = specs.iter().map(|spec| rank(spec, host, path)).collect();
    let Some(best) = ranks.iter().flatten().max() else { return Expected::NotFound };
    let mut places: Vec<usize> = (0..specs.len()).filter(|at| ranks[*at].as_ref() == Some(best)).collect();
    if !is_written_alike(&specs[places[0]].path, path) {
        return Expected::Ambiguous;
    }
    places.sort_by_key(|at| Reverse(method_rank(&specs[*at], method)));
    match method_rank(&specs[places[0]], method) {
        0 => Expected::MethodNotAllowed(allowed(places.iter().map(|at| &specs[*at]))),
        _ => Expected::Found(places[0], values(&specs[places[0]].path, path)),
    }
}

/// Whether both take the request, and neither before the other.
pub(super) fn are_equal_for(a: &RouteSpec, b: &RouteSpec, host: &str, path: &str, method: &str) -> bool {
    let rank = |spec| Some((rank(spec, host, path)?, Some(method_rank(spec, method)).filter(|rank| *rank > 0)?));
    rank(a).is_some() && rank(a) == rank(b)
}

fn allowed<'s>(specs: impl Iterator<Item = &'s RouteSpec>) -> Vec<String> {
    let mut methods: Vec<String> = specs.flat_map(|spec| spec.methods.clone()).collect();
    if methods.contains(&"GET".to_owned()) {
        methods.push("HEAD".to_owned());
    }
    methods.sort();
    methods.dedup();
    methods
}

fn method_rank(spec: &RouteSpec, method: &str) -> u8 {
    let names = |method: &str| spec.methods.iter().any(|named| named == method);
    match () {
        () if names(method) => 3,
        () if method == "HEAD" && names("GET") => 2,
        () if spec.methods.is_empty() => 1,
        () => 0,
    }
}

fn rank(spec: &RouteSpec, host: &str, path: &str) -> Option<Rank> {
    Some((host_rank(spec.host.as_deref(), host)?, path_rank(&spec.path, path)?))
}

fn host_rank(pattern: Option<&str>, host: &str) -> Option<(u8, usize)> {
    let Some(pattern) = pattern.map(str::to_lowercase) else { return Some((0, 0)) };
    let mut host = host.to_lowercase();
    if let Some(colon) = host.rfind(':').filter(|at| host[at + 1..].chars().all(|c| c.is_ascii_digit())) {
        host.truncate(colon);
    }
    if host.ends_with('.') {
        host.pop();
    }
    let Some(below) = pattern.strip_prefix('*') else { return (pattern == host).then_some((2, 0)) };
    let labels = host.strip_suffix(below)?;
    labels.split('.').all(|label| !label.is_empty()).then_some((1, below.len()))
}

/// From the left: a literal, a parameter, the end, the rest.
fn path_rank(pattern: &str, path: &str) -> Option<Vec<u8>> {
    let (patterns, segments) = (taken_apart(pattern), taken_apart(path));
    let mut rank = Vec::new();
    for (at, pattern) in patterns.iter().enumerate() {
        if pattern.ends_with("...}") {
            rank.push(0);
            return Some(rank);
        }
        let segment = segments.get(at)?;
        match pattern.starts_with('{') {
            true if !segment.is_empty() => rank.push(2),
            false if meaning(pattern) == meaning(segment) => rank.push(3),
            _ => return None,
        }
    }
    rank.push(1);
    (patterns.len() == segments.len()).then_some(rank)
}

fn is_written_alike(pattern: &str, path: &str) -> bool {
    taken_apart(pattern)
        .iter()
        .zip(taken_apart(path))
        .all(|(pattern, sent)| pattern.starts_with('{') || *pattern == sent)
}

fn values(pattern: &str, path: &str) -> Vec<String> {
    let segments = taken_apart(path);
    let value = |(at, pattern): (usize, &&str)| match pattern.starts_with('{') {
        false => None,
        true if pattern.ends_with("...}") => Some(segments[at..].join("/")),
        true => Some(segments[at].to_owned()),
    };
    taken_apart(pattern).iter().enumerate().filter_map(value).collect()
}

fn taken_apart(path: &str) -> Vec<&str> {
    path[1..].split('/').collect()
}

fn is_ambiguous(path: &str) -> bool {
    taken_apart(path).iter().any(|segment| {
        let meaning = meaning(segment);
        meaning == b"." || meaning == b".." || meaning.iter().any(|b| b"/\\\0".contains(b))
    })
}

fn meaning(segment: &str) -> Vec<u8> {
    let Some((before, after)) = segment.split_once('%') else { return segment.as_bytes().to_vec() };
    let is_escape = after.len() >= 2 && after.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
    let (byte, left) = match is_escape {
        true => (u8::from_str_radix(&after[..2], 16).unwrap(), &after[2..]),
        false => (b'%', after),
    };
    [before.as_bytes(), &[byte], &meaning(left)].concat()
}
