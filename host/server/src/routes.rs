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
    /// Functions whose routes cannot be served with those of the others, and why: none of what was let in, unless what is stored
    /// came from elsewhere.
    pub(crate) left_out: Vec<(Destination, Problem)>,
}

impl Routes {
    /// Those that functions declare, on the hosts where they may, and those hosts. A function whose routes cannot be among them is
    /// left out with all of its routes; of two in conflict the one that comes later.
    pub(crate) fn of(hosts: &[(&AppName, &[String])], mut declared: Vec<Declared<'_>>) -> Result<Self, Problem> {
        let hosts_served = all_hosts(hosts)?;
        let mut left_out = Vec::new();
        loop {
            match together(hosts, &declared) {
                Ok(declared) => return Ok(Self { declared, hosts: hosts_served, left_out }),
                Err((at, problem)) => left_out.push((declared.remove(at).to(), problem)),
            }
        }
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

impl Declared<'_> {
    fn to(&self) -> Destination {
        Destination { app: self.app.clone(), function: self.function.clone() }
    }
}

/// A router of all that is declared; or whose cannot be in it, by its place, and why.
fn together(
    hosts: &[(&AppName, &[String])],
    declared: &[Declared<'_>],
) -> Result<Router<Destination>, (usize, Problem)> {
    let (mut routes, mut owners) = (Vec::new(), Vec::new());
    for (at, one) in declared.iter().enumerate() {
        for route in &one.routes {
            for route in placed(one, route, hosts).map_err(|problem| (at, problem))? {
                routes.push((route, one.to()));
                owners.push(at);
            }
        }
    }
    Router::new(routes).map_err(|conflict| {
        let owner = |route: usize| owners.get(route).copied().unwrap_or_default();
        let told = |route: usize| declared.get(owner(route)).map_or_else(String::new, |one| told(&one.to()));
        (owner(conflict.second), in_conflict(&conflict, told))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_served_is_left_out_and_the_rest_is_served() {
        let (default, shop) = (AppName::default_app(), "shop".parse::<AppName>().unwrap());
        let names: Vec<FunctionName> = ["a", "b", "c", "d"].map(|name| name.parse().unwrap()).into();
        let route = |path: &str| {
            let spec = RouteSpec { path: path.to_owned(), ..RouteSpec::default() };
            vec![Arc::new(Route::new(1, &spec).unwrap())]
        };
        let declared =
            |app, function: usize, path| Declared { app, hosts: &[], function: &names[function], routes: route(path) };
        let all = vec![
            declared(&default, 0, "/x/{id}"),
            declared(&default, 1, "/x/{number}"),
            declared(&default, 2, "/y"),
            declared(&shop, 3, "/z"),
        ];
        let hosts = ["other.test".to_owned()];
        let routes = Routes::of(&[(&default, &[]), (&shop, &[]), (&names_app("other"), &hosts)], all).unwrap();
        let out: Vec<_> = routes.left_out.iter().map(|(to, problem)| (to.function.as_str(), problem.code)).collect();
        assert_eq!(out, [("d", Code::RouteHost), ("b", Code::RouteConflict)]);
        let leads = |path| matches!(routes.declared.find("h", path, &Method::GET), Lookup::Found(_));
        assert!(leads("/x/1") && leads("/y") && !leads("/z"));
        assert!(routes.app_of("other.test").is_some(), "hosts are claimed whatever becomes of routes");
    }

    fn names_app(name: &str) -> AppName {
        name.parse().unwrap()
    }
}
