//! Which functions are loaded, and which of them go when they are too many: those that were not used for longest.
//!
//! A loaded function holds a file, some mappings and some memory, so there is a limit. Its clock moves with each load and each
//! second, and each function remembers the clock of its last use: no list is kept in the order of use, and a request that finds
//! its function loaded never comes here.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use crate::{
    deployment::Deployment,
    metrics::Metrics,
    residence::{InUse, Loaded},
};

/// Of a full house, the share that goes at once, so that not every load has to look through all of it.
const LEAVING_SHARE: usize = 32;

/// Functions that left and are not dropped yet, from which on they are dropped at once and not within a second.
const LEAVING_MAX: usize = 32;

/// The loaded functions of a host.
pub(crate) struct Residents {
    max: usize,
    clock: AtomicU32,
    here: Mutex<Vec<Weak<Deployment>>>,
    /// Unloaded, but perhaps in use. Here they are dropped on no request's time.
    leaving: Mutex<Vec<Arc<Loaded>>>,
    metrics: Arc<Metrics>,
}

impl Residents {
    /// At most this many.
    pub(crate) fn new(max: usize, metrics: Arc<Metrics>) -> Self {
        Self { max, clock: AtomicU32::new(1), here: Mutex::default(), leaving: Mutex::default(), metrics }
    }

    /// A deployment's function, if it is loaded.
    pub(crate) fn take(&self, deployment: &Deployment) -> Option<InUse> {
        deployment.residence.take(self.clock.load(Relaxed))
    }

    /// Takes in a function that was loaded. Others may have to go.
    pub(crate) fn settle(&self, deployment: &Arc<Deployment>, loaded: Arc<Loaded>) {
        let mut here = lock(&self.here);
        self.clock.fetch_add(1, Relaxed);
        let before = deployment.residence.put(Some(loaded));
        self.take(deployment);
        if before.is_none() {
            here.push(Arc::downgrade(deployment));
        }
        let mut leaving = self.those_too_many(&mut here);
        drop(here);
        leaving.extend(before);
        lock(&self.leaving).append(&mut leaving);
    }

    /// Puts a function in the place of the one that is loaded. Nothing if none is.
    pub(crate) fn replace(&self, deployment: &Deployment, loaded: Arc<Loaded>) {
        let here = lock(&self.here);
        let Some(before) = deployment.residence.look().as_ref().cloned() else { return };
        loaded.function.learns_from(&before.function);
        deployment.residence.put(Some(loaded));
        drop(here);
        lock(&self.leaving).push(before);
    }

    /// Takes those out that were not used for longest, if there are too many.
    fn those_too_many(&self, here: &mut Vec<Weak<Deployment>>) -> Vec<Arc<Loaded>> {
        if here.len() <= self.max {
            return Vec::new();
        }
        here.retain(|resident| resident.strong_count() > 0);
        let Some(too_many) = here.len().checked_sub(self.max).filter(|many| *many > 0) else { return Vec::new() };
        let leaving = (too_many + self.max / LEAVING_SHARE).min(here.len().saturating_sub(1));
        here.sort_by_cached_key(|resident| resident.upgrade().map_or(0, |deployment| deployment.residence.used()));
        let gone: Vec<_> = here.drain(..leaving).filter_map(|gone| gone.upgrade()?.residence.put(None)).collect();
        self.metrics.unloads.inc_by(gone.len() as u64);
        gone
    }

    /// Lets time pass, and those go that left and are no longer in use.
    pub(crate) fn every_second(&self) {
        self.clock.fetch_add(1, Relaxed);
        lock(&self.here).retain(|resident| resident.strong_count() > 0);
        self.drop_unused();
    }

    /// Whether so many have left that they should be dropped.
    pub(crate) fn many_left(&self) -> bool {
        lock(&self.leaving).len() >= LEAVING_MAX
    }

    /// Drops those that left and are no longer in use. Takes a while.
    pub(crate) fn drop_unused(&self) {
        let mut leaving = lock(&self.leaving);
        let gone: Vec<_> = leaving.extract_if(.., |loaded| Arc::strong_count(loaded) == 1).collect();
        drop(leaving);
        drop(gone);
    }
}

fn lock<T>(list: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}
