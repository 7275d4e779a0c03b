//! What a request uses, as it goes: told by the thread that runs its guest, read by whoever waits for it.
//!
//! CPU time is what threads ran the guest for, the host's own work for it included (making the instance, what it asks of WASI), and
//! not what it waited for. A guest that is quick is timed by the monotonic clock when a thread enters it and when it leaves it, two
//! reads and no system call, so whatever the kernel ran on that core in between counts too; one that [goes on](crate::lane) by the
//! CPU clock of its thread.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use gust_core::limits::{Limit, Reached};

/// What a request used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The most that its instance's memories and tables had together, in bytes.
    pub memory_bytes_peak: u64,
    /// How long threads ran its guest.
    pub cpu: Duration,
    /// The limits that its guest ran into.
    pub reached: Reached,
}

/// One request's meter.
#[derive(Debug, Default)]
pub struct Meter {
    cpu_ns: AtomicU64,
    memory_bytes_peak: AtomicU64,
    /// Requests that the guest sent.
    calls: AtomicU32,
    /// What their bodies and those of their answers had, in bytes.
    calls_body_bytes: AtomicU64,
    /// As [`Reached`] has them.
    reached: AtomicU32,
    is_failing: AtomicBool,
}

impl Meter {
    /// Of a request that begins.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What it used so far.
    pub fn usage(&self) -> Usage {
        Usage {
            memory_bytes_peak: self.memory_bytes_peak.load(Relaxed),
            cpu: self.cpu(),
            reached: Reached::from_bits(self.reached.load(Relaxed)),
        }
    }

    /// How long threads ran its guest so far.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu_ns.load(Relaxed))
    }

    /// Counts that a thread ran it. One does at a time.
    pub(crate) fn ran(&self, ran: Duration) {
        let ns = u64::try_from(ran.as_nanos()).unwrap_or(u64::MAX);
        self.cpu_ns.store(self.cpu_ns.load(Relaxed).saturating_add(ns), Relaxed);
    }

    /// Says how much memory its instance has.
    pub(crate) fn has(&self, memory_bytes: u64) {
        self.memory_bytes_peak.store(memory_bytes, Relaxed);
    }

    /// Says that it ran into a limit.
    pub fn reaches(&self, limit: Limit) {
        let mut only = Reached::default();
        only.add(limit);
        self.reached.fetch_or(only.bits(), Relaxed);
    }

    /// Counts a request that the guest sends. Says whether it may.
    pub(crate) fn may_call(&self, max: u32) -> bool {
        let may = self.calls.fetch_add(1, Relaxed) < max;
        if !may {
            self.reaches(Limit::Calls);
        }
        may
    }

    /// Counts a piece of the body of such a request, or of its answer. Says whether it may be passed on.
    pub(crate) fn may_carry(&self, bytes: usize, max: u64) -> bool {
        let carried = self.calls_body_bytes.fetch_add(bytes as u64, Relaxed).saturating_add(bytes as u64);
        if carried > max {
            self.reaches(Limit::CallsBody);
        }
        carried <= max
    }

    /// Says that its guest has failed, before its instance is gone: with that its body ends as if it were whole, on another thread
    /// than the one that is about to tell of the failure.
    pub(crate) fn fails(&self) {
        self.is_failing.store(true, Release);
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_what_they_carry_are_counted_up_to_their_limits() {
        let meter = Meter::new();
        assert!(meter.may_call(2) && meter.may_call(2) && meter.usage().reached.is_empty());
        assert!(!meter.may_call(2) && !meter.may_call(2));
        assert!(meter.may_carry(60, 100) && meter.may_carry(40, 100) && !meter.may_carry(1, 100));
        assert_eq!(meter.usage().reached.iter().collect::<Vec<_>>(), [Limit::Calls, Limit::CallsBody]);
    }
}
