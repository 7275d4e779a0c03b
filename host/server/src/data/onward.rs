//! What a request of a function with middleware is still to go through.
//!
//! The functions that a manifest names as `middleware` come before its own: the first gets the request, and whatever a middleware hands on
//! goes to the next of them, at last to the function itself. Each is called as every function is, with a place, limits and a receipt of
//! its own; what is theirs alone is how they are found. Who may call is decided once, before the first, for the function itself.

use std::sync::Arc;

use gust_core::{Code, Problem};
use gust_engine::Scheme;
use http::{HeaderName, HeaderValue, Uri};

use super::{
    caller::Caller,
    found::{Found, Mount, Serving},
    split,
};
use crate::{deployment::Deployment, snapshot::Snapshot};

/// What is still to come, the function itself at least.
#[derive(Clone)]
pub(crate) struct Onward {
    /// How many of its middleware the request was given to.
    passed: usize,
    destined: Arc<Destined>,
}

/// The function that a request is for, and what the host alone tells it.
struct Destined {
    deployment: Arc<Deployment>,
    prefix: Option<HeaderValue>,
    params: Vec<(HeaderName, HeaderValue)>,
    caller: Option<HeaderValue>,
    scheme: Scheme,
}

/// Has a request that was found its function go to the first of its middleware, where it has any. Gives who serves it.
pub(super) fn first(
    snapshot: &Snapshot,
    caller: &Caller<'_>,
    deployment: Arc<Deployment>,
    found: &mut Found,
) -> Result<Arc<Deployment>, Problem> {
    if !deployment.has_middleware() {
        return Ok(deployment);
    }
    let prefix = match &found.mount {
        Mount::Name => Some(deployment.prefix.clone()),
        Mount::At(prefix) => Some(prefix.clone()),
        Mount::Route => None,
    };
    let (params, caller, scheme) = (found.params.clone(), caller.told(), caller.scheme());
    let destined = Arc::new(Destined { deployment, prefix, params, caller, scheme });
    let onward = Onward { passed: 0, destined };
    let (serving, next) = onward.step(snapshot)?;
    found.mount = onward.mount();
    found.next = next;
    Ok(serving)
}

impl Onward {
    /// Where a request goes that a middleware hands on.
    pub(super) fn find(&self, snapshot: &Snapshot, target: Uri) -> Result<Found, Problem> {
        let (deployment, next) = self.step(snapshot)?;
        let (mount, params) = (self.mount(), self.destined.params.clone());
        // It is one request of its app's, which was counted before the first of them.
        Ok(Found {
            serving: Serving::Deployment(deployment),
            app_place: None,
            target,
            mount,
            params,
            cookie: None,
            next,
        })
    }

    /// Who is next, and what comes after that.
    fn step(&self, snapshot: &Snapshot) -> Result<(Arc<Deployment>, Option<Self>), Problem> {
        let destined = &self.destined.deployment;
        let Some(name) = destined.terms.middleware.get(self.passed) else { return Ok((destined.clone(), None)) };
        let binding = snapshot.app(destined.app.as_str()).and_then(|entry| entry.get(name.as_str()));
        let aliased = binding.and_then(|binding| binding.main()).ok_or_else(|| {
            let detail =
                format!("{name}, which is the middleware of {}, is not in the app {}", destined.name, destined.app);
            Problem::new(Code::MiddlewareNotFound, detail)
        })?;
        let next = Self { passed: self.passed + 1, destined: self.destined.clone() };
        Ok((aliased.choose(|_| split::by_chance()).clone(), Some(next)))
    }

    /// All of them see where the function itself is mounted.
    fn mount(&self) -> Mount {
        self.destined.prefix.clone().map_or(Mount::Route, Mount::At)
    }

    /// Who called the function.
    pub(super) fn caller(&self) -> Option<&HeaderValue> {
        self.destined.caller.as_ref()
    }

    /// How its client reached the host.
    pub(super) fn scheme(&self) -> Scheme {
        self.destined.scheme
    }
}
