//! From a request to what serves it: by a route, by the host of an app, or by the function's name in the path, below `/~{app}` for
//! an app that is not the default one.

use gust_core::{FunctionName, Problem};
use http::{Uri, request::Parts, uri::PathAndQuery};

use super::{
    admit,
    found::{Found, Mount, Refused, Serving, not_found},
    mounted, routed, split,
};
use crate::{calls::Call, pinned, snapshot::Snapshot};

/// Finds where a request goes: by a route, by the host of an app, or by the function's name in the path.
pub(super) fn find(snapshot: &Snapshot, head: &Parts) -> Result<Found, Refused> {
    let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if !snapshot.routes.are_none()
        && let Some(found) = routed::find(snapshot, head, target)
    {
        return found;
    }
    let (first, rest) = mounted::segment(target);
    match first.strip_prefix('~') {
        None => mounted::find(snapshot, snapshot.default_app(), (first, rest, ""), &head.headers),
        Some(app) => {
            let entry = snapshot.app(app).ok_or_else(|| not_found(first))?;
            let (name, rest) = mounted::segment(rest);
            mounted::find(snapshot, entry, (name, rest, &format!("/{first}")), &head.headers)
        }
    }
}

/// What a function sees of another's request.
pub(super) fn below(uri: &Uri) -> Result<Uri, Problem> {
    mounted::below(uri.path_and_query().map_or("/", PathAndQuery::as_str))
}

/// Finds what another function calls: one of its own app, as it serves there.
pub(super) fn of_function(snapshot: &Snapshot, call: &Call, to: &FunctionName, uri: &Uri) -> Result<Found, Refused> {
    let binding = snapshot.app(call.app.as_str()).and_then(|entry| entry.get(to.as_str()));
    let binding = binding.ok_or_else(|| not_found(to.as_str()))?;
    let missing = || pinned::not_found(&binding.function, binding.alias.as_str());
    let deployment = binding.main().ok_or_else(missing)?.choose(|_| split::by_chance()).clone();
    let target = below(uri)?;
    let refused = |problem| Refused { problem, deployment: Some(deployment.clone()), allow: None };
    let app_place = admit::quota(binding).map_err(refused)?;
    let (mount, params) = (Mount::Name, Vec::new());
    Ok(Found { serving: Serving::Deployment(deployment), app_place, target, mount, params, cookie: None, next: None })
}
