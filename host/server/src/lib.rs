//! The only crate that names hyper: two listeners, the way of a request, the way of a deploy.
//!
//! [`serve`] is the whole host. The data listener calls functions ([`data`]), the admin listener changes and shows what is
//! deployed ([`admin`]); both read one [`catalog`]. Receipts of requests end in the [`ledger`].

mod admin;
mod calls;
mod catalog;
mod coalescing;
mod compiler;
mod data;
mod deploy;
mod flat_json;
mod flights;
mod function_metrics;
mod ledger;
mod lingering;
mod listener;
mod loader;
mod logbook;
mod machine;
mod metrics;
mod optimiser;
mod patience;
mod pressure;
mod request_log;
mod residence;
mod residents;
mod serve;
mod status;
mod wanted;
mod work;

pub use compiler::worker as compile_worker;
pub use request_log::{RequestLog, RequestLogFormat};
pub use serve::{ServeError, serve};
