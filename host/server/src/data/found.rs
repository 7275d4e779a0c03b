//! Where a request goes, or why it goes nowhere.

use std::sync::Arc;

use bytes::Bytes;
use gust_core::{Code, Problem};
use gust_engine::Place;
use http::{HeaderName, HeaderValue, Response, Uri};

use super::onward::Onward;
use crate::{binding::Binding, deployment::Deployment};

/// How headers begin that carry a route's parameters.
pub(super) const PARAM_PREFIX: &str = "x-route-param-";

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
    /// What comes after what serves it, where that is a middleware.
    pub(super) next: Option<Onward>,
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
    pub(super) fn deployment(&self) -> Option<&Arc<Deployment>> {
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

/// There is no function of that name, or none that may be known of.
pub(super) fn not_found(name: &str) -> Problem {
    let shown: String = name.chars().take(64).collect();
    let detail = match shown.as_str() {
        "" => "call a function as /{function}; `gust ls` lists them".to_owned(),
        _ => format!("no function {shown:?} is deployed; `gust ls` lists those that are"),
    };
    Problem::new(Code::FunctionNotFound, detail)
}
