//! The routes and hosts of what is deployed, or would be.

use std::sync::Arc;

use gust_core::{
    AppName, Code, FunctionName, Problem,
    routing::{HostPattern, Route},
};
use gust_store::{StoredFunction, StoredVersion};

use crate::{
    binding::Binding,
    routes::{Declared, Destination, Routes},
    snapshot::Snapshot,
};

/// The routes of what is deployed. What was let in before is not in conflict, but what is stored may come from elsewhere.
pub(crate) fn of(snapshot: &Snapshot) -> Routes {
    let routes = all(snapshot, &Change::None, None).unwrap_or_else(|problem| {
        tracing::error!(%problem, "hosts that are stored are in conflict; no route is served");
        Routes::default()
    });
    for (destination, problem) in &routes.left_out {
        if !snapshot.routes.left_out.iter().any(|(known, _)| known == destination) {
            let Destination { app, function } = destination;
            tracing::error!(%app, %function, %problem, "its routes are not served");
        }
    }
    routes
}

/// Whether a function could have the routes that it would have.
pub(crate) fn check_function(snapshot: &Snapshot, state: &StoredFunction) -> Result<(), Problem> {
    if !snapshot.has_routes() && state.targets.iter().all(has_none) {
        return Ok(());
    }
    names_are_free(snapshot, state)?;
    check(snapshot, &Change::Function(state))?;
    // And so when it goes back by itself.
    for (at, watch) in state.aliases.iter().enumerate().filter_map(|(at, alias)| Some((at, alias.watch.as_ref()?))) {
        let mut back = state.clone();
        if let Some(alias) = back.aliases.get_mut(at) {
            alias.traffic = watch.before.clone();
        }
        check(snapshot, &Change::Function(&back))?;
    }
    Ok(())
}

/// Fails where a route is for what another function of the app is called by, so that whoever may deploy the one does not take
/// the other's requests. Patterns that begin with a parameter leave names alone.
fn names_are_free(snapshot: &Snapshot, state: &StoredFunction) -> Result<(), Problem> {
    for entry in snapshot.apps() {
        let app = &entry.app.name;
        // What is in force stays, or may come back, and so may be deployed again.
        let present = entry.get(state.name.as_str()).filter(|binding| binding.main().is_some());
        let is_in_force =
            |route: &Arc<Route>| present.is_some_and(|present| reserved(present).any(|held| held == route));
        for route in routes_of(state, app)?.iter().filter(|route| !is_in_force(route)) {
            let taken = mount(app, route).filter(|mount| mount.starts_with('~') || entry.get(mount).is_some());
            if let Some(mount) = taken.filter(|mount| *mount != state.name.as_str()) {
                return Err(taken_name(route, &state.name, mount));
            }
        }
        if present.is_none() && state.apps.iter().any(|(bound, _)| bound == app) {
            for binding in entry.functions.iter().map(|bound| &bound.0) {
                if let Some(route) = reserved(binding).find(|route| mount(app, route) == Some(state.name.as_str())) {
                    return Err(taken_name(route, &binding.function, state.name.as_str()));
                }
            }
        }
    }
    Ok(())
}

/// The routes that a function has in an app, and those that it may go back to.
fn reserved(binding: &Binding) -> impl Iterator<Item = &Arc<Route>> {
    binding.routes().iter().chain(&binding.routes_before)
}

/// The first segment of a route's path, where it is a literal and functions are called by their names on the route's host.
fn mount<'r>(app: &AppName, route: &'r Route) -> Option<&'r str> {
    // A host that only routes name serves no function by its name.
    let has_names = !app.is_default() || *route.host() == HostPattern::Any;
    let first = route.path().as_str().strip_prefix('/')?.split(['/', '@']).next()?;
    (has_names && !first.is_empty() && !first.starts_with('{')).then_some(first)
}

fn taken_name(route: &Route, function: &FunctionName, mount: &str) -> Problem {
    let what = if mount.starts_with('~') { "an app" } else { "a function" };
    let detail = format!("the route {route} of {function} is for what {what} is called by: /{mount}; change its path");
    Problem::new(Code::RouteConflict, detail)
}

/// Whether an app could have these hosts.
pub(crate) fn check_hosts(snapshot: &Snapshot, app: &AppName, hosts: &[String]) -> Result<(), Problem> {
    check(snapshot, &Change::Hosts(app, hosts))
}

/// Whether all routes could be together after a change, also where a function that is watched goes back.
fn check(snapshot: &Snapshot, change: &Change<'_>) -> Result<(), Problem> {
    served(snapshot, change, None)?;
    for watched in snapshot.all().filter(|binding| !binding.routes_before.is_empty()) {
        served(snapshot, change, Some(watched)).map_err(|problem| {
            let detail = format!("{}; {} may go back to it as long as it is watched", problem.detail, watched.function);
            Problem::new(problem.code, detail)
        })?;
    }
    Ok(())
}

/// Fails where a change would leave out what it is about, or somebody's who is served now.
fn served(snapshot: &Snapshot, change: &Change<'_>, gone_back: Option<&Arc<Binding>>) -> Result<(), Problem> {
    let is_changed = |function: &FunctionName| matches!(change, Change::Function(state) if state.name == *function);
    let is_out = |to: &Destination| snapshot.routes.left_out.iter().any(|(known, _)| known == to);
    let left_out = all(snapshot, change, gone_back)?.left_out;
    match left_out.into_iter().find(|(to, _)| is_changed(&to.function) || !is_out(to)) {
        Some((_, problem)) => Err(problem),
        None => Ok(()),
    }
}

fn has_none(version: &StoredVersion) -> bool {
    version.manifest.as_ref().map_or(true, |manifest| manifest.routes.is_empty())
}

/// What would be otherwise than it is.
enum Change<'a> {
    /// Nothing.
    None,
    /// A function.
    Function(&'a StoredFunction),
    /// The hosts of an app.
    Hosts(&'a AppName, &'a [String]),
}

/// All routes after a change, with one binding gone back to what it may go back to, where one is named.
fn all(snapshot: &Snapshot, change: &Change<'_>, gone_back: Option<&Arc<Binding>>) -> Result<Routes, Problem> {
    let mut hosts: Vec<(&AppName, &[String])> =
        snapshot.apps().map(|entry| (&entry.app.name, &*entry.app.spec.hosts)).collect();
    if let Change::Hosts(app, changed) = change {
        hosts.retain(|(present, _)| present != app);
        hosts.push((app, changed));
    }
    let state = if let Change::Function(state) = change { Some(*state) } else { None };
    let mut declared = Vec::new();
    for entry in snapshot.apps() {
        let app = &entry.app.name;
        let hosts = hosts.iter().find(|(named, _)| *named == app).map_or(&[][..], |(_, hosts)| hosts);
        let mut bindings: Vec<_> = entry.functions.iter().map(|bound| &bound.0).collect();
        bindings.sort_by(|a, b| a.function.cmp(&b.function));
        for binding in bindings.into_iter().filter(|binding| state.is_none_or(|state| state.name != binding.function)) {
            let is_back = gone_back.is_some_and(|back| Arc::ptr_eq(back, binding));
            let routes = if is_back { &binding.routes_before } else { binding.routes() };
            if !routes.is_empty() {
                declared.push(Declared { app, hosts, function: &binding.function, routes: routes.to_vec() });
            }
        }
        if let Some(state) = state {
            declared.push(Declared { app, hosts, function: &state.name, routes: routes_of(state, app)? });
        }
    }
    Routes::of(&hosts, declared)
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
