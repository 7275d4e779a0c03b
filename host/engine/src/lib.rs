//! The only crate that names wasmtime: components in, answers out.
//!
//! A component is [inspected and compiled](compile) once, its artifact kept by an [`ArtifactCache`], and loaded as a
//! [`Function`]. Each request takes a [`Lease`] of it (an instance in exactly the state that instantiation left, used for
//! one request) and [calls](Lease::call) it. How the instance came to be is this crate's own affair.

mod allowed;
mod artifact;
mod body;
mod call;
mod callee;
mod compile;
mod componentize;
mod configuration;
mod engine;
mod failure;
mod function;
mod host;
mod init;
mod interfaces;
mod invocation;
mod lane;
mod last_lines;
mod lease;
mod memory;
mod meter;
mod others;
mod outgoing;
mod output;
mod places;
mod pool;
mod report;
mod rewind;
mod rewrite;
mod settings;
mod state;
mod ticker;
mod timeouts;
mod turns;
mod unanswered;
mod unmade;
mod verdict;

pub use artifact::{ArtifactCache, ArtifactKey};
pub use body::{GuestBody, Running};
pub use call::{Scheme, has_body};
pub use compile::compile;
pub use engine::Engine;
pub use function::{Function, FunctionConfig};
pub use invocation::{Along, Invocation};
pub use lease::{Lease, LeaseTiming};
pub use meter::{Meter, Usage};
pub use outgoing::{Answer, Answering, Outbound, SentBody};
pub use output::{OutputSink, OutputStream};
pub use places::{Awaited, Place, Places};
pub use report::report;
pub use rewind::put_back_waiting;
pub use settings::{Reset, Settings, address_bytes_per_instance, slots_per_instance};
pub use state::{BlobId, BlobSink, BlobSource, Bucket, Container, Pending, State};
pub use timeouts::Timeouts;
pub use turns::Share;
pub use unanswered::{Cause, Unanswered};
