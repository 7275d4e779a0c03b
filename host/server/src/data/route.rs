//! From a request's target to a deployment: `/{function}[/rest][?query]`.
//!
//! The function sees what is below its name, beginning with `/`, so that it answers alike wherever it is mounted and on
//! whatever host. The name is compared as sent: an escaped or dotted path never names another function.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use gust_core::{Code, Problem};
use http::{Uri, uri::PathAndQuery};

use crate::catalog::{Deployment, Snapshot};

/// The deployment that `uri` names, and what of the target the function shall see.
pub(super) fn route(snapshot: &Snapshot, uri: &Uri) -> Result<(Arc<Deployment>, Uri), Problem> {
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let (name, rest) = split(target);
    let Some(deployment) = snapshot.get(name) else {
        return Err(not_found(name));
    };
    Ok((deployment.clone(), below(rest)?))
}

/// The deployment of that name, and what of `uri` it shall see: all of it.
pub(super) fn by_name(snapshot: &Snapshot, name: &str, uri: &Uri) -> Result<(Arc<Deployment>, Uri), Problem> {
    let deployment = snapshot.get(name).ok_or_else(|| not_found(name))?;
    Ok((deployment.clone(), below(uri.path_and_query().map_or("/", PathAndQuery::as_str))?))
}

/// The first segment, and what follows it.
fn split(target: &str) -> (&str, &str) {
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

fn not_found(name: &str) -> Problem {
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
            let (first, rest) = split(target);
            assert_eq!((first, below(rest).unwrap().to_string().as_str()), (name, seen), "{target}");
        }
    }
}
