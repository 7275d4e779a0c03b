//! Versions that are kept but that no alias points to: made ready when somebody calls one by its number.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use gust_core::{AppName, Code, FunctionName, Problem};
use gust_store::Store;

use crate::{assembly::Assembler, binding::Binding, deployment::Deployment, work::blocking};

/// Such deployments at the same time.
const PINNED_MAX: usize = 256;

type Key = (AppName, FunctionName, u64);

/// Deployments of versions that were called by their number.
pub(crate) struct Pinned {
    store: Arc<Store>,
    assembler: Arc<Assembler>,
    here: Mutex<HashMap<Key, Ready>>,
}

/// A deployment, and the binding on whose terms it is. A request may hold on to an earlier one while something is changed.
struct Ready {
    of: Weak<Binding>,
    deployment: Arc<Deployment>,
}

impl Pinned {
    /// None yet.
    pub(crate) fn new(store: Arc<Store>, assembler: Arc<Assembler>) -> Self {
        Self { store, assembler, here: Mutex::default() }
    }

    /// The deployment of a version in an app.
    pub(crate) async fn get(&self, binding: &Arc<Binding>, version: u64) -> Result<Arc<Deployment>, Problem> {
        let key = (binding.app.name.clone(), binding.function.clone(), version);
        let of = Arc::downgrade(binding);
        if let Some(ready) = self.lock().get(&key).filter(|ready| ready.of.ptr_eq(&of)) {
            return Ok(ready.deployment.clone());
        }
        let (store, name) = (self.store.clone(), binding.function.clone());
        let stored = blocking(move || store.version(&name, version)).await??;
        let stored = stored.ok_or_else(|| not_found(&binding.function, &version.to_string()))?;
        let deployment = self.assembler.of_version(binding, &stored);
        let mut here = self.lock();
        if here.len() >= PINNED_MAX {
            // Whoever still calls one of them has it made ready again.
            here.clear();
        }
        here.insert(key, Ready { of, deployment: deployment.clone() });
        Ok(deployment)
    }

    /// Forgets those that something was changed for.
    pub(crate) fn forget(&self, is_changed: impl Fn(&AppName, &FunctionName) -> bool) {
        self.lock().retain(|(app, name, _), _| !is_changed(app, name));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Ready>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A function has no such version or alias.
pub(crate) fn not_found(function: &FunctionName, reference: &str) -> Problem {
    let shown: String = reference.chars().take(64).collect();
    let detail = format!("{function} has no version or alias {shown:?}; `gust versions {function}` lists them");
    Problem::new(Code::VersionNotFound, detail)
}
