//! Many routes, and the one of them that takes a request.

use std::{collections::HashMap, fmt, sync::Arc};

use foldhash::fast::RandomState;
use http::Method;

use super::{
    HostPattern, Route,
    end::Allow,
    host::{self, Folded},
    sent,
    tree::{Node, Path, Values},
};

/// Finds the route that takes a request, whose value is a `T`.
pub struct Router<T> {
    routes: Box<[(Arc<Route>, T)]>,
    hosts: Hosts,
}

/// The tree of each host's patterns.
#[derive(Default)]
struct Hosts {
    exact: HashMap<Box<str>, Node, RandomState>,
    below: HashMap<Box<str>, Node, RandomState>,
    any: Node,
}

/// What there is for a request.
#[derive(Debug)]
pub enum Lookup<'r, 'p, T> {
    /// A route that takes it.
    Found(Match<'r, 'p, T>),
    /// Routes for its path, but none for its method; and the value of one of them. All of them are for the same host.
    MethodNotAllowed(Allow<'r>, &'r T),
    /// A path that is not routed as it is written: it could be taken for another one (`sent.rs`).
    Ambiguous,
    /// Nothing.
    NotFound,
}

/// A route that takes a request.
#[derive(Debug)]
pub struct Match<'r, 'p, T> {
    /// The route.
    pub route: &'r Arc<Route>,
    /// Its value.
    pub value: &'r T,
    values: Values<'p>,
}

/// Two routes that take the same requests, neither of which is more specific.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The place of one in the list of routes, from 0.
    pub first: usize,
    /// The place of the other.
    pub second: usize,
    routes: [Arc<Route>; 2],
    method: Option<Method>,
}

impl<T> Router<T> {
    /// Of these routes. Fails where two of them are in conflict.
    pub fn new(routes: Vec<(Arc<Route>, T)>) -> Result<Self, Conflict> {
        let mut hosts = Hosts::default();
        for (second, (route, _)) in routes.iter().enumerate() {
            let end = hosts.root(route.host()).end_of(route.path().segments());
            if let Err((first, method)) = end.add(route.methods(), second) {
                let other = routes.get(first).map_or(route, |(other, _)| other);
                return Err(Conflict { first, second, routes: [other.clone(), route.clone()], method });
            }
        }
        Ok(Self { routes: routes.into(), hosts })
    }

    /// The most specific route for a request. `host` is its host, with or without a port, or empty; `path` is its path as it
    /// was sent, without the query.
    pub fn find<'p>(&self, host: &str, path: &'p str, method: &Method) -> Lookup<'_, 'p, T> {
        let Some(below) = path.strip_prefix('/') else { return Lookup::NotFound };
        let is_plain = sent::is_plain(path);
        if !is_plain && sent::is_ambiguous(path) {
            return Lookup::Ambiguous;
        }
        let (mut folded, mut taken_apart) = (Folded::new(), Path::new(below, is_plain));
        let name = host::name_of(host, &mut folded);
        let Some(end) = self.hosts.find(name, |root| root.find(0, &mut taken_apart)) else { return Lookup::NotFound };
        if !taken_apart.is_well_written {
            return Lookup::Ambiguous;
        }
        if let Some((route, value)) = end.taking(method).and_then(|index| self.routes.get(index)) {
            return Lookup::Found(Match { route, value, values: taken_apart.values });
        }
        match end.any().and_then(|index| self.routes.get(index)) {
            Some((_, value)) => Lookup::MethodNotAllowed(Allow(end), value),
            None => Lookup::NotFound,
        }
    }

    /// Whether any route names this host, or a wildcard that it is below.
    pub fn claims_host(&self, host: &str) -> bool {
        host::name_of(host, &mut Folded::new()).is_some_and(|name| self.hosts.find_named(name, Some).is_some())
    }

    /// Its routes with their values, in the order in which they were given.
    pub fn routes(&self) -> &[(Arc<Route>, T)] {
        &self.routes
    }
}

impl<T> Default for Router<T> {
    /// One without routes.
    fn default() -> Self {
        Self { routes: Box::default(), hosts: Hosts::default() }
    }
}

impl Hosts {
    fn root(&mut self, host: &HostPattern) -> &mut Node {
        match host {
            HostPattern::Any => &mut self.any,
            HostPattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
            HostPattern::Below(name) => self.below.entry(name.clone()).or_default(),
        }
    }

    /// The first that is found in the trees for a host, from the most specific one on.
    fn find<'n, F>(&'n self, name: Option<&str>, mut find: impl FnMut(&'n Node) -> Option<F>) -> Option<F> {
        name.and_then(|name| self.find_named(name, &mut find)).or_else(|| find(&self.any))
    }

    /// The same in those of patterns that are not for every host.
    fn find_named<'n, F>(&'n self, name: &str, mut find: impl FnMut(&'n Node) -> Option<F>) -> Option<F> {
        let below = |parent| self.below.get(parent);
        let exact = self.exact.get(name).and_then(&mut find);
        exact.or_else(|| host::parents(name).filter_map(below).find_map(find))
    }
}

impl<'p, T> Match<'_, 'p, T> {
    /// The values of the pattern's parameters, from left to right, as they were sent.
    pub fn values(&self) -> &[&'p str] {
        &self.values
    }

    /// The parameters' names and values.
    pub fn params(&self) -> impl Iterator<Item = (&str, &'p str)> {
        self.route.path().names().iter().map(|name| &**name).zip(self.values.iter().copied())
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = &self.routes;
        write!(f, "{first} and {second} take the same requests")?;
        if let Some(method) = &self.method {
            write!(f, " ({method})")?;
        }
        f.write_str("; change the host, the path or the methods of one")
    }
}

impl std::error::Error for Conflict {}
