//! What a start finds in the store, made to serve. Nothing is loaded: that is done for a function when it is called.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use gust_access::TokenBook;
use gust_core::{AppName, Digest};
use gust_engine::ArtifactKey;
use gust_store::StoreError;

use crate::{
    app::App,
    assembly::Ready,
    binding::Binding,
    catalog::{Bound, Entry, Functions, Snapshot},
    changes::Changes,
    deployment::Deployment,
};

impl Changes {
    /// Begins with what the store holds, or begins anew with it.
    pub(crate) fn restore(&self) -> Result<(), StoreError> {
        let mut apps = HashMap::new();
        for stored in self.store.apps()? {
            apps.insert(stored.name.clone(), (self.opened(stored)?, Vec::new()));
        }
        self.store.each_function(|stored| {
            self.watches.set(&stored, &[]);
            for (app, alias) in &stored.apps {
                if let Some((app, bindings)) = apps.get_mut(app) {
                    bindings.push(self.assembler.binding(app, &stored, alias, None, Ready::default()));
                }
            }
        })?;
        let tokens = self.catalog.load().tokens.clone();
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
fn snapshot(tokens: Arc<TokenBook>, apps: HashMap<AppName, (Arc<App>, Vec<Arc<Binding>>)>) -> Snapshot {
    let mut snapshot = Snapshot::empty(tokens);
    for (app, bindings) in apps.into_values() {
        let functions: Functions = bindings.into_iter().map(Bound).collect();
        snapshot.set_app(Entry { app, functions: Arc::new(functions) });
    }
    snapshot
}
