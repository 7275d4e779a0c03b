//! From a request's target to a function: `/{function}[@{version-or-alias}][/rest][?query]`, below `/~{app}` for an app that is
//! not the default one.
//!
//! The function sees what is below its name, beginning with `/`, so that it answers alike wherever it is mounted and on
//! whatever host. Names are compared as sent: an escaped or dotted path never names another function.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use gust_core::{Access, Code, Problem, name::Reference};
use gust_engine::Place;
use http::{HeaderMap, HeaderName, HeaderValue, Response, Uri, request::Parts, uri::PathAndQuery};

use super::{access, admit, routed, split};
use crate::{
    binding::{Aliased, Binding, Choice},
    calls::Call,
    catalog::{Entry, Snapshot},
    deployment::Deployment,
    pinned,
};

/// Where a request goes.
pub(super) struct Found {
    /// What serves it.
    pub(super) serving: Serving,
    /// Its place among the app's requests, where those are limited.
    pub(super) app_place: Option<Place>,
    /// What of the target the function shall see.
    pub(super) target: Uri,
    /// Where the function is mounted.
    pub(super) mount: Mount,
    /// What the route's parameters are, as headers for the function.
    pub(super) params: Vec<(HeaderName, HeaderValue)>,
    /// What keeps the client at the version that it met.
    pub(super) cookie: Option<HeaderValue>,
}

/// Where a function is mounted.
pub(super) enum Mount {
    /// At its name.
    Name,
    /// Here.
    At(HeaderValue),
    /// Nowhere: a route of its own leads to it, and it sees the whole path.
    Route,
}

/// What serves a request.
pub(super) enum Serving {
    /// This deployment.
    Deployment(Arc<Deployment>),
    /// A version that is kept, but that no alias points to.
    Kept(Arc<Binding>, u64),
    /// Nothing: its route says what is answered.
    Route(Arc<Deployment>, Response<Bytes>),
}

impl Serving {
    fn deployment(&self) -> Option<&Arc<Deployment>> {
        match self {
            Self::Deployment(deployment) | Self::Route(deployment, _) => Some(deployment),
            Self::Kept(..) => None,
        }
    }
}

/// A request that goes nowhere, or is refused where it goes.
pub(super) struct Refused {
    /// Why.
    pub(super) problem: Problem,
    /// What refuses it.
    pub(super) deployment: Option<Arc<Deployment>>,
    /// The methods that there are, where its own is not among them.
    pub(super) allow: Option<HeaderValue>,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { problem, deployment: None, allow: None }
    }
}

/// Finds where a request goes: by a route, by the host of an app, or by the function's name in the path.
pub(super) fn find(snapshot: &Snapshot, head: &Parts) -> Result<Found, Refused> {
    let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if !snapshot.routes.are_none()
        && let Some(found) = routed::find(snapshot, head, target)
    {
        return found;
    }
    let (first, rest) = segment(target);
    match first.strip_prefix('~') {
        None => mounted(snapshot, snapshot.default_app(), (first, rest, ""), &head.headers),
        Some(app) => {
            let entry = snapshot.app(app).ok_or_else(|| not_found(first))?;
            let (name, rest) = segment(rest);
            mounted(snapshot, entry, (name, rest, &format!("/{first}")), &head.headers)
        }
    }
}

/// Finds what another function calls: one of its own app, as it serves there.
pub(super) fn of_function(snapshot: &Snapshot, call: &Call, uri: &Uri) -> Result<Found, Refused> {
    let binding = snapshot.app(call.app.as_str()).and_then(|entry| entry.get(call.to.as_str()));
    let binding = binding.ok_or_else(|| not_found(call.to.as_str()))?;
    let missing = || pinned::not_found(&binding.function, binding.alias.as_str());
    let deployment = binding.main().ok_or_else(missing)?.choose(|_| split::by_chance()).clone();
    let target = below(uri.path_and_query().map_or("/", PathAndQuery::as_str))?;
    let refused = |problem| Refused { problem, deployment: Some(deployment.clone()), allow: None };
    let app_place = admit::quota(binding).map_err(refused)?;
    let (mount, params) = (Mount::Name, Vec::new());
    Ok(Found { serving: Serving::Deployment(deployment), app_place, target, mount, params, cookie: None })
}

/// A function of an app, by the segment that names it, what follows that, and what comes before.
pub(super) fn mounted(
    snapshot: &Snapshot,
    entry: &Entry,
    (segment, rest, above): (&str, &str, &str),
    headers: &HeaderMap,
) -> Result<Found, Refused> {
    let (name, reference) = match segment.split_once('@') {
        None => (segment, None),
        Some((name, reference)) => (name, Some(reference)),
    };
    let binding = entry.get(name).ok_or_else(|| not_found(name))?;
    let mut cookie = None;
    let mut share = |aliased: &Aliased| split::share(aliased, headers, &mut cookie);
    let mut is_version = false;
    let choice = match reference {
        None => binding.main().map_or(Choice::Nothing, |main| Choice::Here(main.choose(&mut share))),
        Some(text) => {
            let reference = text.parse::<Reference>().map_err(|_| pinned::not_found(&binding.function, text))?;
            is_version = matches!(reference, Reference::Version(_));
            binding.of_reference(&reference, &mut share)
        }
    };
    let serving = match choice {
        Choice::Here(deployment) => Serving::Deployment(deployment.clone()),
        Choice::Kept(version) => Serving::Kept(binding.clone(), version),
        Choice::Nothing => {
            return Err(pinned::not_found(&binding.function, reference.unwrap_or(binding.alias.as_str())).into());
        }
    };
    let is_usual = reference.is_none() && above.is_empty();
    let at = || HeaderValue::from_str(&format!("{above}/{segment}")).map_or(Mount::Name, Mount::At);
    let mount = if is_usual { Mount::Name } else { at() };
    let target = below(rest)?;
    // Of a version that is not at hand, what counts is that it takes a key.
    let access = serving.deployment().map_or(Access::Key, |deployment| deployment.terms.access);
    let refused = |problem| Refused { problem, deployment: serving.deployment().cloned(), allow: None };
    access::check(binding, access, is_version, headers, &snapshot.tokens).map_err(refused)?;
    let app_place = admit::quota(binding).map_err(refused)?;
    Ok(Found { serving, app_place, target, mount, params: Vec::new(), cookie })
}

/// The first segment, and what follows it.
pub(super) fn segment(target: &str) -> (&str, &str) {
    let path = target.strip_prefix('/').unwrap_or(target);
    path.split_at(path.find(['/', '?']).unwrap_or(path.len()))
}

/// What the function sees of `/name{rest}`.
fn below(rest: &str) -> Result<Uri, Problem> {
    if rest.is_empty() || rest == "/" {
        return Ok(Uri::from_static("/"));
    }
    let mut target = BytesMut::with_capacity(rest.len() + 1);
    if !rest.starts_with('/') {
        target.put_u8(b'/');
    }
    target.extend_from_slice(rest.as_bytes());
    let target: Bytes = target.freeze();
    let malformed = |_| Problem::new(Code::RequestMalformed, "the path or query holds what a URI may not");
    PathAndQuery::from_maybe_shared(target).map(Uri::from).map_err(malformed)
}

/// There is no function of that name, or none that may be known of.
pub(super) fn not_found(name: &str) -> Problem {
    let shown: String = name.chars().take(64).collect();
    let detail = match shown.as_str() {
        "" => "call a function as /{function}; `gust ls` lists them".to_owned(),
        _ => format!("no function {shown:?} is deployed; `gust ls` lists those that are"),
    };
    Problem::new(Code::FunctionNotFound, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_sees_what_is_below_its_name() {
        for (target, name, seen) in [
            ("/resize", "resize", "/"),
            ("/resize/", "resize", "/"),
            ("/resize?w=320", "resize", "/?w=320"),
            ("/resize/a/b?x=/y", "resize", "/a/b?x=/y"),
            ("/resize/../auth", "resize", "/../auth"),
            ("/%2e%2e/auth", "%2e%2e", "/auth"),
            ("//resize", "", "/resize"),
            ("/", "", "/"),
            ("*", "*", "/"),
        ] {
            let (first, rest) = segment(target);
            assert_eq!((first, below(rest).unwrap().to_string().as_str()), (name, seen), "{target}");
        }
    }
}
