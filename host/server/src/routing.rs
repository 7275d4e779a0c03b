//! The routes and hosts of what is deployed, or would be.

use std::sync::Arc;

use gust_core::{AppName, Problem, routing::Route};
use gust_store::{StoredFunction, StoredVersion};

use crate::{
    routes::{Declared, Routes},
    snapshot::Snapshot,
};

/// The routes of what is deployed. What was let in before is not in conflict.
pub(crate) fn of(snapshot: &Snapshot) -> Routes {
    all(snapshot, None, None).unwrap_or_else(|problem| {
        tracing::error!(%problem, "routes that are stored are in conflict; none is served");
        Routes::default()
    })
}

/// Whether a function could have the routes that it would have.
pub(crate) fn check_function(snapshot: &Snapshot, state: &StoredFunction) -> Result<(), Problem> {
    if snapshot.routes.are_none() && state.targets.iter().all(has_none) {
        return Ok(());
    }
    all(snapshot, Some(state), None).map(drop)
}

/// Whether an app could have these hosts.
pub(crate) fn check_hosts(snapshot: &Snapshot, app: &AppName, hosts: &[String]) -> Result<(), Problem> {
    all(snapshot, None, Some((app, hosts))).map(drop)
}

fn has_none(version: &StoredVersion) -> bool {
    version.manifest.as_ref().map_or(true, |manifest| manifest.routes.is_empty())
}

/// All routes, one function being as it would be, or one app having other hosts.
fn all(
    snapshot: &Snapshot,
    state: Option<&StoredFunction>,
    changed: Option<(&AppName, &[String])>,
) -> Result<Routes, Problem> {
    let mut hosts: Vec<(&AppName, &[String])> =
        snapshot.apps().map(|entry| (&entry.app.name, &*entry.app.spec.hosts)).collect();
    if let Some((app, changed)) = changed {
        hosts.retain(|(present, _)| *present != app);
        hosts.push((app, changed));
    }
    let mut declared = Vec::new();
    for entry in snapshot.apps() {
        let app = &entry.app.name;
        let hosts = hosts.iter().find(|(named, _)| *named == app).map_or(&[][..], |(_, hosts)| hosts);
        let bindings = entry.functions.iter().map(|bound| &bound.0);
        for binding in bindings.filter(|binding| state.is_none_or(|state| state.name != binding.function)) {
            let routes = binding.main().map_or(&[][..], |main| &main.first.terms.routes);
            if !routes.is_empty() {
                declared.push(Declared { app, hosts, function: &binding.function, routes: routes.to_vec() });
            }
        }
        if let Some(state) = state {
            declared.push(Declared { app, hosts, function: &state.name, routes: routes_of(state, app)? });
        }
    }
    Routes::of(&hosts, &declared)
}

/// The routes that a function would have in an app.
fn routes_of(state: &StoredFunction, app: &AppName) -> Result<Vec<Arc<Route>>, Problem> {
    let alias = state.apps.iter().find(|(bound, _)| bound == app).map(|(_, alias)| alias);
    let traffic = alias.and_then(|alias| state.aliases.iter().find(|stored| stored.alias == *alias));
    let version =
        traffic.and_then(|stored| state.targets.iter().find(|target| target.version == stored.traffic.first()));
    match version.map(|version| &version.manifest) {
        Some(Ok(manifest)) => Ok(manifest.routes()?),
        _ => Ok(Vec::new()),
    }
}
