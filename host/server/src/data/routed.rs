//! Requests that a declared route is for, or the host of an app.

use gust_core::{
    Code, Problem,
    routing::{Action, Lookup, Match},
};
use http::{HeaderName, HeaderValue, Uri, header, request::Parts};

use super::{
    access, admit,
    route::{self, Found, Mount, Refused, Serving},
    split,
};
use crate::{catalog::Snapshot, routes::Destination, status};

/// How headers begin that carry a route's parameters.
pub(super) const PARAM_PREFIX: &str = "x-route-param-";

/// Where a request goes by its route or host; none where neither says.
pub(super) fn find(snapshot: &Snapshot, head: &Parts, target: &str) -> Option<Result<Found, Refused>> {
    let host = host(head);
    let path = target.split('?').next().unwrap_or_default();
    match snapshot.routes.find(host, path, &head.method) {
        Lookup::Found(found) => match found.value {
            Destination::Function(app, function) => {
                // A function's own name is more than a parameter that could be any.
                let is_vague = host_is_any(&found) && found.route.path().as_str().starts_with("/{");
                let named = route::segment(target).0.split('@').next().unwrap_or_default();
                if is_vague && snapshot.default_app().get(named).is_some() {
                    return None;
                }
                Some(function_of(snapshot, head, &found, (app.as_str(), function.as_str())))
            }
            Destination::App(app) => {
                let entry = snapshot.app(app.as_str())?;
                let (first, rest) = route::segment(target);
                Some(route::mounted(snapshot, entry, (first, rest, ""), &head.headers))
            }
        },
        Lookup::MethodNotAllowed(allow) => Some(Err(not_allowed(&allow.to_string()))),
        // A host that somebody has serves nothing else.
        Lookup::Ambiguous | Lookup::NotFound if snapshot.routes.claims_host(host) => {
            Some(Err(route::not_found(route::segment(target).0).into()))
        }
        Lookup::Ambiguous | Lookup::NotFound => None,
    }
}

/// The request's host, as it was sent. The target's wins (RFC 9112, section 3.2.2).
fn host(head: &Parts) -> &str {
    let sent = || head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    head.uri.authority().map(http::uri::Authority::as_str).or_else(sent).unwrap_or_default()
}

fn host_is_any(found: &Match<'_, '_, Destination>) -> bool {
    *found.route.host() == gust_core::routing::HostPattern::Any
}

fn function_of(
    snapshot: &Snapshot,
    head: &Parts,
    found: &Match<'_, '_, Destination>,
    (app, function): (&str, &str),
) -> Result<Found, Refused> {
    let missing = || route::not_found(function);
    let binding = snapshot.app(app).and_then(|entry| entry.get(function)).ok_or_else(missing)?;
    let mut cookie = None;
    let main = binding.main().ok_or_else(missing)?;
    let deployment = main.choose(|aliased| split::share(aliased, &head.headers, &mut cookie)).clone();
    let refused = |problem| Refused { problem, deployment: Some(deployment.clone()), allow: None };
    access::check(binding, deployment.terms.access, false, &head.headers, &snapshot.tokens).map_err(refused)?;
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
    Ok(Found { serving, app_place, target, mount: Mount::Route, params: params(found), cookie })
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
