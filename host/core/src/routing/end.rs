//! Where a pattern ends: the routes of one host and one path, told apart by their methods.
//!
//! A route that names the request's method goes before one that takes all. `HEAD` is asked of whoever names `GET`, unless
//! one names `HEAD`. Two routes that name the same method, or that both take all, are in conflict.

use std::fmt;

use http::Method;

use super::methods::Methods;

/// A route's place in its router's list.
pub(super) type Index = usize;

/// The routes of one path, by method. It has one at least.
#[derive(Default)]
pub(super) struct End {
    named: Vec<(Method, Index)>,
    /// The one that takes all methods.
    all: Option<Index>,
}

impl End {
    /// Adds a route. Fails with the one that it is in conflict with, and a method where they name one.
    pub(super) fn add(&mut self, methods: &Methods, route: Index) -> Result<(), (Index, Option<Method>)> {
        if methods.are_all() {
            return self.all.replace(route).map_or(Ok(()), |other| Err((other, None)));
        }
        for method in methods.named() {
            if let Some(other) = self.naming(method) {
                return Err((other, Some(method.clone())));
            }
        }
        self.named.extend(methods.named().iter().map(|method| (method.clone(), route)));
        Ok(())
    }

    /// The route that takes requests of this method.
    pub(super) fn taking(&self, method: &Method) -> Option<Index> {
        let head_as_get = || self.naming(&Method::GET).filter(|_| *method == Method::HEAD);
        self.naming(method).or_else(head_as_get).or(self.all)
    }

    /// One of its routes.
    pub(super) fn any(&self) -> Option<Index> {
        self.named.first().map(|(_, route)| *route).or(self.all)
    }

    fn naming(&self, method: &Method) -> Option<Index> {
        self.named.iter().find(|(named, _)| named == method).map(|(_, route)| *route)
    }
}

/// The methods that a path is there for, as the header `Allow` lists them.
#[derive(Clone, Copy)]
pub struct Allow<'r>(pub(super) &'r End);

impl<'r> Allow<'r> {
    /// The methods, `HEAD` with `GET`.
    pub fn methods(self) -> impl Iterator<Item = &'r Method> {
        let is_implied = self.0.naming(&Method::HEAD).is_none() && self.0.naming(&Method::GET).is_some();
        let implied = is_implied.then_some(&Method::HEAD);
        self.0.named.iter().map(|(method, _)| method).chain(implied)
    }
}

impl fmt::Display for Allow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.methods().map(Method::as_str).collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Debug for Allow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.methods()).finish()
    }
}
