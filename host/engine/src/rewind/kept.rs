//! An instance that is kept from one request to the next, and how it is put back in between.

use std::{
    fmt, io,
    sync::{Arc, OnceLock},
};

use wasmtime::{
    Store,
    component::{Instance as Component, TypedFunc, WasmList},
};

use super::{
    pages::{Image, Memory},
    rewinding::Rewinding,
};
use crate::{host::Host, lease::Instance, places::Place, rewrite};

/// Pages that are put back at most. More are cheaper to give back to the kernel with the whole instance.
const PAGES_MAX: usize = 4096;

/// An epoch that is never reached: what is called with it only copies globals and counts handles.
const NO_DEADLINE: u64 = 1 << 60;

/// What one call may copy out of the guest while it is asked for its memory. Nothing is copied.
const ANY_BYTES: usize = usize::MAX;

/// Why an instance was not put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its memory grew, and it cannot shrink.
    Grew,
    /// It holds handles after its call.
    Handles,
    /// It wrote to too much of its memory.
    TooManyPages,
    /// Another instance of the component began in another state.
    StatesDiffer,
    /// The kernel, or the component's own functions, failed.
    Failed,
    /// Something was left behind, found by looking.
    Inexact,
}

impl Refusal {
    /// Whether no other instance of the function will do better.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::StatesDiffer | Self::Failed | Self::Inexact)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grew => "its memory grows during requests; a larger initial memory would help",
            Self::Handles => "it keeps handles when a request is over",
            Self::TooManyPages => "its requests write to more than 16 MiB of memory",
            Self::StatesDiffer => "its instances do not all begin in the same state",
            Self::Failed => "putting an instance back failed; the host's log has the cause",
            Self::Inexact => "an instance that was put back was not as it began; please report this",
        })
    }
}

/// An idle instance.
pub(crate) struct Kept {
    pub(crate) store: Store<Host>,
    pub(crate) callee: Instance,
    pub(crate) home: Box<Home>,
}

/// What an instance needs to be put back.
pub(crate) struct Home {
    memory: Memory,
    image: Arc<Image>,
    /// Puts back the globals, and in order the numbers that handles get. None where the component has neither.
    reset: Option<TypedFunc<(u32,), ()>>,
    /// Says how many globals are not as they were saved. Only where each time is to be checked.
    check: Option<TypedFunc<(), (u32,)>>,
    must_check: bool,
    /// Counts it among those that the engine keeps.
    _place: Place,
}

impl Home {
    /// Makes a pristine instance fit to be put back. `place` is one of those for instances that are kept. It changes the
    /// store's epoch deadline.
    pub(crate) async fn prepare(
        rewinding: &Rewinding,
        store: &mut Store<Host>,
        instance: &Component,
        place: Place,
        must_check: bool,
    ) -> Result<Self, Refusal> {
        Self::try_prepare(rewinding, store, instance, place, must_check).await.map_err(|unfit| {
            let refusal = unfit.told("an instance cannot be made fit to be put back");
            rewinding.refused(refusal);
            refusal
        })
    }

    async fn try_prepare(
        rewinding: &Rewinding,
        store: &mut Store<Host>,
        instance: &Component,
        place: Place,
        must_check: bool,
    ) -> Result<Self, Unfit> {
        if !store.data().has_no_handles() {
            return Err(Unfit::Refused(Refusal::Handles));
        }
        store.data_mut().is_pristine();
        store.set_epoch_deadline(NO_DEADLINE);
        if let Some(save) = function::<(), ()>(store, instance, rewrite::SAVE)? {
            save.call_async(&mut *store, ()).await?;
        }
        let mut memory = memory_of(store, instance).await?;
        let image = image(rewinding.image(), &mut memory)?;
        let reset = function(store, instance, rewrite::RESET)?;
        let check = if must_check { function(store, instance, rewrite::CHECK)? } else { None };
        Ok(Self { memory, image, reset, check, must_check, _place: place })
    }
}

impl Kept {
    /// Puts an instance back after a call that returned, and keeps it with its function's others; drops it where it cannot
    /// be put back.
    pub(crate) async fn give_back(rewinding: &Rewinding, store: Store<Host>, callee: Instance, home: Box<Home>) {
        let mut kept = Self { store, callee, home };
        match kept.put_back(rewinding).await {
            Ok(()) => rewinding.keep(kept),
            Err(unfit) => rewinding.refused(unfit.told("an instance cannot be put back")),
        }
    }

    async fn put_back(&mut self, rewinding: &Rewinding) -> Result<(), Unfit> {
        let Self { store, callee, home } = self;
        store.data_mut().end().map_err(Unfit::Refused)?;
        store.set_epoch_deadline(NO_DEADLINE);
        let handles = store.data_mut().take_handles_given();
        // One call less, which is a good part of what a small request takes.
        let is_reset = handles == 0 && rewinding.has_restored(callee);
        if let Some(reset) = home.reset.as_ref().filter(|_| !is_reset) {
            reset.call_async(&mut *store, (handles,)).await?;
        }
        if home.memory.rewind(&home.image, PAGES_MAX)? > PAGES_MAX {
            return Err(Unfit::Refused(Refusal::TooManyPages));
        }
        if home.must_check { home.check(store).await } else { Ok(()) }
    }
}

impl Home {
    /// Looks whether everything is as it began.
    async fn check(&mut self, store: &mut Store<Host>) -> Result<(), Unfit> {
        if let Some(at) = self.memory.first_difference(&self.image) {
            tracing::error!(at, "memory that was put back differs");
            return Err(Unfit::Refused(Refusal::Inexact));
        }
        if let Some(check) = &self.check {
            let (globals,) = check.call_async(&mut *store, ()).await?;
            if globals > 0 {
                tracing::error!(globals, "globals that were put back differ");
                return Err(Unfit::Refused(Refusal::Inexact));
            }
        }
        Ok(())
    }
}

/// Why an instance is not kept.
enum Unfit {
    Refused(Refusal),
    Failed(wasmtime::Error),
}

impl Unfit {
    /// The reason, the log told of one that should not be.
    fn told(self, what: &str) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Failed(error) => {
                tracing::warn!(%error, "{what}; the function's get a new one for each request");
                Refusal::Failed
            }
        }
    }
}

impl From<wasmtime::Error> for Unfit {
    fn from(error: wasmtime::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// One of the functions that the rewrite added, where it did.
fn function<P, R>(
    store: &mut Store<Host>,
    instance: &Component,
    name: &str,
) -> wasmtime::Result<Option<TypedFunc<P, R>>>
where
    P: wasmtime::component::ComponentNamedList + wasmtime::component::Lower,
    R: wasmtime::component::ComponentNamedList + wasmtime::component::Lift,
{
    match instance.get_func(&mut *store, name) {
        Some(function) => function.typed(&*store).map(Some),
        None => Ok(None),
    }
}

/// Where the instance's memory is.
async fn memory_of(store: &mut Store<Host>, instance: &Component) -> Result<Memory, Unfit> {
    let ask = function::<(), (WasmList<u8>,)>(store, instance, rewrite::MEMORY)?;
    let Some(ask) = ask else { return Err(Unfit::Refused(Refusal::Failed)) };
    let fuel = store.hostcall_fuel();
    store.set_hostcall_fuel(ANY_BYTES);
    let (whole,) = ask.call_async(&mut *store, ()).await?;
    store.set_hostcall_fuel(fuel);
    let whole = whole.as_le_slice(&*store);
    if whole.is_empty() { Err(Unfit::Refused(Refusal::Grew)) } else { Ok(Memory::new(whole)) }
}

/// The function's image: taken of this memory if it is the first, else compared with it.
fn image(slot: &OnceLock<Arc<Image>>, memory: &mut Memory) -> Result<Arc<Image>, Unfit> {
    if let Some(image) = slot.get() {
        return if memory.adopt(image)? { Ok(image.clone()) } else { Err(Unfit::Refused(Refusal::StatesDiffer)) };
    }
    let own = Arc::new(memory.capture()?);
    let image = slot.get_or_init(|| own.clone());
    // Another instance may have been first, and its image is the one to be like.
    if Arc::ptr_eq(image, &own) || memory.adopt(image)? {
        return Ok(image.clone());
    }
    Err(Unfit::Refused(Refusal::StatesDiffer))
}
