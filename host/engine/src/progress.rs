//! How far a guest is that goes on while its answer is sent, for whoever sends it.

use std::{
    sync::atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

use crate::usage::Usage;

/// One guest's progress, told by the thread that runs it.
pub(crate) struct Progress {
    is_failing: AtomicBool,
    cpu_ns: AtomicU64,
    memory_bytes_peak: AtomicU64,
}

impl Progress {
    /// Of a guest whose instance has used this to be made.
    pub(crate) fn new(used: Usage) -> Self {
        Self {
            is_failing: AtomicBool::new(false),
            cpu_ns: AtomicU64::new(nanos(used.cpu)),
            memory_bytes_peak: AtomicU64::new(used.memory_bytes_peak),
        }
    }

    /// Says that a thread ran it.
    pub(crate) fn ran(&self, ran: Duration) {
        self.cpu_ns.fetch_add(nanos(ran), Relaxed);
    }

    /// Says how much memory it had, which is known at its end.
    pub(crate) fn had(&self, memory_bytes_peak: u64) {
        self.memory_bytes_peak.store(memory_bytes_peak, Relaxed);
    }

    /// Says that it has failed, before its instance is gone: with that its body ends as if it were whole, on another thread
    /// than the one that is about to tell of the failure.
    pub(crate) fn fails(&self) {
        self.is_failing.store(true, Release);
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Acquire)
    }

    /// What it used so far.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            memory_bytes_peak: self.memory_bytes_peak.load(Relaxed),
            cpu: Duration::from_nanos(self.cpu_ns.load(Relaxed)),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
