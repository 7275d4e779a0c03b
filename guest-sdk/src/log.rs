//! Lines for the function's log, with a level.
//!
//! ```
//! use gust_sdk::log;
//!
//! log::info("the cart is empty");
//! log::warn(format_args!("{} items are left", 2));
//! ```
//!
//! A component imports `wasi:logging/logging` for this, and only where it is called. Outside of a component lines go to standard error.

use std::fmt::Display;

macro_rules! levels {
    ($($(#[$doc:meta])* $level:ident = $variant:ident;)*) => {$(
        $(#[$doc])*
        pub fn $level(message: impl Display) {
            #[cfg(target_arch = "wasm32")]
            component::log(component::Level::$variant, message);
            #[cfg(not(target_arch = "wasm32"))]
            eprintln!("[{}] {message}", stringify!($level));
        }
    )*};
}

levels! {
    /// For whoever follows each step.
    trace = Trace;
    /// For whoever looks for a fault.
    debug = Debug;
    /// For whoever watches.
    info = Info;
    /// Something is not as it should be.
    warn = Warn;
    /// Something failed.
    error = Error;
    /// Nothing works any more.
    critical = Critical;
}

#[cfg(target_arch = "wasm32")]
mod component {
    wit_bindgen::generate!({
        path: "wit/deps/wasi-logging-0.1.0-draft",
        inline: "package gust:log; world log { import wasi:logging/logging@0.1.0-draft; }",
        world: "gust:log/log",
        generate_all,
    });

    pub(super) use wasi::logging::logging::Level;

    pub(super) fn log(level: Level, message: impl std::fmt::Display) {
        wasi::logging::logging::log(level, "", &message.to_string());
    }
}
