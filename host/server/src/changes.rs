//! Changes of what is deployed: the store first, then the catalog, one change at a time.
//!
//! Whatever is changed of a function or an app, what serves is made anew from the store and swapped in at once; deployments
//! that would be made alike go on. Requests that have begun finish on what they found. A change that cannot be served, for
//! want of a secret or because two routes are for the same requests, is refused before anything is stored.

use std::{collections::HashMap, sync::Arc};

use gust_access::SecretValue;
use gust_core::{AliasName, AppName, Code, FunctionName, Problem, Traffic, config::HostConfig};
use gust_store::{Change, Store, StoredFunction, Watch};
use tokio::{
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::{
    app::no_app,
    assembly::{self, Assembler, Ready},
    binding::{Binding, Choice},
    catalog::Catalog,
    deployment::Deployment,
    loader::Loader,
    logbook::unix_ms,
    pinned::{self, Pinned},
    prepared::Prepared,
    routing,
    snapshot::{Entry, Snapshot},
    vault::Vault,
    watches::Watches,
    work::blocking,
};

/// All that changing what is deployed needs, and the only writer of the catalog.
pub(crate) struct Changes {
    pub(crate) config: HostConfig,
    pub(crate) store: Arc<Store>,
    pub(crate) loader: Arc<Loader>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) assembler: Arc<Assembler>,
    pub(crate) pinned: Arc<Pinned>,
    pub(crate) watches: Watches,
    pub(crate) vault: Vault,
    /// What of apps' CPU time today is in the store, in microseconds.
    pub(crate) noted: std::sync::Mutex<HashMap<AppName, u64>>,
    /// The token in the data directory, which may do everything.
    pub(crate) root_token: SecretValue,
    /// Held while the store and the catalog change, so that they change in the same order.
    pub(crate) changing: Mutex<()>,
}

impl Changes {
    /// What the store asks before it changes a function: whether that can be served. It may be asked elsewhere.
    pub(crate) fn may_be(&self) -> impl FnOnce(&StoredFunction) -> Result<(), Problem> + Send + use<> {
        let snapshot = self.catalog.load().clone();
        move |state| servable(&snapshot, state)
    }

    /// Has an alias point elsewhere, or removes it. What it points to is loaded before, so that no request waits for that.
    pub(crate) async fn change_alias(
        &self,
        name: &FunctionName,
        alias: &AliasName,
        change: Change,
        if_generation: Option<u64>,
    ) -> Result<(), Problem> {
        self.function(name)?;
        let ready = match &change.after {
            Some(traffic) => self.ready(name, traffic).await?,
            None => Vec::new(),
        };
        let turn = self.changing.lock().await;
        self.write_alias(name, alias, change, if_generation, &ready).await?;
        drop(turn);
        Ok(())
    }

    /// Has an alias go back that is still watched so. Says whether it is.
    pub(crate) async fn take_back(
        &self,
        name: &FunctionName,
        alias: &AliasName,
        change: Change,
        watch: &Watch,
    ) -> Result<bool, Problem> {
        let ready = match &change.after {
            Some(traffic) => self.ready(name, traffic).await?,
            None => Vec::new(),
        };
        let _turn = self.changing.lock().await;
        if !self.is_watched(name, alias, watch).await? {
            return Ok(false);
        }
        self.write_alias(name, alias, change, None, &ready).await?;
        Ok(true)
    }

    /// Forgets on what conditions an alias stays where it is: their time is over.
    pub(crate) async fn end_watch(&self, name: &FunctionName, alias: &AliasName, watch: &Watch) -> Result<(), Problem> {
        let _turn = self.changing.lock().await;
        if self.is_watched(name, alias, watch).await? {
            let (store, owned) = (self.store.clone(), (name.clone(), alias.clone()));
            blocking(move || store.end_watch(&owned.0, &owned.1)).await??;
            self.refresh(name, &[], None).await?;
        }
        Ok(())
    }

    async fn is_watched(&self, name: &FunctionName, alias: &AliasName, watch: &Watch) -> Result<bool, Problem> {
        let stored = self.stored(name).await?;
        Ok(stored.aliases.iter().any(|stored| stored.alias == *alias && stored.watch.as_ref() == Some(watch)))
    }

    /// Whoever calls it holds `changing`.
    async fn write_alias(
        &self,
        name: &FunctionName,
        alias: &AliasName,
        change: Change,
        if_generation: Option<u64>,
        ready: &[Arc<Deployment>],
    ) -> Result<(), Problem> {
        let (why, after) = (change.why.clone(), change.after.as_ref().map(told));
        let (store, owned, may_be) = (self.store.clone(), (name.clone(), alias.clone()), self.may_be());
        blocking(move || store.change_alias(&owned.0, &owned.1, &change, if_generation, may_be)).await??;
        self.refresh(name, ready, None).await?;
        tracing::info!(function = %name, %alias, after, why, "alias changed");
        Ok(())
    }

    /// Sees to it that versions can serve, in every app that has the function.
    async fn ready(&self, name: &FunctionName, traffic: &Traffic) -> Result<Vec<Arc<Deployment>>, Problem> {
        let bindings: Vec<_> = self.catalog.load().bindings(name.as_str()).cloned().collect();
        let deadline = Instant::now() + Duration::from_millis(self.config.compile_ms_max.into());
        let mut ready = Vec::new();
        for (binding, version) in bindings.iter().flat_map(|binding| traffic.versions().map(move |v| (binding, v))) {
            let deployment = match binding.of_version(version) {
                Choice::Here(deployment) => deployment.clone(),
                Choice::Kept(version) => self.pinned.get(binding, version).await?,
                Choice::Nothing => return Err(pinned::not_found(name, &version.to_string())),
            };
            if let Some(problem) = deployment.residence.why_never() {
                return Err(problem);
            }
            if deployment.residence.look().is_none() {
                self.loader.load(&deployment, deadline).await?;
            }
            ready.push(deployment);
        }
        Ok(ready)
    }

    /// Removes a function. Says whether there was one.
    pub(crate) async fn remove(&self, name: &FunctionName, if_generation: Option<u64>) -> Result<bool, Problem> {
        let (store, owned) = (self.store.clone(), name.clone());
        let turn = self.changing.lock().await;
        let snapshot = self.catalog.load().clone();
        // Where others share it they have no say in whether it stays.
        let home = snapshot.function(name.as_str()).and_then(|binding| snapshot.app(binding.home.as_str()));
        home.map_or(Ok(()), |entry| is_middleware_of_none(entry, name))?;
        let existed = blocking(move || store.delete(&owned, if_generation)).await??;
        snapshot.bindings(name.as_str()).for_each(|binding| binding.metrics.forget());
        self.assembler.metrics.forget_rollbacks(name);
        self.catalog.change(|next| next.set_function(name, Vec::new()));
        self.pinned.forget(|_, function| function == name);
        self.watches.forget(name);
        drop(turn);
        self.count_functions();
        Ok(existed)
    }

    /// Puts a function into an app, on terms of its own, or takes it out.
    pub(crate) async fn bind(
        &self,
        app: &AppName,
        name: &FunctionName,
        alias: Option<AliasName>,
    ) -> Result<bool, Problem> {
        let turn = self.changing.lock().await;
        let is_in = self.catalog.load().app(app.as_str()).is_some_and(|entry| entry.get(name.as_str()).is_some());
        if alias.is_none() && !is_in {
            // Nothing is changed, nor told, of what is elsewhere.
            return Ok(false);
        }
        let binding = self.function(name)?;
        if alias.is_none() && binding.home == *app {
            let detail = format!("{name} belongs to {app}; remove it instead: gust rm {name}");
            return Err(Problem::new(Code::AppNotEmpty, detail));
        }
        let snapshot = self.catalog.load().clone();
        if let Some(entry) = snapshot.app(app.as_str()).filter(|_| alias.is_none()) {
            is_middleware_of_none(entry, name)?;
        }
        let mut state = self.stored(name).await?;
        state.apps.retain(|(other, _)| other != app);
        state.apps.extend(alias.clone().map(|alias| (app.clone(), alias)));
        servable(&snapshot, &state)?;
        let (store, owned, stays) = (self.store.clone(), (app.clone(), name.clone()), alias.is_some());
        let changed = blocking(move || store.bind(&owned.0, &owned.1, alias.as_ref())).await??;
        let left = snapshot.app(app.as_str()).and_then(|entry| entry.get(name.as_str())).filter(|_| !stays);
        left.into_iter().for_each(|binding| binding.metrics.forget());
        self.refresh(name, &[], None).await?;
        self.refresh_app(app).await?;
        drop(turn);
        Ok(changed)
    }

    /// A function in the app that it belongs to.
    pub(crate) fn function(&self, name: &FunctionName) -> Result<Arc<Binding>, Problem> {
        self.catalog.load().function(name.as_str()).cloned().ok_or_else(|| no_function(name))
    }

    async fn stored(&self, name: &FunctionName) -> Result<StoredFunction, Problem> {
        let (store, owned) = (self.store.clone(), name.clone());
        blocking(move || store.function(&owned)).await??.ok_or_else(|| no_function(name))
    }

    /// Makes what serves of a function anew from the store. Whoever calls it holds `changing`.
    pub(crate) async fn refresh(
        &self,
        name: &FunctionName,
        ready: &[Arc<Deployment>],
        prepared: Option<(Prepared, u64)>,
    ) -> Result<(), Problem> {
        let stored = self.stored(name).await?;
        let log = prepared.as_ref().map(|(prepared, _)| prepared.log());
        let bindings = self.assembled(&stored, Ready { deployments: ready, log });
        if let Some((prepared, version)) = prepared {
            prepared.settle(&self.loader, version, bindings.iter().flat_map(|binding| binding.deployments()));
        }
        self.warm(&bindings).await;
        let before: Vec<_> = self.catalog.load().bindings(name.as_str()).cloned().collect();
        self.watches.set(&stored, &[before, bindings.clone()].concat());
        self.catalog.change(|next| next.set_function(name, bindings.clone()));
        self.have_optimised(&bindings);
        self.pinned.forget(|_, function| function == name);
        self.count_functions();
        Ok(())
    }

    fn assembled(&self, stored: &StoredFunction, ready: Ready<'_>) -> Vec<Arc<Binding>> {
        let snapshot = self.catalog.load();
        let in_app = |(app, alias): &(AppName, AliasName)| {
            let entry = snapshot.app(app.as_str())?;
            let before = entry.get(stored.name.as_str());
            Some(self.assembler.binding(&entry.app, stored, alias, before, ready))
        };
        stored.apps.iter().filter_map(in_app).collect()
    }

    /// Loads what takes the place of something that is loaded, so that no request waits for that.
    pub(crate) async fn warm(&self, bindings: &[Arc<Binding>]) {
        let deadline = Instant::now() + Duration::from_millis(self.config.compile_ms_max.into());
        let snapshot = self.catalog.load().clone();
        for binding in bindings {
            let before = snapshot.app(binding.app.name.as_str()).and_then(|entry| entry.get(binding.function.as_str()));
            let is_loaded = |deployment: &Arc<Deployment>| deployment.residence.look().is_some();
            if !before.is_some_and(|before| before.deployments().any(is_loaded)) {
                continue;
            }
            for deployment in binding.deployments().filter(|deployment| !is_loaded(deployment)) {
                // What cannot be loaded says so to whoever calls it.
                let _ = self.loader.load(deployment, deadline).await;
            }
        }
    }

    /// Has the quick code optimised of what is loaded and in force now: what was not yet when it was loaded was passed over.
    pub(crate) fn have_optimised(&self, bindings: &[Arc<Binding>]) {
        for deployment in bindings.iter().flat_map(|binding| binding.deployments()) {
            if let Some(loaded) = &*deployment.residence.look() {
                self.loader.have_optimised(deployment, loaded);
            }
        }
    }

    pub(crate) fn count_functions(&self) {
        self.assembler.metrics.functions.set(self.catalog.load().len() as i64);
    }

    /// Lets lines of functions' logs go where there are too many.
    pub(crate) fn trim_logs(&self) {
        if self.assembler.logbook.is_full() {
            let logs = self.catalog.load().all().map(|binding| binding.log.clone()).collect();
            self.assembler.logbook.trim(logs);
        }
    }
}

/// An alias that is to point elsewhere.
pub(crate) fn change(after: Option<Traffic>, watch: Option<Watch>, why: impl Into<String>) -> Change {
    Change { after, watch, why: why.into(), unix_ms: unix_ms() }
}

/// Whether a function can be served as it would be stored: each of its aliases' versions in each of its apps.
fn servable(snapshot: &Arc<Snapshot>, state: &StoredFunction) -> Result<(), Problem> {
    for (app, _) in &state.apps {
        let Some(entry) = snapshot.app(app.as_str()) else { return Err(no_app(app)) };
        for version in &state.targets {
            // One that could not be read before need not keep others from being changed.
            if version.manifest.is_ok() {
                assembly::terms(&entry.app, version)?;
            }
        }
    }
    for alias in &state.aliases {
        if let Some(missing) = alias.traffic.versions().find(|version| !state.kept.contains(version)) {
            return Err(pinned::not_found(&state.name, &missing.to_string()));
        }
    }
    routing::check_function(snapshot, state)?;
    aliases_are_there(state)?;
    if state.aliases.is_empty() {
        let detail = "it is the function's last alias; remove the function instead";
        return Err(Problem::new(Code::AliasInvalid, detail));
    }
    Ok(())
}

/// Fails where an app would call a function by an alias that it does not have. The app that it belongs to may by `live`: a
/// function whose first version was deployed to another alias has none yet.
fn aliases_are_there(state: &StoredFunction) -> Result<(), Problem> {
    let is_there = |alias: &AliasName| state.aliases.iter().any(|stored| stored.alias == *alias);
    let may_be = |app: &AppName, alias: &AliasName| is_there(alias) || (*app == state.home && alias.is_live());
    let absent = state.apps.iter().find(|(app, alias)| !may_be(app, alias));
    let Some((app, alias)) = absent else { return Ok(()) };
    let name = &state.name;
    let detail =
        format!("the app {app} calls {name} by the alias {alias}; `gust alias ls {name}` lists those there are");
    Err(Problem::new(Code::AliasInvalid, detail))
}

/// Fails where requests of others of the app go through the function first: without it they would all be refused.
fn is_middleware_of_none(entry: &Entry, name: &FunctionName) -> Result<(), Problem> {
    let goes_through = |deployment: &Arc<Deployment>| deployment.terms.middleware.contains(name);
    let mut of = entry.all().filter(|binding| binding.deployments().any(goes_through));
    let Some(first) = of.next().map(|binding| &binding.function) else { return Ok(()) };
    let more = of.count();
    let others = if more > 0 { format!(" and {more} more") } else { String::new() };
    let detail = format!(
        "{name} is the middleware of {first}{others} in the app {}; deploy those without it, or remove them, first",
        entry.app.name
    );
    Err(Problem::new(Code::FunctionInUse, detail))
}

/// There is no function of that name.
pub(crate) fn no_function(name: &FunctionName) -> Problem {
    let detail = format!("no function {name} is deployed; `gust ls` lists those that are");
    Problem::new(Code::FunctionNotFound, detail)
}

/// Where an alias points, for the log.
fn told(traffic: &Traffic) -> String {
    let target = |target: &gust_core::traffic::Target| format!("{} ({} %)", target.version, target.weight);
    traffic.targets.iter().map(target).collect::<Vec<_>>().join(", ")
}
