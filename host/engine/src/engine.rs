//! The engine: wasmtime set up for serving, with everything that all functions share.

use std::sync::Arc;

use gust_core::{Code, Problem};
use wasmtime::component::Linker;

use crate::{
    host::Host,
    interfaces,
    places::Places,
    settings::{self, Reset, Settings},
    ticker::Ticker,
};

/// wasmtime set up for serving. Cheap to clone; all clones share one pool.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    wasmtime: wasmtime::Engine,
    linker: Linker<Host>,
    /// The slots of the pool.
    slots: Arc<Places>,
    settings: Settings,
    reset: Reset,
    _ticker: Ticker,
}

impl Engine {
    /// Sets up the pool, the interfaces and the epoch ticker. Fails where the machine refuses the address space.
    pub fn new(settings: Settings) -> Result<Self, Problem> {
        let reset = Reset::choose();
        let failed = |error: wasmtime::Error| {
            let detail = "the pool of instances could not be set up: lower instances_max or memory_mib_max";
            Problem::new(Code::Internal, detail).with_internal(format!("{error:#}"))
        };
        let wasmtime = wasmtime::Engine::new(&settings::serving(&settings, &reset)).map_err(failed)?;
        let linker = interfaces::linker(&wasmtime).map_err(failed)?;
        let ticker = Ticker::start(wasmtime.weak()).map_err(|error| failed(error.into()))?;
        let slots = Places::new(settings.instances_max as usize);
        let shared = Shared { wasmtime, linker, slots, settings, reset, _ticker: ticker };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// How slots are made pristine on this machine.
    pub fn reset(&self) -> &Reset {
        &self.shared.reset
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Slots that are free now.
    pub fn slots_free(&self) -> usize {
        self.shared.slots.free()
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.shared.wasmtime
    }

    pub(crate) fn linker(&self) -> &Linker<Host> {
        &self.shared.linker
    }

    pub(crate) fn slots(&self) -> &Arc<Places> {
        &self.shared.slots
    }
}
