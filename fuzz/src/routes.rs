//! Routes and requests: the router finds what the reference of its own tests does, which looks at one route after the other,
//! and two routes are in conflict whichever comes first.

#[path = "../../host/core/src/routing/tests/reference.rs"]
mod reference;

use std::sync::Arc;

use ::http::uri::PathAndQuery;
use arbitrary::{Result, Unstructured};
use gust_core::routing::{Lookup, Route, RouteSpec, Router};

use reference::{are_equal_for, expected, found};

const HOSTS: &[&str] = &["a.test", "b.a.test", "*.a.test", "*.test", "*.b.a.test"];
const SEGMENTS: &[&str] = &["a", "b", "ab", "a.b", "%C3%A9", "{x}", "{y}", "{r...}", ""];
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT"];
const ASKED_HOSTS: &[&str] = &["a.test", "b.a.test", "c.b.a.test", "B.A.Test:80", "test", "a.test.", "c..a.test", ""];
const ASKED_SEGMENTS: &[&str] = &[
    "a", "b", "ab", "a.b", "%C3%A9", "c", "", "%61", "%c3%a9", "é", "%zz", ".", "%2e.", "a%2fb", "b%00", "a\\b",
    "a%2Eb",
];

/// The most routes, and requests.
const MANY: usize = 16;

/// A request: host, path, method.
type Asked = (String, String, &'static str);

/// Routes, and requests of them.
pub fn routes(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let routes = several(&mut bytes, spec).unwrap_or_default();
    let asked = several(&mut bytes, asked).unwrap_or_default();
    let routes = without_conflicts(routes, &asked);
    let router = router(&routes).unwrap();
    for (host, path, method) in &asked {
        assert_eq!(
            found(&router, host, path, method),
            expected(&routes, host, path, method),
            "{method} {host}{path} of {:?}",
            router.routes()
        );
    }
}

/// The routes that can be, without those that are in conflict with an earlier one.
fn without_conflicts(routes: Vec<RouteSpec>, asked: &[Asked]) -> Vec<RouteSpec> {
    let mut kept: Vec<RouteSpec> = Vec::new();
    for route in routes.into_iter().filter(|route| Route::new(1, route).is_ok()) {
        let conflicts = kept.iter().filter(|other| are_in_conflict(other, &route, asked)).count();
        kept.push(route);
        assert_eq!(router(&kept).is_none(), conflicts > 0, "{kept:?}");
        if conflicts > 0 {
            kept.pop();
        }
    }
    kept
}

/// Whether two are in conflict: the same in either order, and wherever they are equal for a request.
fn are_in_conflict(a: &RouteSpec, b: &RouteSpec, asked: &[Asked]) -> bool {
    let pair = |first: &RouteSpec, second: &RouteSpec| router(&[first.clone(), second.clone()]).is_none();
    let conflict = pair(a, b);
    assert_eq!(conflict, pair(b, a), "{a:?} {b:?}");
    let equal = asked.iter().find(|(host, path, method)| are_equal_for(a, b, host, path, method));
    assert!(conflict || equal.is_none(), "{a:?} {b:?} {equal:?}");
    conflict
}

/// None where two are in conflict.
fn router(specs: &[RouteSpec]) -> Option<Router<usize>> {
    let route = |(at, spec)| (Arc::new(Route::new(at + 1, spec).unwrap()), at);
    Router::new(specs.iter().enumerate().map(route).collect()).ok()
}

fn several<T>(bytes: &mut Unstructured<'_>, one: impl Fn(&mut Unstructured<'_>) -> Result<T>) -> Result<Vec<T>> {
    let count = bytes.int_in_range(0..=MANY)?;
    (0..count).map(|_| one(bytes)).collect()
}

fn spec(bytes: &mut Unstructured<'_>) -> Result<RouteSpec> {
    let host = if bytes.ratio(1, 2)? { Some(text(bytes, HOSTS)?) } else { None };
    let path = path(bytes, SEGMENTS)?;
    let methods = several(bytes, |bytes| bytes.choose(METHODS).map(|method| (*method).to_owned()))?;
    Ok(RouteSpec { host, path, methods, ..RouteSpec::default() })
}

/// The path is one that a request can have.
fn asked(bytes: &mut Unstructured<'_>) -> Result<Asked> {
    let (host, path) = (text(bytes, ASKED_HOSTS)?, path(bytes, ASKED_SEGMENTS)?);
    let path = PathAndQuery::try_from(path).map_or("/".to_owned(), |target| target.path().to_owned());
    Ok((host, path, bytes.choose(METHODS)?))
}

fn path(bytes: &mut Unstructured<'_>, known: &[&str]) -> Result<String> {
    let count = bytes.int_in_range(1..=5)?;
    let segments: Vec<String> = (0..count).map(|_| text(bytes, known)).collect::<Result<_>>()?;
    Ok(format!("/{}", segments.join("/")))
}

/// One of these, or now and then what nobody thought of.
fn text(bytes: &mut Unstructured<'_>, known: &[&str]) -> Result<String> {
    let at = bytes.int_in_range(0..=known.len())?;
    known.get(at).map_or_else(|| bytes.arbitrary(), |known| Ok((*known).to_owned()))
}
