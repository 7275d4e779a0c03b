//! A route, checked: what it is for, and what becomes of its requests.

use std::{fmt, sync::Arc};

use super::{
    HostPattern, Methods, PathPattern, Redirect, Respond, Router, shown,
    spec::{RedirectSpec, RespondSpec, RouteSpec},
};

/// The most routes of one function.
pub const ROUTES_MAX: usize = 64;

/// A route, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    host: HostPattern,
    path: PathPattern,
    methods: Methods,
    action: Action,
}

/// What becomes of a route's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The function answers them.
    Call,
    /// They are sent elsewhere.
    Redirect(Redirect),
    /// They are all answered alike.
    Respond(Respond),
}

/// What is wrong with a route, and which one it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RouteError(String);

impl Route {
    /// Checks a route. Its number, from 1, is for the error.
    pub fn new(number: usize, spec: &RouteSpec) -> Result<Self, RouteError> {
        Self::check(spec).map_err(|why| RouteError(format!("route {number} ({}): {why}", shown(&spec.path))))
    }

    fn check(spec: &RouteSpec) -> Result<Self, String> {
        let host = HostPattern::parse(spec.host.as_deref())?;
        let path = PathPattern::parse(&spec.path)?;
        let methods = Methods::parse(&spec.methods)?;
        let action = Action::new(spec.redirect.as_ref(), spec.respond.as_ref(), &path)?;
        Ok(Self { host, path, methods, action })
    }

    /// The same route for one host, or all below one, written as a route's `host`.
    pub fn on_host(&self, host: &str) -> Result<Self, String> {
        Ok(Self { host: HostPattern::parse(Some(host))?, ..self.clone() })
    }

    /// The hosts that it is for.
    pub fn host(&self) -> &HostPattern {
        &self.host
    }

    /// The paths that it is for.
    pub fn path(&self) -> &PathPattern {
        &self.path
    }

    /// The methods that it is for.
    pub fn methods(&self) -> &Methods {
        &self.methods
    }

    /// What becomes of its requests.
    pub fn action(&self) -> &Action {
        &self.action
    }
}

/// As `GET,POST shop.example.com/orders/{id}`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.methods.are_all() { "" } else { " " };
        write!(f, "{}{space}{}{}", self.methods, self.host, self.path)
    }
}

impl Action {
    fn new(redirect: Option<&RedirectSpec>, respond: Option<&RespondSpec>, path: &PathPattern) -> Result<Self, String> {
        match (redirect, respond) {
            (None, None) => Ok(Self::Call),
            (Some(redirect), None) => Ok(Self::Redirect(Redirect::new(redirect, path)?)),
            (None, Some(respond)) => Ok(Self::Respond(Respond::new(respond)?)),
            (Some(_), Some(_)) => Err("it has both redirect and respond; take one out".to_owned()),
        }
    }
}

/// Checks all routes of a function, each and beside the others.
pub fn check_all(specs: &[RouteSpec]) -> Result<Vec<Arc<Route>>, RouteError> {
    if specs.len() > ROUTES_MAX {
        return Err(RouteError(format!("there are {} routes; a function has at most {ROUTES_MAX}", specs.len())));
    }
    let checked = (1..).zip(specs).map(|(number, spec)| Route::new(number, spec).map(Arc::new));
    let routes: Vec<Arc<Route>> = checked.collect::<Result<_, _>>()?;
    match Router::new(routes.iter().map(|route| (route.clone(), ())).collect()) {
        Ok(_) => Ok(routes),
        Err(conflict) => {
            Err(RouteError(format!("routes {} and {}: {conflict}", conflict.first + 1, conflict.second + 1)))
        }
    }
}
