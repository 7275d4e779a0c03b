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

/// About as many as there are in a second.
const TICKS_PER_SECOND: u32 = 200;

/// Ticks until it is dropped or its engine is gone.
#[derive(Debug)]
pub(crate) struct Ticker {
    /// Dropping it wakes and ends the thread.
    _stop: Sender<()>,
}

impl Ticker {
    /// Starts the thread, which also does `every_second` about once in a second.
    pub(crate) fn start(engine: EngineWeak, every_second: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        thread::Builder::new().name("gust-epoch".to_owned()).spawn(move || {
            let mut ticks = 0_u32;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
                drop(engine);
                ticks = ticks.wrapping_add(1);
                if ticks.is_multiple_of(TICKS_PER_SECOND) {
                    every_second();
                }
            }
        })?;
        Ok(Self { _stop: stop })
    }
}
