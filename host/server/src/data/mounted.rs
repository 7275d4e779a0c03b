//! A function by its name in the path: `{function}[@{version-or-alias}][/rest][?query]`.
//!
//! The function sees what is below its name, beginning with `/`, so that it answers alike wherever it is mounted and on
//! whatever host. Names are compared as sent: an escaped or dotted path never names another function.

use bytes::{BufMut as _, Bytes, BytesMut};
use gust_core::{Access, Code, Problem, name::Reference};
use http::{HeaderMap, HeaderValue, Uri, uri::PathAndQuery};

use super::{
    access, admit,
    found::{Found, Mount, Refused, Serving, not_found},
    split,
};
use crate::{
    binding::{Aliased, Choice},
    pinned,
    snapshot::{Entry, Snapshot},
};

/// A function of an app, by the segment that names it, what follows that, and what comes before.
pub(super) fn find(
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
            let reference = text.parse::<Reference>().ok();
            is_version = matches!(reference, Some(Reference::Version(_)));
            reference.map_or(Choice::Nothing, |reference| binding.of_reference(&reference, &mut share))
        }
    };
    // By what else it could be called is nobody's to find out where it is private.
    let is_hidden = || binding.main().is_some_and(|main| main.first.terms.access == Access::Private);
    let serving = match choice {
        Choice::Kept(_) | Choice::Nothing if is_hidden() => return Err(not_found(name).into()),
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
    access::check(binding, name, access, is_version, headers, &snapshot.tokens).map_err(refused)?;
    let app_place = admit::quota(binding).map_err(refused)?;
    Ok(Found { serving, app_place, target, mount, params: Vec::new(), cookie, next: None })
}

/// The first segment, and what follows it.
pub(super) fn segment(target: &str) -> (&str, &str) {
    let path = target.strip_prefix('/').unwrap_or(target);
    path.split_at(path.find(['/', '?']).unwrap_or(path.len()))
}

/// What the function sees of `/name{rest}`.
pub(super) fn below(rest: &str) -> Result<Uri, Problem> {
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
