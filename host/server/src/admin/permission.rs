//! What a token may do: what each call needs, on what, and whether a grant has it. What may not be seen is told of as if it were
//! not there.

use std::sync::Arc;

use axum::extract::{Query, Request};
use gust_access::{Action, Grant, Resource, token};
use gust_core::{AppName, Code, FunctionName, Problem};
use http::{HeaderValue, Method, Uri};
use serde::Deserialize;

use super::Admin;
use crate::{app::no_app, binding::Binding, changes::no_function, logbook::unix_ms, snapshot::Snapshot};

/// What a call is about.
#[derive(Clone, Copy)]
pub(super) enum On {
    /// The host.
    Host,
    /// The app in the path.
    App,
    /// The function in the path, in any app that it is in.
    Function,
    /// The function in the path, in the app that it belongs to.
    OwnFunction,
    /// The function in the path, or the app that a new one is for.
    Upload,
    /// Whatever the token may see: the call looks itself.
    Seen,
}

/// What functions keep.
const STATE: [&str; 2] = ["/v1/apps/{app}/kv", "/v1/apps/{app}/blobs"];

/// What a call needs. One that is not here is nobody's.
pub(super) fn need(method: &Method, path: &str) -> Option<(Action, On)> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    Some(match path {
        "/metrics" => (Action::Read, On::Host),
        "/v1/functions" | "/v1/apps" | "/v1/tokens" if reads => (Action::Read, On::Seen),
        // Whoever administers something may make tokens for it.
        "/v1/tokens" | "/v1/tokens/{name}" => (Action::Read, On::Seen),
        "/v1/functions/{name}" if *method == Method::PUT => (Action::Deploy, On::Upload),
        // With these it can be run elsewhere, and changed.
        "/v1/functions/{name}/component" | "/v1/functions/{name}/manifest" => (Action::Deploy, On::OwnFunction),
        path if path.starts_with("/v1/functions/{name}") && reads => (Action::Read, On::Function),
        path if path.starts_with("/v1/functions/{name}") => (Action::Deploy, On::OwnFunction),
        "/v1/apps/{app}" if reads => (Action::Read, On::App),
        // Quotas are set by whoever runs the host, not by whom they are for.
        "/v1/apps/{app}" => (Action::Admin, On::Host),
        path if STATE.iter().any(|state| is_at_or_below(path, state)) => (Action::Data, On::App),
        path if path.starts_with("/v1/apps/{app}/") => (Action::Admin, On::App),
        // All that there is, of every app.
        "/v1/backup" | "/v1/restore" => (Action::Admin, On::Host),
        _ => return None,
    })
}

fn is_at_or_below(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What a token grants, by the header that it is sent in.
pub(super) fn grant_of(snapshot: &Snapshot, authorization: &HeaderValue) -> Option<Arc<Grant>> {
    let sent = token::bearer(authorization.as_bytes())?;
    snapshot.tokens.check(sent, unix_ms()).ok().cloned()
}

/// A call that was let in, so that it can be asked again when its body is here: that may take long, and a token may be
/// revoked meanwhile, or what the call is about another's.
pub(super) struct Call {
    pub(super) admin: Arc<Admin>,
    pub(super) action: Action,
    pub(super) on: On,
    pub(super) function: Option<String>,
    pub(super) app: Option<String>,
    pub(super) uri: Uri,
    pub(super) token: Option<HeaderValue>,
}

impl Call {
    /// The call that a request is; none of a listener without tokens.
    pub(super) fn of(request: &Request) -> Option<Arc<Self>> {
        request.extensions().get::<Arc<Self>>().cloned()
    }

    /// Fails where it would not be let in any more.
    pub(super) fn may_still(&self) -> Result<(), Problem> {
        let snapshot = self.admin.changes.catalog.load().clone();
        let revoked = || Problem::new(Code::AuthRequired, "the token was revoked, or expired, while the body was sent");
        let grant = self.token.as_ref().and_then(|token| grant_of(&snapshot, token)).ok_or_else(revoked)?;
        self.may(&snapshot, &grant)
    }

    /// Fails where this grant does not have it.
    pub(super) fn may(&self, snapshot: &Snapshot, grant: &Grant) -> Result<(), Problem> {
        let Self { action, on, function, app, uri, .. } = self;
        may(snapshot, grant, *action, *on, (function.as_deref(), app.as_deref()), uri)
    }
}

fn may(
    snapshot: &Snapshot,
    grant: &Grant,
    action: Action,
    on: On,
    (function, app): (Option<&str>, Option<&str>),
    uri: &Uri,
) -> Result<(), Problem> {
    // What is no name is told of as such, by whoever reads it.
    let function = function.and_then(|name| name.parse::<FunctionName>().ok());
    let app = app.and_then(|name| name.parse::<AppName>().ok());
    match (on, function, app) {
        (On::Seen, ..) => Ok(()),
        (On::Host, ..) => allowed(grant, action, &Resource::Host, || forbidden(action, &Resource::Host)),
        (On::App, _, Some(app)) => allowed(grant, action, &Resource::App(&app), || no_app(&app)),
        (On::Upload, Some(name), _) if snapshot.function(name.as_str()).is_none() => {
            let app = app_in(uri);
            allowed(grant, action, &Resource::App(&app), || no_app(&app))
        }
        (On::Function, Some(name), _) => {
            let is_in = |app: &AppName| snapshot.bindings(name.as_str()).any(|binding| binding.app.name == *app);
            allowed(grant, action, &Resource::Function { name: &name, is_in: &is_in }, || no_function(&name))
        }
        (On::OwnFunction | On::Upload, Some(name), _) => {
            let home = |app: &AppName| snapshot.function(name.as_str()).is_some_and(|binding| binding.home == *app);
            allowed(grant, action, &Resource::Function { name: &name, is_in: &home }, || no_function(&name))
        }
        _ => Ok(()),
    }
}

/// Fails where the scopes do not allow it; as `hidden` where they do not even let it be seen.
fn allowed(
    grant: &Grant,
    action: Action,
    resource: &Resource<'_>,
    hidden: impl FnOnce() -> Problem,
) -> Result<(), Problem> {
    if grant.scopes.allows(action, resource) {
        Ok(())
    } else if grant.scopes.allows(Action::Read, resource) {
        Err(forbidden(action, resource))
    } else {
        Err(hidden())
    }
}

fn forbidden(action: Action, resource: &Resource<'_>) -> Problem {
    let target = match resource {
        Resource::Host => "*".to_owned(),
        Resource::App(app) => format!("app/{app}"),
        Resource::Function { name, .. } => format!("function/{name}"),
    };
    Problem::new(Code::AuthForbidden, format!("it takes a token with the scope {}:{target} for this", action.as_str()))
}

/// The app that a deploy of a new function names. What cannot be read is told of by whoever reads all of it.
fn app_in(uri: &Uri) -> AppName {
    let named = Query::<InApp>::try_from_uri(uri).ok().and_then(|Query(query)| query.app);
    named.unwrap_or_else(AppName::default_app)
}

#[derive(Deserialize)]
struct InApp {
    app: Option<AppName>,
}

/// Fails where a token may not deploy whatever it likes to an app.
pub(super) fn must_deploy_to(grant: &Grant, app: &AppName) -> Result<(), Problem> {
    let resource = Resource::App(app);
    allowed(grant, Action::Deploy, &resource, || forbidden(Action::Deploy, &resource))
}

/// Fails where a token may not deploy a function to an app.
pub(super) fn must_deploy(grant: &Grant, name: &FunctionName, app: &AppName) -> Result<(), Problem> {
    let is_in = |other: &AppName| other == app;
    allowed(grant, Action::Deploy, &Resource::Function { name, is_in: &is_in }, || no_app(app))
}

/// Fails where a token may not have other apps use a function.
pub(super) fn may_share(grant: &Grant, snapshot: &Snapshot, name: &FunctionName) -> Result<(), Problem> {
    may(snapshot, grant, Action::Deploy, On::OwnFunction, (Some(name.as_str()), None), &Uri::default())
}

/// A function in those apps in which a token may read of it, the one that it belongs to first.
pub(super) fn seen<'a>(
    grant: &'a Grant,
    snapshot: &'a Snapshot,
    name: &'a FunctionName,
) -> impl Iterator<Item = &'a Arc<Binding>> {
    let is_home = |binding: &&Arc<Binding>| binding.home == binding.app.name;
    let others = snapshot.bindings(name.as_str()).filter(move |binding| !is_home(binding));
    snapshot.function(name.as_str()).into_iter().chain(others).filter(|binding| may_read(grant, binding))
}

/// Whether a token may read of a function in an app.
fn may_read(grant: &Grant, binding: &Binding) -> bool {
    let is_in = |app: &AppName| binding.app.name == *app;
    grant.scopes.allows(Action::Read, &Resource::Function { name: &binding.function, is_in: &is_in })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_not_listed_is_nobodys() {
        assert!(need(&Method::GET, "/v2/everything").is_none());
        assert!(matches!(need(&Method::GET, "/v1/functions/{name}/logs"), Some((Action::Read, On::Function))));
        assert!(matches!(
            need(&Method::POST, "/v1/functions/{name}/rollback"),
            Some((Action::Deploy, On::OwnFunction))
        ));
        for path in ["/v1/functions/{name}/component", "/v1/functions/{name}/manifest"] {
            assert!(matches!(need(&Method::GET, path), Some((Action::Deploy, On::OwnFunction))), "{path}");
        }
        assert!(matches!(need(&Method::PUT, "/v1/apps/{app}"), Some((Action::Admin, On::Host))));
        for path in ["/v1/apps/{app}/kv", "/v1/apps/{app}/kv/{bucket}", "/v1/apps/{app}/blobs/{container}/{name}"] {
            assert!(matches!(need(&Method::GET, path), Some((Action::Data, On::App))), "{path}");
        }
        for path in ["/v1/apps/{app}/secrets/{key}", "/v1/apps/{app}/kvx"] {
            assert!(matches!(need(&Method::PUT, path), Some((Action::Admin, On::App))), "{path}");
        }
        for (method, path) in [(Method::GET, "/v1/backup"), (Method::HEAD, "/v1/backup"), (Method::PUT, "/v1/restore")]
        {
            assert!(matches!(need(&method, path), Some((Action::Admin, On::Host))), "{path}");
        }
    }

    #[test]
    fn the_app_of_a_deploy_is_in_its_query() {
        let app = |uri: &'static str| app_in(&Uri::from_static(uri)).to_string();
        assert_eq!(app("/x?alias=x&app=shop"), "shop");
        assert_eq!(app("/x?a%70p=sh%6Fp"), "shop", "as it is read later");
        assert_eq!((app("/x?app="), app("/x")), ("default".to_owned(), "default".to_owned()));
    }
}
