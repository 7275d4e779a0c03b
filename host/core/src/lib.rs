//! What the whole house agrees on: names, digests, limits, manifests, routes, configuration, error codes, receipts and the
//! admin API's documents.
//!
//! Everything here is pure. No tokio, hyper or wasmtime, no files and no clocks: a value comes in, a value or an error
//! that teaches goes out. That is why this crate may be named by every other, and why most of it is tested without any
//! fixture.

pub mod access;
pub mod api;
pub mod app;
pub mod code;
pub mod component;
pub mod conditions;
pub mod config;
pub mod digest;
pub mod instance;
pub mod limits;
pub mod manifest;
pub mod name;
pub mod one_line;
pub mod outbound;
pub mod receipt;
pub mod request_id;
pub mod routing;
pub mod schema;
pub mod setting_value;
pub mod state;
mod text_place;
pub mod thread_number;
pub mod tier;
pub mod timestamp;
pub mod traffic;

pub use access::Access;
pub use app::AppSpec;
pub use code::{Code, Problem, Source};
pub use conditions::Conditions;
pub use digest::Digest;
pub use instance::{InstanceMode, InstanceState, RewindPolicy};
pub use limits::Limits;
pub use manifest::Manifest;
pub use name::{AliasName, AppName, FunctionName, StateName, TokenName};
pub use one_line::one_line;
pub use receipt::Receipt;
pub use request_id::RequestId;
pub use setting_value::{HostNames, OptionalPath};
pub use tier::Tier;
pub use timestamp::Timestamp;
pub use traffic::Traffic;
