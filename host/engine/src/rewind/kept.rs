//! An instance that is kept from one request to the next, and how it is put back in between.

use std::{
    mem,
    pin::pin,
    sync::{Arc, OnceLock},
};

use wasmtime::{
    Store,
    component::{Instance as Component, TypedFunc, WasmList},
};

use super::{
    faults,
    pages::{Image, Memory},
    private::PrivatePages,
    refusal::{Refusal, Unfit},
};
use crate::{callee::Instance, host::Host, places::Place, rewrite};

/// Pages that are put back at most, besides those that were written before the first request. More would be put back sooner
/// than new ones are faulted in (`docs/performance.md`), but an instance that waits holds them.
const PAGES_MAX: usize = 4096;

/// What an image holds at most, in bytes: it is kept for as long as its function is.
const IMAGE_BYTES_MAX: usize = 64 << 20;

/// An epoch that is never reached: what is called with it only copies globals and counts handles.
const NO_DEADLINE: u64 = 1 << 60;

/// What one call may copy out of the guest while it is asked for its memory. Nothing is copied.
const ANY_BYTES: usize = usize::MAX;

/// An idle instance.
pub(crate) struct Kept {
    pub(crate) store: Store<Host>,
    pub(crate) callee: Instance,
    pub(crate) home: Box<Home>,
}

/// What of the memory a call may have written to that was not put back yet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Nothing,
    /// Pages that were private before.
    OnlyPrivate,
    Anything,
}

/// What an instance needs to be put back.
pub(crate) struct Home {
    memory: Memory,
    private: PrivatePages,
    image: Arc<Image>,
    /// Puts back the globals, and in order the numbers that handles get. None where the component has neither.
    reset: Option<TypedFunc<(u32,), ()>>,
    /// Says how many globals are not as they were saved. Only where each time is to be checked.
    check: Option<TypedFunc<(), (u32,)>>,
    must_check: bool,
    written: Written,
    /// Counts it among those that the engine keeps.
    _place: Place,
}

impl Home {
    /// Makes a pristine instance fit to be put back, to what `image` holds of the function's first. `place` is one of those
    /// for instances that are kept. It changes the store's epoch deadline.
    pub(super) async fn prepare(
        image: &OnceLock<Arc<Image>>,
        store: &mut Store<Host>,
        instance: &Component,
        place: Place,
        must_check: bool,
    ) -> Result<Self, Unfit> {
        if !store.data().has_no_handles() {
            return Err(Refusal::HandlesFromInit.into());
        }
        store.data_mut().is_pristine();
        store.set_epoch_deadline(NO_DEADLINE);
        if let Some(save) = function::<(), ()>(store, instance, rewrite::SAVE)? {
            save.call_async(&mut *store, ()).await?;
        }
        let reset = function(store, instance, rewrite::RESET)?;
        let handles = store.data_mut().take_handles_given();
        // Those that init had and gave back, so that the first request gets the numbers that all others do.
        if let Some(reset) = reset.as_ref().filter(|_| handles > 0) {
            reset.call_async(&mut *store, (handles,)).await?;
        }
        let mut memory = memory_of(store, instance).await?;
        let image = adopt(image, &mut memory)?;
        let check = if must_check { function(store, instance, rewrite::CHECK)? } else { None };
        Ok(Self {
            memory,
            private: PrivatePages::default(),
            image,
            reset,
            check,
            must_check,
            written: Written::Nothing,
            _place: place,
        })
    }

    /// Ends a call that returned, in the same poll: all is put back but the memory. `has_restored` says that the call has put
    /// back the globals, `at_once` that it was over the first time it was polled.
    pub(super) async fn end(
        &mut self,
        store: &mut Store<Host>,
        has_restored: bool,
        mut at_once: bool,
    ) -> Result<(), Unfit> {
        store.data_mut().end()?;
        store.set_epoch_deadline(NO_DEADLINE);
        let handles = store.data_mut().take_handles_given();
        // One call less, which is a good part of what a small request takes.
        let is_reset = handles == 0 && has_restored;
        if let Some(reset) = self.reset.as_ref().filter(|_| !is_reset) {
            at_once &= Box::pin(reset_to(reset, store, handles)).await?;
        }
        self.written = if at_once && faults::none_since_last() { Written::OnlyPrivate } else { Written::Anything };
        if self.must_check { Box::pin(self.check_globals(store)).await } else { Ok(()) }
    }

    /// Whether the memory is still to be put back.
    pub(super) fn is_soiled(&self) -> bool {
        self.written != Written::Nothing
    }

    /// Puts back the memory, if that is still to be done.
    pub(super) fn put_back_memory(&mut self) -> Result<(), Unfit> {
        let none_new = match mem::replace(&mut self.written, Written::Nothing) {
            Written::Nothing => return Ok(()),
            Written::OnlyPrivate => true,
            Written::Anything => false,
        };
        let pages_max = PAGES_MAX + self.image.private_pages();
        if self.private.put_back(&mut self.memory, &self.image, pages_max, none_new)? > pages_max {
            return Err(Refusal::TooManyPages.into());
        }
        if self.must_check { self.check_memory() } else { Ok(()) }
    }

    /// Pages that are private to the instance.
    #[cfg(test)]
    pub(super) fn private_pages(&self) -> usize {
        let mut pages = 0;
        self.memory.scan(|run| pages += run.len() / super::pages::PAGE_BYTES).unwrap();
        pages
    }

    /// Changes one byte of the memory, as if it had been left behind.
    #[cfg(test)]
    pub(super) fn plant(&mut self, at: usize) {
        self.memory.plant(at);
    }

    /// Makes the kernel refuse to list pages.
    #[cfg(test)]
    pub(super) fn displace(&mut self) {
        self.memory.displace();
    }

    /// Looks whether the memory is as it began.
    pub(super) fn check_memory(&mut self) -> Result<(), Unfit> {
        match self.memory.first_difference(&self.image) {
            None => Ok(()),
            Some(at) => {
                tracing::error!(at, "memory that was put back differs");
                Err(Refusal::Inexact.into())
            }
        }
    }

    /// Looks whether the globals are as they began.
    async fn check_globals(&mut self, store: &mut Store<Host>) -> Result<(), Unfit> {
        let Some(check) = &self.check else { return Ok(()) };
        match check.call_async(&mut *store, ()).await? {
            (0,) => Ok(()),
            (globals,) => {
                tracing::error!(globals, "globals that were put back differ");
                Err(Refusal::Inexact.into())
            }
        }
    }
}

/// Puts back the globals, and the order of the numbers of that many handles. Says whether it was over at once.
async fn reset_to(reset: &TypedFunc<(u32,), ()>, store: &mut Store<Host>, handles: u32) -> wasmtime::Result<bool> {
    let (reset, at_once) = faults::at_once(pin!(reset.call_async(store, (handles,)))).await;
    reset?;
    Ok(at_once)
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
    let Some(ask) = ask else { return Err(Refusal::Failed.into()) };
    let fuel = store.hostcall_fuel();
    store.set_hostcall_fuel(ANY_BYTES);
    let (whole,) = ask.call_async(&mut *store, ()).await?;
    store.set_hostcall_fuel(fuel);
    let whole = whole.as_le_slice(&*store);
    if whole.is_empty() { Err(Refusal::Grew.into()) } else { Ok(Memory::new(whole)) }
}

/// The function's image: taken of this memory if it is the first, else compared with it.
fn adopt(slot: &OnceLock<Arc<Image>>, memory: &mut Memory) -> Result<Arc<Image>, Unfit> {
    if let Some(image) = slot.get() {
        return if memory.adopt(image)? { Ok(image.clone()) } else { Err(Refusal::StatesDiffer.into()) };
    }
    let own = Arc::new(memory.capture(IMAGE_BYTES_MAX)?.ok_or(Refusal::TooLarge)?);
    let image = slot.get_or_init(|| own.clone());
    // Another instance may have been first, and its image is the one to be like.
    if Arc::ptr_eq(image, &own) || memory.adopt(image)? {
        return Ok(image.clone());
    }
    Err(Refusal::StatesDiffer.into())
}
