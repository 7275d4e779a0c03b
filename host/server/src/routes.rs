//! The routes of all functions and the hosts of all apps, in one router.
//!
//! A function's routes are on the hosts of its app. The default app has no hosts of its own: its functions' routes may be for
//! any host but those that another app has.

use std::sync::Arc;

use gust_core::{
    AppName, Code, FunctionName, Problem,
    routing::{Conflict, HostPattern, Lookup, Route, RouteSpec, Router},
};
use http::Method;

/// The function that a route leads to, and the app in which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) app: AppName,
    pub(crate) function: FunctionName,
}

/// All routes and hosts.
#[derive(Default)]
pub(crate) struct Routes {
    /// What functions declare.
    pub(crate) declared: Router<Destination>,
    /// What apps have.
    hosts: Router<AppName>,
}

impl Routes {
    /// Those that functions declare, on the hosts where they may, and those hosts; or why they cannot be together.
    pub(crate) fn of(hosts: &[(&AppName, &[String])], declared: &[Declared<'_>]) -> Result<Self, Problem> {
        let mut routes = Vec::new();
        for one in declared {
            for route in &one.routes {
                let to = Destination { app: one.app.clone(), function: one.function.clone() };
                routes.extend(placed(one, route, hosts)?.into_iter().map(|route| (route, to.clone())));
            }
        }
        let named: Vec<Destination> = routes.iter().map(|(_, to)| to.clone()).collect();
        let told = |at: usize| named.get(at).map_or_else(String::new, told);
        let declared = Router::new(routes).map_err(|conflict| in_conflict(&conflict, told))?;
        Ok(Self { declared, hosts: all_hosts(hosts)? })
    }

    /// Whether there are none.
    pub(crate) fn are_none(&self) -> bool {
        self.declared.routes().is_empty() && self.hosts.routes().is_empty()
    }

    /// The app that has a host.
    pub(crate) fn app_of(&self, host: &str) -> Option<&AppName> {
        match self.hosts.find(host, "/", &Method::GET) {
            Lookup::Found(found) => Some(found.value),
            _ => None,
        }
    }

    /// Whether a host is an app's, or some route's alone.
    pub(crate) fn claim(&self, host: &str) -> bool {
        self.declared.claims_host(host) || self.hosts.claims_host(host)
    }
}

/// The routes of one function in one app.
pub(crate) struct Declared<'a> {
    pub(crate) app: &'a AppName,
    pub(crate) hosts: &'a [String],
    pub(crate) function: &'a FunctionName,
    pub(crate) routes: Vec<Arc<Route>>,
}

/// The hosts of all apps.
fn all_hosts(hosts: &[(&AppName, &[String])]) -> Result<Router<AppName>, Problem> {
    let mut routes = Vec::new();
    for (app, host) in hosts.iter().flat_map(|(app, hosts)| hosts.iter().map(move |host| (*app, host))) {
        let spec = RouteSpec { host: Some(host.clone()), path: "/".to_owned(), ..RouteSpec::default() };
        let route = Route::new(1, &spec).map_err(|error| Problem::new(Code::AppInvalid, format!("hosts: {error}")))?;
        routes.push((Arc::new(route), app.clone()));
    }
    let named: Vec<AppName> = routes.iter().map(|(_, app)| app.clone()).collect();
    Router::new(routes).map_err(|conflict| {
        let told = |at: usize| named.get(at).map_or("", AppName::as_str);
        let (first, second) = (told(conflict.first), told(conflict.second));
        Problem::new(Code::RouteConflict, format!("the apps {first} and {second} would have the same host"))
    })
}

fn in_conflict(conflict: &Conflict, told: impl Fn(usize) -> String) -> Problem {
    let (first, second) = (told(conflict.first), told(conflict.second));
    Problem::new(Code::RouteConflict, format!("{conflict}: one is of {first}, the other of {second}"))
}

fn told(to: &Destination) -> String {
    let Destination { app, function } = to;
    if app.is_default() {
        format!("the function {function}")
    } else {
        format!("the function {function} in the app {app}")
    }
}

/// A route on the hosts where its function may have it.
fn placed(one: &Declared<'_>, route: &Arc<Route>, hosts: &[(&AppName, &[String])]) -> Result<Vec<Arc<Route>>, Problem> {
    let Declared { app, function, .. } = one;
    let refused = |detail: String| Err(Problem::new(Code::RouteHost, detail));
    if app.is_default() {
        let others = hosts.iter().filter(|(other, _)| other != app);
        let owner = others.clone().find(|(_, hosts)| covers(hosts, route.host()));
        return match owner {
            Some(_) => refused(format!("the route {route} of {function} is for a host of another app")),
            None => Ok(vec![route.clone()]),
        };
    }
    if *route.host() != HostPattern::Any {
        let is_others = |(other, hosts): &(&AppName, &[String])| other != app && has(hosts, route.host());
        return match covers(one.hosts, route.host()) && !hosts.iter().any(is_others) {
            true => Ok(vec![route.clone()]),
            false => refused(format!("the route {route} of {function} is for a host that the app {app} does not have")),
        };
    }
    if one.hosts.is_empty() {
        return refused(format!(
            "the app {app} has no hosts, so {function} can have no routes there; give it some: gust app set {app} --file FILE"
        ));
    }
    let on = |host: &String| route.on_host(host).map(Arc::new).map_err(|error| Problem::new(Code::AppInvalid, error));
    one.hosts.iter().map(on).collect()
}

/// Whether one of an app's hosts is this very one.
fn has(hosts: &[String], pattern: &HostPattern) -> bool {
    let name = pattern.to_string();
    hosts.iter().any(|host| host.eq_ignore_ascii_case(&name))
}

/// Whether one of an app's hosts is this one, or a wildcard over it.
fn covers(hosts: &[String], pattern: &HostPattern) -> bool {
    let name = pattern.to_string();
    hosts.iter().any(|host| {
        let host = host.to_ascii_lowercase();
        host == name || host.strip_prefix('*').is_some_and(|below| name.ends_with(below))
    })
}
