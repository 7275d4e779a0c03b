//! Where a deployment's loaded function is, while it is loaded.
//!
//! A request finds it with one load and writes nothing that others read, but once for each tick of a clock that stands still
//! for most requests: so it is known which functions were not used for long.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwapOption, Guard};
use gust_core::Problem;
use gust_engine::Function;

use crate::metrics::CountedLoad;

/// How long a failure to load stands before it is tried again.
const FAILURE_STANDS: Duration = Duration::from_secs(10);

/// A loaded function, counted for as long as it is there.
pub(crate) struct Loaded {
    /// The function.
    pub(crate) function: Function,
    _counted: CountedLoad,
}

impl Loaded {
    /// Counts it.
    pub(crate) fn new(function: Function, counted: CountedLoad) -> Arc<Self> {
        Arc::new(Self { function, _counted: counted })
    }
}

/// A loaded function in somebody's hands: it is not unloaded as long as it is held.
pub(crate) type InUse = Guard<Option<Arc<Loaded>>>;

/// The place of one deployment's function.
#[derive(Default)]
pub(crate) struct Residence {
    loaded: ArcSwapOption<Loaded>,
    /// The clock when it was used last.
    used: AtomicU32,
    failure: Mutex<Option<Box<Failure>>>,
}

struct Failure {
    problem: Problem,
    /// None where trying again is of no use.
    stands_until: Option<Instant>,
}

impl Residence {
    /// Of a function that can never be loaded.
    pub(crate) fn never(problem: Problem) -> Self {
        let failure = Box::new(Failure { problem, stands_until: None });
        Self { failure: Mutex::new(Some(failure)), ..Self::default() }
    }

    /// The function, if it is loaded. Whoever takes it says what time it is.
    pub(crate) fn take(&self, now: u32) -> Option<InUse> {
        let loaded = self.loaded.load();
        if self.used.load(Relaxed) != now {
            self.used.store(now, Relaxed);
        }
        loaded.is_some().then_some(loaded)
    }

    /// The function, if it is loaded, without using it.
    pub(crate) fn look(&self) -> InUse {
        self.loaded.load()
    }

    /// When it was used last.
    pub(crate) fn used(&self) -> u32 {
        self.used.load(Relaxed)
    }

    /// Puts a function here, or takes it away. Gives what was here.
    pub(crate) fn put(&self, loaded: Option<Arc<Loaded>>) -> Option<Arc<Loaded>> {
        if loaded.is_some() {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.loaded.swap(loaded)
    }

    /// Notes that it could not be loaded.
    pub(crate) fn fails(&self, problem: Problem) {
        let failure = Failure { problem, stands_until: Some(Instant::now() + FAILURE_STANDS) };
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(failure));
    }

    /// Why it can never be loaded, if it cannot.
    pub(crate) fn why_never(&self) -> Option<Problem> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let is_final = |failure: &&Failure| failure.stands_until.is_none();
        failure.as_deref().filter(is_final).map(|failure| failure.problem.clone())
    }

    /// Why it could not be loaded a moment ago, or never can.
    pub(crate) fn failure(&self) -> Option<Problem> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let stands = |failure: &&Failure| failure.stands_until.is_none_or(|until| Instant::now() < until);
        failure.as_deref().filter(stands).map(|failure| failure.problem.clone())
    }
}

#[cfg(test)]
mod tests {
    use gust_core::Code;

    use super::*;

    #[test]
    fn a_failure_stands_for_a_while_or_for_ever() {
        let residence = Residence::default();
        assert!(residence.failure().is_none() && residence.take(7).is_none());
        residence.fails(Problem::new(Code::Internal, "x"));
        assert!(residence.failure().is_some() && residence.why_never().is_none());
        let mut failure = residence.failure.lock().unwrap();
        failure.as_mut().unwrap().stands_until = Some(Instant::now());
        drop(failure);
        assert!(residence.failure().is_none(), "it is tried again");
        assert_eq!(residence.used(), 7);
        let never = Residence::never(Problem::new(Code::ManifestInvalid, "x"));
        assert!(never.failure().is_some() && never.why_never().is_some());
    }
}
