//! `wasi:logging`: lines of a function's log, with a level and a context.

use wasmtime::component::{HasSelf, Linker};

use crate::host::Host;

/// The interfaces of this module.
pub(super) const INTERFACES: &[&str] = &["wasi:logging/logging"];

/// The only release of `wasi:logging` that there is.
pub(super) const VERSION: &str = "0.1.0-draft";

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/deps/wasi-logging-0.1.0-draft",
        inline: "package gust:logging; world logging { import wasi:logging/logging@0.1.0-draft; }",
        world: "gust:logging/logging",
    });
}

use bindings::wasi::logging::logging::{self, Level};

/// Adds them.
pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    logging::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)
}

impl logging::Host for Host {
    fn log(&mut self, level: Level, context: String, message: String) {
        let level = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Critical => "critical",
        };
        if context.is_empty() {
            self.log_line(&format!("[{level}] {message}"));
        } else {
            self.log_line(&format!("[{level}] {context}: {message}"));
        }
    }
}
