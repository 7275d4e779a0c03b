//! Which route takes a request: by its host, its path and its method.
//!
//! A [`RouteSpec`] is a route as it is written, a [`Route`] is one that was checked, and a [`Router`] finds, among the
//! routes of everybody, the most specific one that a request matches:
//!
//! 1. by host: one that names it, then the longest wildcard, then those for every host;
//! 2. by path, segment by segment from the left: a literal, then a parameter, then the rest. Where nothing of a more specific
//!    host or beginning matches the whole path, the less specific are looked at;
//! 3. by method, among the routes of that one path: one that names it, then one that takes all. Whoever has a path has it
//!    for all methods: no less specific path is looked at for one that is not there.
//!
//! Where this leaves two, they are in conflict, and there is no router of both. Nothing is decided by order.

mod end;
mod host;
mod methods;
mod pattern;
mod redirect;
mod respond;
mod route;
mod router;
mod runs;
mod sent;
mod spec;
mod tree;

#[cfg(test)]
mod tests;

pub use end::Allow;
pub use host::{HOST_BYTES_MAX, HostPattern};
pub use methods::{METHODS_MAX, Methods};
pub use pattern::{PARAMS_MAX, PathPattern, SEGMENTS_MAX};
pub use redirect::{Redirect, TARGET_BYTES_MAX};
pub use respond::{BODY_BYTES_MAX, Respond};
pub use route::{Action, ROUTES_MAX, Route, RouteError, check_all};
pub use router::{Conflict, Lookup, Match, Router};
pub use spec::{RedirectSpec, RespondSpec, RouteSpec};

/// What somebody wrote, for an error: quoted, and cut where it is long.
fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    let cut: String = text.chars().take(CHARS_MAX).collect();
    let dots = if cut.len() < text.len() { "..." } else { "" };
    format!("{cut:?}{dots}")
}
