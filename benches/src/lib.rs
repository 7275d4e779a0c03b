//! What the benches share: the sides that are compared, and how runs are interleaved.
//!
//! A claim about speed is a ratio of two sides that ran in turns in one run: a machine that speeds up or slows down
//! meanwhile does so for both.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a bench ends by panicking")]

pub mod access;
pub mod bare;
pub mod bare_hyper;
pub mod catalogue;
pub mod counted;
pub mod figures;
pub mod generator;
pub mod hosted;
pub mod instance;
pub mod languages;
pub mod load;
pub mod machine;
pub mod many;
pub mod neighbours;
pub mod peers;
pub mod picture;
pub mod plot;
pub mod process;
pub mod publish;
pub mod reach;
pub mod record;
pub mod refusals;
pub mod regression;
pub mod report;
pub mod routes;
pub mod scale;
pub mod server;
pub mod slow;
pub mod statistics;
pub mod undisturbed;

use std::path::{Path, PathBuf};

/// A path from the project's root.
pub fn project(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(relative)
}

/// The component that `cargo xtask functions` built.
pub fn component(name: &str) -> PathBuf {
    project(&format!("target/functions/{name}.wasm"))
}

/// One of the things that are compared.
pub trait Side {
    /// What it is called in the table.
    fn name(&self) -> &str;

    /// Answers this many requests, one after the other, each in an instance of its own.
    fn answer(&mut self, requests: u64);
}

/// The runtime that sides await in: one thread, as one core of a server has.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}
