//! What is known of one function's rewinding: its image, its idle instances, and whether to go on.

use std::{
    cell::Cell,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use wasmtime::{Store, component::Instance as Component};

use super::{
    balance::Balance,
    kept::{Home, Kept},
    pages::Image,
    refusal::Refusal,
    shelf::Shelf,
};
use crate::{callee::Instance, host::Host, places::Place};

/// What the log says of an instance that is dropped.
const NOT_PUT_BACK: &str = "an instance cannot be put back";

thread_local! {
    /// The function of the instance that was put on this thread's shelf last, where its memory is still to be put back.
    static WAITS: Cell<Option<Weak<Rewinding>>> = const { Cell::new(None) };
}

/// Puts back the memory of the instance that was used last on this thread, if nobody did yet: to be called when there is a
/// moment, as when an answer is on its way. What is not put back by then is when it is needed.
pub fn put_back_waiting() {
    let waits = WAITS.take().and_then(|waits| waits.upgrade());
    if let Some(rewinding) = waits {
        rewinding.shelf.renew_newest(|kept| kept.home.is_soiled(), |kept| rewinding.put_back(kept));
    }
}

/// One function's rewinding.
pub(crate) struct Rewinding {
    image: OnceLock<Arc<Image>>,
    shelf: Shelf<Kept>,
    /// Whether the typed handler has put back the globals when it returns.
    restores_itself: bool,
    balance: Balance,
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
            balance: Balance::default(),
            now: AtomicU32::new(0),
        })
    }

    /// An idle instance, pristine.
    pub(crate) fn take(&self) -> Option<Kept> {
        loop {
            if let Some(kept) = self.put_back(self.shelf.take()?) {
                return Some(kept);
            }
        }
    }

    /// Whether another instance should be made fit for it.
    pub(crate) fn goes_on(&self) -> bool {
        self.balance.goes_on()
    }

    /// Why it was given up, for now or for good, if it was.
    pub(crate) fn stopped(&self) -> Option<Refusal> {
        self.balance.stopped()
    }

    /// Takes over what was found out about the same component, loaded before.
    pub(crate) fn learns_from(&self, before: &Self) {
        if let Some(why) = before.stopped() {
            self.balance.stops(why, self.now.load(Relaxed));
        }
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

    /// Keeps an instance after a call that returned, in the same poll, all but its memory put back: that is done when it is
    /// taken, or before ([`put_back_waiting`]). Drops it where it cannot be put back. `at_once` says that the call was over
    /// the first time it was polled.
    pub(crate) async fn give_back(
        self: &Arc<Self>,
        mut store: Store<Host>,
        callee: Instance,
        mut home: Box<Home>,
        at_once: bool,
    ) {
        let has_restored = match callee {
            Instance::Typed(_) => self.restores_itself,
            // Nothing is called at the end of this handler.
            Instance::Service(_) | Instance::WasiHttp(_) | Instance::Command(_) => false,
        };
        match home.end(&mut store, has_restored, at_once).await {
            Ok(()) if self.goes_on() => {
                self.shelf.put(Kept { store, callee, home }, self.now.load(Relaxed));
                WAITS.set(Some(Arc::downgrade(self)));
            }
            Ok(()) => {}
            Err(unfit) => self.refused(unfit.told(NOT_PUT_BACK)),
        }
    }

    /// The instance with its memory put back; none where that cannot be.
    fn put_back(&self, mut kept: Kept) -> Option<Kept> {
        if !kept.home.is_soiled() {
            return Some(kept);
        }
        match kept.home.put_back_memory() {
            Ok(()) => {
                self.balance.gains();
                Some(kept)
            }
            Err(unfit) => {
                self.refused(unfit.told(NOT_PUT_BACK));
                None
            }
        }
    }

    /// Counts an instance that could not be put back.
    pub(super) fn refused(&self, refusal: Refusal) {
        self.balance.loses(refusal, self.now.load(Relaxed));
    }

    /// Drops what is idle.
    pub(crate) fn drop_idle(&self) {
        self.shelf.expire(u32::MAX);
    }

    /// Lets one second pass and drops what has been idle for `idle_max_s`.
    pub(crate) fn expire(&self, idle_max_s: u32) {
        let now = self.now.fetch_add(1, Relaxed).wrapping_add(1);
        self.shelf.expire(now.saturating_sub(idle_max_s));
        self.balance.tries_again(now);
    }
}
