//! Requests that a declared route is for, or the host of an app.

use gust_core::{
    Code, Problem,
    routing::{Action, Lookup, Match, Route},
};
use http::{HeaderName, HeaderValue, Uri, header, request::Parts};

use super::{
    access, admit,
    found::{Found, Mount, PARAM_PREFIX, Refused, Serving, not_found},
    mounted, split,
};
use crate::{routes::Destination, snapshot::Snapshot, status};

/// Where a request goes by its route or host; none where neither says.
pub(super) fn find(snapshot: &Snapshot, head: &Parts, target: &str) -> Option<Result<Found, Refused>> {
    let host = host(head);
    let path = target.split('?').next().unwrap_or_default();
    // Where functions are called by their names on this host; none where it is some route's alone.
    let (first, rest) = mounted::segment(target);
    let owner = snapshot.routes.app_of(host);
    let entry = match owner {
        Some(app) => snapshot.app(app.as_str()),
        None => (!snapshot.routes.claim(host)).then(|| snapshot.default_app()),
    };
    let is_named = || entry.is_some_and(|entry| entry.get(first.split('@').next().unwrap_or_default()).is_some());
    let by_name = || match entry {
        // Its own mounts are found as if there were no routes.
        Some(entry) if entry.app.name.is_default() => None,
        Some(entry) => Some(mounted::find(snapshot, entry, (first, rest, ""), &head.headers)),
        None => Some(Err(not_found(first).into())),
    };
    let is_tilde = first.starts_with('~') && entry.is_some_and(|entry| entry.app.name.is_default());
    // A host that is an app's serves that app, whatever others declare for more hosts.
    let is_foreign = |to: &Destination| owner.is_some_and(|app| to.app != *app);
    match snapshot.routes.declared.find(host, path, &head.method) {
        Lookup::Found(found) if is_foreign(found.value) => by_name(),
        // A function's name is more than a parameter that could be any.
        Lookup::Found(found) if is_vague(found.route) && (is_tilde || is_named()) => by_name(),
        Lookup::MethodNotAllowed(_, to) if is_foreign(to) || is_tilde || is_named() => by_name(),
        Lookup::Found(found) => Some(function_of(snapshot, head, &found)),
        Lookup::MethodNotAllowed(allow, _) => Some(Err(not_allowed(&allow.to_string()))),
        Lookup::Ambiguous | Lookup::NotFound => by_name(),
    }
}

/// Whether a route takes any first segment.
fn is_vague(route: &Route) -> bool {
    route.path().as_str().starts_with("/{")
}

/// The request's host, as it was sent. The target's wins (RFC 9112, section 3.2.2).
fn host(head: &Parts) -> &str {
    let sent = || head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    head.uri.authority().map(http::uri::Authority::as_str).or_else(sent).unwrap_or_default()
}

fn function_of(snapshot: &Snapshot, head: &Parts, found: &Match<'_, '_, Destination>) -> Result<Found, Refused> {
    let Destination { app, function } = found.value;
    let missing = || not_found(function.as_str());
    let binding = snapshot.app(app.as_str()).and_then(|entry| entry.get(function.as_str())).ok_or_else(missing)?;
    let mut cookie = None;
    let main = binding.main().ok_or_else(missing)?;
    let deployment = main.choose(|aliased| split::share(aliased, &head.headers, &mut cookie)).clone();
    let refused = |problem| Refused { problem, deployment: Some(deployment.clone()), allow: None };
    let (called, _) = mounted::segment(head.uri.path());
    access::check(binding, called, deployment.terms.access, false, &head.headers, &snapshot.tokens).map_err(refused)?;
    let serving = match found.route.action() {
        Action::Call => Serving::Deployment(deployment.clone()),
        Action::Redirect(redirect) => {
            let location = redirect.location(found.values(), head.uri.query());
            Serving::Route(deployment.clone(), status::redirect(redirect.status(), &location))
        }
        Action::Respond(respond) => {
            Serving::Route(deployment.clone(), status::fixed(respond.status, &respond.content_type, &respond.body))
        }
    };
    let app_place = admit::quota(binding).map_err(refused)?;
    let target = head.uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
    Ok(Found { serving, app_place, target, mount: Mount::Route, params: params(found), cookie, next: None })
}

fn params(found: &Match<'_, '_, Destination>) -> Vec<(HeaderName, HeaderValue)> {
    let header = |(name, value): (&str, &str)| {
        let name = HeaderName::try_from(format!("{PARAM_PREFIX}{name}")).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    };
    found.params().filter_map(header).collect()
}

fn not_allowed(allow: &str) -> Refused {
    let problem = Problem::new(Code::RouteMethod, format!("it is served for {allow}"));
    Refused { problem, deployment: None, allow: HeaderValue::from_str(allow).ok() }
}
