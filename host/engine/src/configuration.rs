//! What a function was configured with, by name.
//!
//! It is the same for all requests of a loaded function, so it stands with the function's terms, and an instance holds nothing
//! of it. Most functions never ask: what is looked up in is made when the first one does.

use std::sync::OnceLock;

use wasmtime_wasi_config::WasiConfigVariables;

/// A function's configuration. Its values may be secret, so it has no `Debug`.
#[derive(Default)]
pub(crate) struct Configuration {
    /// What is not in the environment, or stands there with another value.
    own: Vec<(String, String)>,
    /// That and the environment, once it was asked for.
    all: OnceLock<WasiConfigVariables>,
}

impl Configuration {
    /// This beside the environment.
    pub(crate) fn new(own: Vec<(String, String)>) -> Self {
        Self { own, all: OnceLock::new() }
    }

    /// All of it. Of two with one name, that of the environment is not seen.
    pub(crate) fn with(&self, env: &[(String, String)]) -> &WasiConfigVariables {
        self.all.get_or_init(|| env.iter().chain(&self.own).cloned().collect())
    }
}
