//! Inputs that nobody thought of, for whatever takes them from the outside. Each target is a function of bytes, and panics where
//! what should hold for all of them does not.
//!
//! `cargo xtask fuzz` runs the targets in libFuzzer, through the programs in `targets/`. `tests/seeds.rs` gives each the inputs
//! that are kept for it in `seeds/`, so that what was found once is tried whenever anything is tested.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a target fails by panicking"
)]

mod admin;
mod bench;
mod damage;
mod generated;
mod host;
mod http;
mod manifest;
mod report;
mod routes;
mod store;
mod stored;
mod typed;
mod upload;
mod values;

pub use self::http::http;
pub use admin::admin;
pub use generated::generated;
pub use manifest::manifest;
pub use report::report;
pub use routes::routes;
pub use store::store;
pub use upload::upload;
pub use values::values;
