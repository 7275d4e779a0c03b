//! The load bench: the same hello on gust, on a bare hyper server that answers the same bytes, on `wasmtime serve` and on
//! workerd.
//!
//! Every server has one core to itself from its start, the load generator has another, and the servers take turns.

mod closed;
mod offered;
mod sides;
pub(crate) mod wrk;

pub use closed::{Plan, run, show};
pub use offered::{TYPICAL_SHARE, figure, run as run_offered, show as show_offered};
pub use sides::{BARE_HYPER, GUST};
