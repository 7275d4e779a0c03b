//! The clock of epochs: one thread per engine that makes running guests pause now and then.
//!
//! At each tick every running guest yields to the executor once, so that timers fire, other requests on the same core
//! proceed, and a guest that never ends can be ended from outside.

use std::{
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

use wasmtime::EngineWeak;

/// The longest that a guest runs before it yields. Deadlines are late by at most this and the time of one host call.
const TICK: Duration = Duration::from_millis(5);

/// Ticks until it is dropped or its engine is gone.
#[derive(Debug)]
pub(crate) struct Ticker {
    /// Dropping it wakes and ends the thread.
    _stop: Sender<()>,
}

impl Ticker {
    /// Starts the thread.
    pub(crate) fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        thread::Builder::new().name("gust-epoch".to_owned()).spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
            }
        })?;
        Ok(Self { _stop: stop })
    }
}
