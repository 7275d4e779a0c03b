//! The only crate that names hyper: two listeners, the way of a request, the way of a deploy.
//!
//! [`serve`] is the whole host. The data listener calls functions ([`data`]), the admin listener changes and shows what is
//! deployed ([`admin`]); both read one [`catalog`]. Receipts of requests end in the [`ledger`].

mod admin;
mod app;
mod apps;
mod archive;
mod assembly;
mod backup;
mod binding;
mod calls;
mod catalog;
mod changes;
mod coalescing;
mod compiler;
mod data;
mod deploy;
mod deployment;
mod doctor;
mod draining;
mod flat_json;
mod flights;
mod function_metrics;
mod handshake;
mod health;
mod issuers;
mod ledger;
mod lingering;
mod listener;
mod loader;
mod logbook;
mod machine;
mod metrics;
mod optimiser;
mod panics;
mod patience;
mod pinned;
mod pipe;
mod prepared;
mod pressure;
mod quota;
mod request_log;
mod residence;
mod residents;
mod restore;
mod routes;
mod routing;
mod serve;
mod shedding;
mod snapshot;
mod sockets;
mod status;
mod supervisor;
mod tls;
mod tokens;
mod vault;
mod wanted;
mod watch;
mod watches;
mod work;

pub use compiler::worker as compile_worker;
pub use doctor::{Finding, examine};
pub use request_log::{RequestLog, RequestLogFormat};
pub use serve::{ServeError, serve};
pub use supervisor::{SUPERVISOR_PID, end_with, supervise};
pub use tls::TlsError;
