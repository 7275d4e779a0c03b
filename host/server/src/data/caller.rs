//! Who sends a request, and what of its way that decides.

use std::sync::Arc;

use gust_core::{Code, Problem};
use gust_engine::Scheme;
use http::{HeaderName, HeaderValue, request::Parts};
use tokio::time::Instant;

use super::{
    found::{Found, Refused, Serving},
    onward,
    outgoing::Way,
    route,
};
use crate::{
    calls::{Call, To},
    patience::{Activity, Work},
    snapshot::Snapshot,
};

/// Functions that may wait for each other's answers, one for the other. A function that calls itself would not end before
/// all instances are taken.
const DEPTH_MAX: u8 = 16;

/// The header that tells a function which one calls it.
pub(super) const CALLER: HeaderName = HeaderName::from_static("x-gust-caller");

/// Who sends a request.
pub(super) enum Caller<'a> {
    /// A client, over a connection of the data listener, whose answers are `alone` where nothing else is on it at the same time.
    Client { activity: &'a Arc<Activity>, scheme: Scheme, alone: bool },
    /// Another function, in memory.
    Function(&'a Call),
}

impl Caller<'_> {
    /// Where the request goes.
    pub(super) fn find(&self, snapshot: &Snapshot, head: &Parts) -> Result<Found, Refused> {
        let mut found = match self {
            Self::Client { .. } => route::find(snapshot, head)?,
            Self::Function(call) => match &call.to {
                To::Named(to) => route::of_function(snapshot, call, to, &head.uri)?,
                To::Next(onward) => return Ok(onward.find(snapshot, route::below(&head.uri)?)?),
            },
        };
        if let Serving::Deployment(deployment) = &found.serving
            && deployment.has_middleware()
        {
            let deployment = deployment.clone();
            let refused = |problem| Refused { problem, deployment: Some(deployment.clone()), allow: None };
            let first = onward::first(snapshot, self, deployment.clone(), &mut found).map_err(refused)?;
            found.serving = Serving::Deployment(first);
        }
        Ok(found)
    }

    /// What the function that is called learns of the one that calls.
    pub(super) fn told(&self) -> Option<HeaderValue> {
        match self {
            Self::Client { .. } => None,
            Self::Function(call) => match &call.to {
                // A name is letters, digits and hyphens, so it is always a header's value.
                To::Named(_) => HeaderValue::from_str(call.from.as_str()).ok(),
                To::Next(onward) => onward.caller().cloned(),
            },
        }
    }

    /// How many functions wait for the answer, one for the other.
    pub(super) fn depth(&self) -> Result<u8, Problem> {
        let Self::Function(Call { from, invocation, .. }) = self else { return Ok(0) };
        if invocation.depth >= DEPTH_MAX {
            let detail =
                format!("{from} was called by {DEPTH_MAX} others, one by the other; does one of them call itself?");
            return Err(Problem::new(Code::RequestLoop, detail));
        }
        Ok(invocation.depth + 1)
    }

    /// Fails where whoever calls has no more time: what would be begun then is for nobody.
    pub(super) fn has_time(&self) -> Result<(), Problem> {
        match self {
            Self::Function(call) if call.invocation.deadline <= Instant::now() => {
                Err(Problem::new(Code::LimitWall, "whoever called it had no more time"))
            }
            _ => Ok(()),
        }
    }

    /// When it must be over: when the function's own time is, or that of whoever waits for it.
    pub(super) fn deadline(&self, own: Instant) -> Instant {
        match self {
            Self::Client { .. } => own,
            Self::Function(call) => own.min(call.invocation.deadline),
        }
    }

    /// The connection that its body comes on.
    pub(super) fn connection(&self) -> Option<&Arc<Activity>> {
        match self {
            Self::Client { activity, .. } => Some(activity),
            Self::Function(_) => None,
        }
    }

    /// How its answer leaves.
    pub(super) fn way(&self) -> Way<'_> {
        match self {
            Self::Function(_) => Way::InMemory,
            Self::Client { alone: true, .. } => Way::Alone,
            Self::Client { activity, .. } => Way::Shared(activity),
        }
    }

    /// How it reached the host.
    pub(super) fn scheme(&self) -> Scheme {
        match self {
            Self::Client { scheme, .. } => *scheme,
            Self::Function(Call { to: To::Next(onward), .. }) => onward.scheme(),
            Self::Function(_) => Scheme::Http,
        }
    }

    /// Says on the connection that a function is at work. Where there is none, the calling function's is told already.
    pub(super) fn works(&self, deadline: Instant) -> Option<Work> {
        match self {
            Self::Client { activity, alone, .. } => Some(activity.work(deadline, *alone)),
            Self::Function(_) => None,
        }
    }
}
