//! How a deployment's requests went: how many, how many of them failed, how long they took.
//!
//! Written by the ledger's thread, read by whoever [watches](crate::watch) a new version. Times are counted in buckets that
//! are at most a fifth wide, so a percentile is known to that.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gust_core::{Code, Receipt, Source, conditions::Seen, receipt::Timing};

/// Buckets for each doubling of the time.
const PER_OCTAVE: usize = 4;

/// Doublings, from a microsecond to more than an hour.
const OCTAVES: usize = 32;

const BUCKETS: usize = PER_OCTAVE * OCTAVES;

/// How the requests of one version in one app went. It goes on where the app's configuration changes.
#[derive(Default)]
pub(crate) struct Health {
    /// None until there was one: most versions are many that are never called.
    counted: Mutex<Option<Box<Counted>>>,
}

/// What was counted up to some moment.
#[derive(Clone)]
pub(crate) struct Counted {
    requests: u64,
    failed: u64,
    times: [u32; BUCKETS],
}

impl Default for Counted {
    fn default() -> Self {
        Self { requests: 0, failed: 0, times: [0; BUCKETS] }
    }
}

impl Health {
    /// Counts a request that is over. One that its client gave up, or that was refused, says nothing of the function, nor does one
    /// that its route answered, or whose time was over while the function waited for what its client was to send.
    pub(crate) fn note(&self, receipt: &Receipt) {
        let code = receipt.ending.code();
        let is_clients = |code: Code| code.source() == Source::Client || code == Code::LimitWall && receipt.awaits_body;
        if receipt.by_route || code.is_some_and(is_clients) {
            return;
        }
        let mut counted = self.lock();
        let counted = counted.get_or_insert_default();
        counted.requests += 1;
        counted.failed += u64::from(has_failed(receipt));
        // Neither what a typed function's client took to send, nor what any took to read.
        let Timing { queue_us, init_us, run_us, .. } = receipt.timing;
        let own_us = u64::from(queue_us) + u64::from(init_us) + u64::from(run_us);
        if let Some(count) = counted.times.get_mut(bucket(own_us)) {
            *count = count.saturating_add(1);
        }
    }

    /// What was counted up to now.
    pub(crate) fn now(&self) -> Counted {
        self.lock().as_deref().cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<Counted>>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the function or the host is to blame for how it ended; a function that answers 5xx says so itself.
fn has_failed(receipt: &Receipt) -> bool {
    receipt.status >= 500 || receipt.ending.code().map(Code::source).is_some_and(|source| source != Source::Client)
}

impl Counted {
    /// Counts what was counted elsewhere too.
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        for (count, more) in self.times.iter_mut().zip(other.times) {
            *count = count.saturating_add(more);
        }
    }

    /// What was seen since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Seen {
        let mut times = self.times;
        for (count, before) in times.iter_mut().zip(earlier.times) {
            *count = count.saturating_sub(before);
        }
        Seen {
            requests: self.requests.saturating_sub(earlier.requests),
            failed: self.failed.saturating_sub(earlier.failed),
            p99_us: percentile_99(&times),
        }
    }

    /// All that was seen.
    pub(crate) fn all(&self) -> Seen {
        self.since(&Self::default())
    }
}

/// The bucket of a time: its doubling, and the next two bits.
fn bucket(us: u64) -> usize {
    let us = us.max(PER_OCTAVE as u64);
    let octave = us.ilog2() as usize;
    let within = (us >> (octave - 2)) as usize & (PER_OCTAVE - 1);
    ((octave - 2) * PER_OCTAVE + within).min(BUCKETS - 1)
}

/// The longest time of a bucket.
fn upper_us(bucket: usize) -> u64 {
    let (octave, within) = (bucket / PER_OCTAVE + 2, (bucket % PER_OCTAVE) as u64);
    ((PER_OCTAVE as u64 + within + 1) << (octave - 2)) - 1
}

fn percentile_99(times: &[u32; BUCKETS]) -> u64 {
    let total: u64 = times.iter().map(|count| u64::from(*count)).sum();
    let rank = total - total / 100;
    let mut below = 0;
    for (bucket, count) in times.iter().enumerate() {
        below += u64::from(*count);
        if below >= rank && below > 0 {
            return upper_us(bucket);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use gust_core::{RequestId, receipt::Ending};

    use super::*;

    fn receipt(status: u16, ending: Ending, run_us: u32) -> Receipt {
        let timing = Timing { run_us, total_us: 1_000_000, ..Timing::default() };
        Receipt { status, ending, timing, ..Receipt::begin(RequestId::from_random(1), http::Method::GET) }
    }

    #[test]
    fn buckets_are_in_order_and_narrow() {
        let mut last = 0;
        for us in (4..100_000).chain([1 << 20, 1 << 31, u64::MAX]) {
            let bucket = bucket(us);
            assert!(bucket >= last, "{us}");
            last = bucket;
            if us < 1 << 31 {
                let upper = upper_us(bucket);
                assert!(upper >= us && upper as f64 <= us as f64 * 1.25, "{us} is at most {upper}");
            }
        }
    }

    #[test]
    fn what_went_wrong_is_told_from_what_clients_did() {
        let health = Health::default();
        for _ in 0..98 {
            health.note(&receipt(200, Ending::Complete, 1_000));
        }
        let earlier = health.now();
        health.note(&receipt(200, Ending::Cancelled, 1));
        health.note(&receipt(404, Ending::Complete, 1_000));
        health.note(&receipt(429, Ending::Failed(Code::LimitConcurrency), 10));
        health.note(&Receipt { by_route: true, ..receipt(503, Ending::Complete, 1) });
        health.note(&Receipt { awaits_body: true, ..receipt(504, Ending::Failed(Code::LimitWall), 90_000) });
        health.note(&receipt(503, Ending::Complete, 1_000));
        health.note(&receipt(200, Ending::Failed(Code::Trap), 90_000));
        let seen = health.now().since(&earlier);
        assert_eq!((seen.requests, seen.failed), (3, 2));
        assert!((90_000..113_000).contains(&seen.p99_us), "{seen:?}");
        let all = health.now().all();
        assert_eq!(all.requests, 101);
        assert!((1_000..1_250).contains(&all.p99_us), "{all:?}");
    }
}
