//! Rewinding: an instance that served a request is put back to exactly the state that instantiation left, and serves the
//! next one, for less than half of what a new instance costs (`docs/performance.md`).
//!
//! A call can change an instance's memory, its globals, its handles, and what the host holds for it. Memory is put back page
//! by page ([`pages`], [`private`]); globals by code that the component was given when it was deployed ([`crate::rewrite`]), which the host
//! calls or which ends the typed handler; handles must all be gone, and the host's own data is made anew ([`kept`]). Whatever
//! cannot be put back exactly is not: the instance is dropped, and the next request gets one from the pool. A function for
//! which that happens too often is not tried for a while ([`balance`]). Idle instances wait on a [`shelf`].
//!
//! The idea of putting back what was written instead of making a new one is that of Faasm (Shillaker and Pietzuch, USENIX
//! ATC 2020) and Groundhog (Alzayat and others, EuroSys 2023).

mod balance;
mod faults;
mod kept;
mod pages;
mod private;
mod refusal;
mod rewinding;
mod shelf;
#[cfg(test)]
mod tests;
mod way_back;

pub(crate) use faults::{at_once, of_others};
pub(crate) use kept::Kept;
pub(crate) use refusal::Refusal;
pub(crate) use rewinding::Rewinding;
pub use rewinding::put_back_waiting;
pub(crate) use way_back::WayBack;
