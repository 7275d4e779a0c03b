//! The data listener's side: the way of a request, from its head to its receipt.
//!
//! [`service::answer`] is that way, each step one call. The steps are beside it, one file each.

mod access;
mod admit;
mod answers;
mod caller;
mod found;
mod incoming;
mod internal;
mod mounted;
pub(crate) mod onward;
mod outgoing;
mod route;
mod routed;
pub(crate) mod service;
mod split;
mod visit;
