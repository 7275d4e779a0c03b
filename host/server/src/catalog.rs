//! What is deployed: one snapshot that requests read without a lock, replaced whole when something changes.

use std::{
    borrow::Borrow,
    collections::HashSet,
    hash::{Hash, Hasher},
    pin::pin,
    sync::Arc,
};

use arc_swap::ArcSwap;
use gust_core::{Digest, FunctionName, InstanceMode, Limits, Tier, api::FunctionInfo, manifest::Allow};
use gust_engine::{Function, Places};
use http::HeaderValue;
use tokio::sync::Notify;

use crate::{function_metrics::FunctionMetrics, logbook::FunctionLog, residence::Residence};

/// One version of a function. It is small: what it takes to serve it is [loaded](crate::loader) when it is called.
pub(crate) struct Deployment {
    /// The function's name.
    pub(crate) name: FunctionName,
    /// The version, for this function.
    pub(crate) version: u64,
    /// Its component.
    pub(crate) digest: Digest,
    /// The component's size.
    pub(crate) size_bytes: u64,
    /// What one request may use.
    pub(crate) limits: Limits,
    /// Where each request's instance comes from, as its owner wants it.
    pub(crate) instance: InstanceMode,
    /// The environment that the guest sees.
    pub(crate) env: Vec<(String, String)>,
    /// What it may reach.
    pub(crate) allow: Allow,
    /// When it was deployed.
    pub(crate) deployed_unix_ms: u64,
    /// The loaded component, while it is loaded, or why it cannot be.
    pub(crate) residence: Residence,
    /// Places for requests that run at the same time.
    pub(crate) places: Arc<Places>,
    /// `/{name}`: where it is mounted, as a header for the guest.
    pub(crate) prefix: HeaderValue,
    /// What it and the host say of its requests.
    pub(crate) log: Arc<FunctionLog>,
    /// What is counted of its requests.
    pub(crate) metrics: Arc<FunctionMetrics>,
}

impl Deployment {
    /// Its limits.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How well the code that serves was compiled; none while it is not loaded.
    pub(crate) fn tier(&self) -> Option<Tier> {
        self.residence.look().as_ref().map(|loaded| loaded.function.tier())
    }

    /// As the admin API tells of it. `base` is the data listener's URL.
    pub(crate) fn info(&self, base: &str) -> FunctionInfo {
        let loaded = self.residence.look();
        let function = loaded.as_ref().map(|loaded| &loaded.function);
        FunctionInfo {
            name: self.name.clone(),
            version: self.version,
            digest: self.digest,
            size_bytes: self.size_bytes,
            world: function.map(Function::world),
            init: function.and_then(Function::init).map(str::to_owned),
            tier: function.map(Function::tier),
            instance: function.map(Function::instance_state),
            imports: function.map_or_else(Vec::new, |function| function.imports().to_vec()),
            limits: self.limits.clone(),
            deployed_unix_ms: self.deployed_unix_ms,
            urls: vec![format!("{base}/{}", self.name)],
            unavailable: self.residence.failure().map(|problem| problem.to_string()),
        }
    }
}

/// A deployment that is found by its name.
#[derive(Clone)]
struct Named(Arc<Deployment>);

impl Borrow<str> for Named {
    fn borrow(&self) -> &str {
        self.0.name.as_str()
    }
}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.as_str().hash(state);
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Named {}

/// Everything that is deployed.
#[derive(Default, Clone)]
pub(crate) struct Snapshot {
    functions: HashSet<Named>,
}

impl Snapshot {
    /// The function of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Deployment>> {
        self.functions.get(name).map(|named| &named.0)
    }

    /// All functions, by name.
    pub(crate) fn all(&self) -> Vec<&Arc<Deployment>> {
        let mut all: Vec<_> = self.functions.iter().map(|named| &named.0).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.functions.len()
    }
}

/// The snapshot in force.
#[derive(Default)]
pub(crate) struct Catalog {
    current: ArcSwap<Snapshot>,
    changed: Notify,
}

impl Catalog {
    /// The snapshot in force now. A request reads it once.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Begins with these, each of another name.
    #[expect(clippy::mutable_key_type, reason = "a deployment's name never changes")]
    pub(crate) fn begin(&self, deployments: Vec<Arc<Deployment>>) {
        let functions = deployments.into_iter().map(Named).collect();
        self.current.store(Arc::new(Snapshot { functions }));
    }

    /// Puts a deployment in the place of the one of its name, unless that one is newer.
    pub(crate) fn publish(&self, deployment: &Arc<Deployment>) {
        self.current.rcu(|snapshot| {
            let mut next = Snapshot::clone(snapshot);
            let newer = |present: &Arc<Deployment>| present.version > deployment.version;
            if !next.get(deployment.name.as_str()).is_some_and(newer) {
                next.functions.replace(Named(deployment.clone()));
            }
            next
        });
        self.changed.notify_waiters();
    }

    /// Takes a function away. Requests that have begun finish.
    pub(crate) fn remove(&self, name: &FunctionName) {
        self.current.rcu(|snapshot| {
            let mut next = Snapshot::clone(snapshot);
            next.functions.remove(name.as_str());
            next
        });
        self.changed.notify_waiters();
    }

    /// Waits until a deployment is no longer in force.
    pub(crate) async fn until_replaced(&self, deployment: &Arc<Deployment>) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Listening begins before looking.
            changed.as_mut().enable();
            let is_in_force = |present: &Arc<Deployment>| Arc::ptr_eq(present, deployment);
            if !self.load().get(deployment.name.as_str()).is_some_and(is_in_force) {
                return;
            }
            changed.await;
        }
    }
}
