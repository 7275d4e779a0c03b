//! One of wasmtime's engines, with all that is made once for it: its pool of slots, its linker, its clock.

use wasmtime::component::Linker;

use crate::{
    host::Host,
    interfaces,
    settings::{self, Concurrency, Reset, Settings},
    ticker::Ticker,
};

/// One of wasmtime's engines and its pool.
pub(crate) struct Pool {
    wasmtime: wasmtime::Engine,
    linker: Linker<Host>,
    concurrency: Concurrency,
    _ticker: Ticker,
}

impl Pool {
    /// Sets one up, whose thread also does `every_second` about once in a second. Fails where the machine refuses the address space.
    pub(crate) fn new(
        settings: &Settings,
        reset: &Reset,
        concurrency: Concurrency,
        every_second: impl Fn() + Send + 'static,
    ) -> wasmtime::Result<Self> {
        let wasmtime = wasmtime::Engine::new(&settings::serving(settings, reset, concurrency))?;
        let linker = interfaces::linker(&wasmtime, concurrency)?;
        let ticker = Ticker::start(wasmtime.weak(), every_second)?;
        Ok(Self { wasmtime, linker, concurrency, _ticker: ticker })
    }

    /// What its guests may have.
    pub(crate) fn concurrency(&self) -> Concurrency {
        self.concurrency
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    pub(crate) fn linker(&self) -> &Linker<Host> {
        &self.linker
    }
}
