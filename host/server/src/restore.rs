//! What a start, or a backup's restoring, finds in the store, made to serve. Nothing is loaded that was not loaded before: that is
//! done for a function when it is called.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError},
};

use gust_access::TokenBook;
use gust_core::{AppName, Digest, Problem};
use gust_engine::ArtifactKey;
use gust_store::StoreError;

use crate::{
    app::App,
    assembly::Ready,
    binding::Binding,
    changes::Changes,
    deployment::Deployment,
    snapshot::{Bound, Entry, Functions, Snapshot},
    work::blocking,
};

/// Apps and the functions in them, ready to serve.
type Apps = HashMap<AppName, (Arc<App>, Vec<Arc<Binding>>)>;

impl Changes {
    /// Begins with what the store holds.
    pub(crate) fn restore(&self) -> Result<(), StoreError> {
        let (tokens, apps) = (self.catalog.load().tokens.clone(), self.apps()?);
        self.catalog.change(|next| *next = snapshot(tokens, apps));
        let kept: HashSet<Digest> = self.store.digests()?.into_iter().collect();
        let quick = self.loader.artifacts().retain(|key| kept.contains(&key.digest)).unwrap_or_else(|error| {
            tracing::warn!(%error, "compiled components that nobody needs could not be removed");
            Vec::new()
        });
        self.optimise(&quick.into_iter().collect());
        self.count_functions();
        Ok(())
    }

    /// Begins anew with what the store holds now, while requests come. What takes the place of something loaded is loaded
    /// before, so that none waits for that. Whoever calls it holds `changing`.
    pub(crate) async fn begin_anew(self: &Arc<Self>, tokens: Arc<TokenBook>) -> Result<(), Problem> {
        let changes = self.clone();
        let apps = blocking(move || changes.apps()).await??;
        let bindings: Vec<_> = apps.values().flat_map(|(_, bindings)| bindings).cloned().collect();
        self.warm(&bindings).await;
        let before = self.catalog.load().clone();
        self.catalog.change(|next| *next = snapshot(tokens, apps));
        self.have_optimised(&bindings);
        self.forget_those_gone(&before);
        self.pinned.forget(|_, _| true);
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.count_functions();
        Ok(())
    }

    /// What the store holds. What is there and would be made alike goes on serving.
    fn apps(&self) -> Result<Apps, StoreError> {
        let before = self.catalog.load().clone();
        let mut apps = Apps::new();
        for stored in self.store.apps()? {
            apps.insert(stored.name.clone(), (self.opened(stored)?, Vec::new()));
        }
        self.store.each_function(|stored| {
            let mut all: Vec<_> = before.bindings(stored.name.as_str()).cloned().collect();
            for (app, alias) in &stored.apps {
                let present = before.app(app.as_str()).and_then(|entry| entry.get(stored.name.as_str()));
                if let Some((app, bindings)) = apps.get_mut(app) {
                    let binding = self.assembler.binding(app, &stored, alias, present, Ready::default());
                    all.push(binding.clone());
                    bindings.push(binding);
                }
            }
            self.watches.set(&stored, &all);
        })?;
        Ok(apps)
    }

    /// Forgets what was counted and watched of functions that are not there any more.
    fn forget_those_gone(&self, before: &Snapshot) {
        let now = self.catalog.load().clone();
        for binding in before.all() {
            let (app, function) = (binding.app.name.as_str(), binding.function.as_str());
            if now.app(app).and_then(|entry| entry.get(function)).is_none() {
                binding.metrics.forget();
            }
            if now.bindings(function).next().is_none() {
                self.assembler.metrics.forget_rollbacks(&binding.function);
                self.watches.forget(&binding.function);
            }
        }
    }

    /// Has the functions optimised of which there is only quick code.
    fn optimise(&self, quick: &HashSet<ArtifactKey>) {
        let snapshot = self.catalog.load();
        let is_quick = |deployment: &&Arc<Deployment>| {
            quick.contains(&self.loader.key(deployment.terms.digest, deployment.terms.instance))
        };
        for deployment in snapshot.all().flat_map(|binding| binding.deployments()).filter(is_quick) {
            self.loader.wanted.push(deployment);
        }
    }
}

#[expect(clippy::mutable_key_type, reason = "a binding's function never changes")]
fn snapshot(tokens: Arc<TokenBook>, apps: Apps) -> Snapshot {
    let mut snapshot = Snapshot::empty(tokens);
    for (app, bindings) in apps.into_values() {
        let functions: Functions = bindings.into_iter().map(Bound).collect();
        snapshot.set_app(Entry { app, functions: Arc::new(functions) });
    }
    snapshot
}
