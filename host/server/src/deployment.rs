//! One version of a function in one app: what a request that was routed needs to know of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use gust_core::{
    Access, AppName, Digest, FunctionName, InstanceMode, Limits, Manifest, StateName, Tier,
    component::Granted,
    manifest::{Allow, Bucket},
    routing::Route,
};
use gust_engine::{Places, Share};
use http::HeaderValue;

use crate::{
    function_metrics::FunctionMetrics, health::Health, logbook::FunctionLog, quota::CpuAccount, residence::Residence,
};

/// One version of a function in one app. It is small: what it takes to serve it is [loaded](crate::loader) when it is called.
pub(crate) struct Deployment {
    /// Tells it from every other that there ever was in this process.
    pub(crate) serial: u64,
    /// The app whose configuration it has.
    pub(crate) app: AppName,
    /// The function's name.
    pub(crate) name: FunctionName,
    /// The version, for this function.
    pub(crate) version: u64,
    /// The component's size.
    pub(crate) size_bytes: u64,
    /// When it was deployed.
    pub(crate) deployed_unix_ms: u64,
    /// How it is served.
    pub(crate) terms: Terms,
    /// The loaded component, while it is loaded, or why it cannot be.
    pub(crate) residence: Residence,
    /// Places for requests that run at the same time.
    pub(crate) places: Arc<Places>,
    /// Where it is mounted, as a header for the guest.
    pub(crate) prefix: HeaderValue,
    /// What it and the host say of its requests.
    pub(crate) log: Arc<FunctionLog>,
    /// What is counted of its requests.
    pub(crate) metrics: Arc<FunctionMetrics>,
    /// What the app's guests ran today.
    pub(crate) cpu: Arc<CpuAccount>,
    /// What the app's guests get of the processor where others want it too.
    pub(crate) share: Arc<Share>,
    /// What the app may store.
    pub(crate) storage_bytes_max: Arc<AtomicU64>,
    /// How its requests went.
    pub(crate) health: Arc<Health>,
}

/// How a version is served. Two that are alike in this serve alike, so one may go on in the other's place.
#[derive(Clone, PartialEq)]
pub(crate) struct Terms {
    /// Its component.
    pub(crate) digest: Digest,
    /// What one request may use.
    pub(crate) limits: Limits,
    /// Where each request's instance comes from, as its owner wants it.
    pub(crate) instance: InstanceMode,
    /// Whether it is a program that is run for each request.
    pub(crate) is_cgi: bool,
    /// Who may call it.
    pub(crate) access: Access,
    /// Functions of its app that its requests go through before it.
    pub(crate) middleware: Box<[FunctionName]>,
    /// What it may reach.
    pub(crate) allow: Allow,
    /// What becomes of what it sets in buckets.
    pub(crate) kv: BTreeMap<StateName, Bucket>,
    /// Where it is called beside its own address.
    pub(crate) routes: Box<[Arc<Route>]>,
    /// Names of the secrets that it sees.
    pub(crate) secrets: Box<[String]>,
    /// The environment that the guest sees, secrets among it.
    pub(crate) env: Vec<(String, String)>,
}

impl Terms {
    /// What it may reach, and whether it is configured with anything.
    pub(crate) fn granted(&self) -> Granted<'_> {
        Granted { allow: &self.allow, has_settings: !self.env.is_empty() }
    }

    /// Of what cannot be served: it limits nothing, but its place among the others stays its own. `manifest` is its owner's, where
    /// that can be read.
    pub(crate) fn unserved(digest: Digest, manifest: Option<&Manifest>) -> Self {
        let (limits, instance, allow) = (Limits::default(), InstanceMode::default(), Allow::default());
        let routes = manifest.and_then(|manifest| manifest.routes().ok()).unwrap_or_default().into();
        let access = manifest.map(|manifest| manifest.access).unwrap_or_default();
        let secrets = manifest.map(|manifest| manifest.secrets.clone()).unwrap_or_default().into();
        let middleware = manifest.map(|manifest| manifest.middleware.clone()).unwrap_or_default().into();
        let (is_cgi, kv) = (manifest.is_some_and(|manifest| manifest.cgi), BTreeMap::new());
        Self { digest, limits, instance, is_cgi, access, middleware, allow, kv, routes, secrets, env: Vec::new() }
    }
}

/// What a deployment is made of, besides its terms.
pub(crate) struct Parts {
    pub(crate) app: AppName,
    pub(crate) name: FunctionName,
    pub(crate) version: u64,
    pub(crate) size_bytes: u64,
    pub(crate) deployed_unix_ms: u64,
    pub(crate) places: Arc<Places>,
    pub(crate) prefix: HeaderValue,
    pub(crate) log: Arc<FunctionLog>,
    pub(crate) metrics: Arc<FunctionMetrics>,
    pub(crate) cpu: Arc<CpuAccount>,
    pub(crate) share: Arc<Share>,
    pub(crate) storage_bytes_max: Arc<AtomicU64>,
    pub(crate) health: Arc<Health>,
}

impl Deployment {
    /// Whether its requests go through other functions before.
    pub(crate) fn has_middleware(&self) -> bool {
        !self.terms.middleware.is_empty()
    }

    /// Puts one together.
    pub(crate) fn new(parts: Parts, terms: Terms, residence: Residence) -> Arc<Self> {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        let Parts {
            app,
            name,
            version,
            size_bytes,
            deployed_unix_ms,
            places,
            prefix,
            log,
            metrics,
            cpu,
            share,
            storage_bytes_max,
            health,
        } = parts;
        Arc::new(Self {
            serial: SERIAL.fetch_add(1, Relaxed),
            app,
            name,
            version,
            size_bytes,
            deployed_unix_ms,
            terms,
            residence,
            places,
            prefix,
            log,
            metrics,
            cpu,
            share,
            storage_bytes_max,
            health,
        })
    }

    /// Its limits.
    pub(crate) fn limits(&self) -> &Limits {
        &self.terms.limits
    }

    /// How well the code that serves was compiled; none while it is not loaded.
    pub(crate) fn tier(&self) -> Option<Tier> {
        self.residence.look().as_ref().map(|loaded| loaded.function.tier())
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::{logbook::Logbook, metrics::Metrics};

    /// A deployment of a function of that name, of which nothing is loaded.
    pub(crate) fn deployment(name: &str) -> Arc<Deployment> {
        let (app, name) = (AppName::default_app(), name.parse::<FunctionName>().unwrap());
        let parts = Parts {
            metrics: Metrics::new().of(&app, &name),
            log: Logbook::default().begin(&name),
            app,
            name,
            version: 1,
            size_bytes: 0,
            deployed_unix_ms: 0,
            places: Places::new(1),
            prefix: HeaderValue::from_static("/"),
            cpu: Arc::default(),
            share: Share::new(Share::WEIGHT_DEFAULT),
            storage_bytes_max: Arc::default(),
            health: Arc::default(),
        };
        Deployment::new(parts, Terms::unserved(Digest::of(b""), None), Residence::default())
    }
}
