//! What is known of one function's rewinding: its image, its idle instances, and whether to go on.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use wasmtime::{Store, component::Instance as Component};

use super::{
    kept::{Home, Kept},
    pages::Image,
    refusal::Refusal,
    shelf::Shelf,
};
use crate::{callee::Instance, host::Host, places::Place};

/// What an instance that could not be put back counts, against one that could.
const REFUSAL_WEIGHT: u32 = 3;

/// The balance at which a function is no longer tried: more than one refusal in four, over some requests. To make an instance
/// fit for nothing costs more than one that is put back saves; where exactly that stops paying has not been measured.
const REFUSAL_BALANCE_MAX: u32 = 48;

/// One function's rewinding.
pub(crate) struct Rewinding {
    image: OnceLock<Arc<Image>>,
    shelf: Shelf<Kept>,
    /// Whether the typed handler has put back the globals when it returns.
    restores_itself: bool,
    /// Refusals by weight, less what went well. Never below zero.
    balance: AtomicU32,
    stopped: OnceLock<Refusal>,
    /// The time of [`Rewinding::expire`].
    now: AtomicU32,
}

impl Rewinding {
    /// Of a function whose component was rewritten for it. `restores_itself` says that its typed handler has put back the
    /// globals when it returns.
    pub(crate) fn new(restores_itself: bool) -> Arc<Self> {
        Arc::new(Self {
            image: OnceLock::new(),
            shelf: Shelf::new(),
            restores_itself,
            balance: AtomicU32::new(0),
            stopped: OnceLock::new(),
            now: AtomicU32::new(0),
        })
    }

    /// An idle instance.
    pub(crate) fn take(&self) -> Option<Kept> {
        self.shelf.take()
    }

    /// Whether another instance should be made fit for it.
    pub(crate) fn goes_on(&self) -> bool {
        self.stopped.get().is_none()
    }

    /// Why it was given up, if it was.
    pub(crate) fn stopped(&self) -> Option<Refusal> {
        self.stopped.get().copied()
    }

    /// Makes a pristine instance fit to be put back. `place` is one of those for instances that are kept. It changes the
    /// store's epoch deadline.
    pub(crate) async fn prepare(
        &self,
        store: &mut Store<Host>,
        instance: &Component,
        place: Place,
        must_check: bool,
    ) -> Result<Home, Refusal> {
        Home::prepare(&self.image, store, instance, place, must_check).await.map_err(|unfit| {
            let refusal = unfit.told("an instance cannot be made fit to be put back");
            self.refused(refusal);
            refusal
        })
    }

    /// Puts an instance back after a call that returned, and keeps it; drops it where it cannot be put back.
    pub(crate) async fn give_back(&self, mut store: Store<Host>, callee: Instance, mut home: Box<Home>) {
        let has_restored = match callee {
            Instance::Typed(_) => self.restores_itself,
            // Nothing is called at the end of this handler.
            Instance::WasiHttp(_) => false,
        };
        match home.put_back(&mut store, has_restored).await {
            Ok(()) => self.keep(Kept { store, callee, home }),
            Err(unfit) => self.refused(unfit.told("an instance cannot be put back")),
        }
    }

    /// Keeps an instance that was put back.
    fn keep(&self, kept: Kept) {
        if self.balance.load(Relaxed) > 0 {
            // Two at once may take one too few or too many off; it is a balance, not a count.
            let less = |balance: u32| balance.checked_sub(1);
            let _ = self.balance.fetch_update(Relaxed, Relaxed, less);
        }
        if self.goes_on() {
            self.shelf.put(kept, self.now.load(Relaxed));
        }
    }

    /// Counts an instance that could not be put back.
    fn refused(&self, refusal: Refusal) {
        let balance = self.balance.fetch_add(REFUSAL_WEIGHT, Relaxed) + REFUSAL_WEIGHT;
        if balance >= REFUSAL_BALANCE_MAX || refusal.is_final() {
            // The first reason stands.
            let _ = self.stopped.set(refusal);
        }
    }

    /// Lets one unit of time pass and drops what has been idle for `idle_max` of them.
    pub(crate) fn expire(&self, idle_max: u32) {
        let now = self.now.fetch_add(1, Relaxed).wrapping_add(1);
        self.shelf.expire(now.saturating_sub(idle_max));
    }
}
