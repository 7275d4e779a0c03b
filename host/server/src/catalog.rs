//! What is deployed: one snapshot that requests read without a lock, replaced whole when something changes.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use gust_core::{Digest, FunctionName, Limits, Manifest, api::FunctionInfo};
use gust_engine::{Function, Places};
use http::HeaderValue;

use crate::{logbook::FunctionLog, metrics::FunctionMetrics};

/// One version of a function, ready to serve, or known not to be.
pub(crate) struct Deployment {
    /// The function's name.
    pub(crate) name: FunctionName,
    /// The version, for this function.
    pub(crate) version: u64,
    /// Its component.
    pub(crate) digest: Digest,
    /// The component's size.
    pub(crate) size_bytes: u64,
    /// What its owner decided.
    pub(crate) manifest: Manifest,
    /// When it was deployed.
    pub(crate) deployed_unix_ms: u64,
    /// The loaded component, or why there is none.
    pub(crate) function: Result<Function, String>,
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
        &self.manifest.limits
    }

    /// As the admin API tells of it. `base` is the data listener's URL.
    pub(crate) fn info(&self, base: &str) -> FunctionInfo {
        FunctionInfo {
            name: self.name.clone(),
            version: self.version,
            digest: self.digest,
            size_bytes: self.size_bytes,
            world: self.function.as_ref().ok().map(Function::world),
            init: self.function.as_ref().ok().and_then(Function::init).map(str::to_owned),
            instance: self.function.as_ref().ok().map(Function::instance_state),
            imports: self.function.as_ref().map_or_else(|_| Vec::new(), |function| function.imports().to_vec()),
            limits: self.limits().clone(),
            deployed_unix_ms: self.deployed_unix_ms,
            urls: vec![format!("{base}/{}", self.name)],
            unavailable: self.function.as_ref().err().cloned(),
        }
    }
}

/// Everything that is deployed.
#[derive(Default, Clone)]
pub(crate) struct Snapshot {
    functions: HashMap<FunctionName, Arc<Deployment>>,
}

impl Snapshot {
    /// The function of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Deployment>> {
        self.functions.get(name)
    }

    /// All functions, by name.
    pub(crate) fn all(&self) -> Vec<&Arc<Deployment>> {
        let mut all: Vec<_> = self.functions.values().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

/// The snapshot in force.
#[derive(Default)]
pub(crate) struct Catalog {
    current: ArcSwap<Snapshot>,
}

impl Catalog {
    /// The snapshot in force now. A request reads it once.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Puts a deployment in the place of the one of its name, unless that one is newer.
    pub(crate) fn publish(&self, deployment: Deployment) -> Arc<Deployment> {
        let deployment = Arc::new(deployment);
        self.current.rcu(|snapshot| {
            let mut next = Snapshot::clone(snapshot);
            let newer = |present: &Arc<Deployment>| present.version > deployment.version;
            if !next.get(deployment.name.as_str()).is_some_and(newer) {
                next.functions.insert(deployment.name.clone(), deployment.clone());
            }
            next
        });
        deployment
    }

    /// Takes a function away. Requests that have begun finish.
    pub(crate) fn remove(&self, name: &FunctionName) {
        self.current.rcu(|snapshot| {
            let mut next = Snapshot::clone(snapshot);
            next.functions.remove(name);
            next
        });
    }
}
