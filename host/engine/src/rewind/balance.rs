//! Whether putting instances back pays for a function: what was lost on those that could not be, against what the others
//! saved.
//!
//! To make an instance fit for nothing costs something, to put one back saves something: so a function most of whose requests
//! spoil their instance is slower rewound than not. The host keeps count, stops when it has lost so much, and tries again after
//! a while, for what a function is asked for changes.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
};

use super::refusal::Refusal;

/// What an instance loses that was made fit and not put back, where one that was put back saves 1: 47 us against 10 us
/// (`docs/performance.md`).
const LOSS: u32 = 5;

/// Losses, less gains, at which it stops: 50 in a row, some milliseconds in all.
const LOST_MAX: u32 = 250;

/// Seconds after which it tries again.
const RETRY_S: u32 = 60;

/// The count, and what it came to.
pub(super) struct Balance {
    /// Never below zero.
    lost: AtomicU32,
    /// Asked for every request.
    goes_on: AtomicBool,
    stopped: Mutex<Option<Stopped>>,
}

struct Stopped {
    why: Refusal,
    at_s: u32,
}

impl Default for Balance {
    fn default() -> Self {
        Self { lost: AtomicU32::new(0), goes_on: AtomicBool::new(true), stopped: Mutex::default() }
    }
}

impl Balance {
    /// Whether it pays, as far as is known.
    pub(super) fn goes_on(&self) -> bool {
        self.goes_on.load(Relaxed)
    }

    /// Why it stopped, if it did.
    pub(super) fn stopped(&self) -> Option<Refusal> {
        self.lock().as_ref().map(|stopped| stopped.why)
    }

    /// Counts an instance that was put back.
    pub(super) fn gains(&self) {
        if self.lost.load(Relaxed) > 0 {
            // Two at once may take one too few or too many off; it is a balance, not a count.
            let less = |lost: u32| lost.checked_sub(1);
            let _ = self.lost.fetch_update(Relaxed, Relaxed, less);
        }
    }

    /// Counts one that was not.
    pub(super) fn loses(&self, why: Refusal, now_s: u32) {
        let lost = self.lost.fetch_add(LOSS, Relaxed).saturating_add(LOSS);
        if lost >= LOST_MAX || why.is_final() {
            self.stops(why, now_s);
        }
    }

    /// Stops, whatever was counted.
    pub(super) fn stops(&self, why: Refusal, now_s: u32) {
        // A final reason stands; of others the first.
        let mut stopped = self.lock();
        if stopped.is_none() || why.is_final() {
            *stopped = Some(Stopped { why, at_s: now_s });
        }
        self.goes_on.store(false, Relaxed);
    }

    /// Goes on where it stopped long ago, and not for good: the next loss but a few stops it again.
    pub(super) fn tries_again(&self, now_s: u32) {
        if self.goes_on() {
            return;
        }
        let mut stopped = self.lock();
        let is_over = |stopped: &Stopped| !stopped.why.is_final() && now_s.wrapping_sub(stopped.at_s) >= RETRY_S;
        if stopped.as_ref().is_some_and(is_over) {
            *stopped = None;
            self.lost.store(LOST_MAX - LOSS, Relaxed);
            self.goes_on.store(true, Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Stopped>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of the balance after refusals with this many instances put back between each two.
    fn goes_on_with(gains_between: u32) -> bool {
        let balance = Balance::default();
        for _ in 0..1000 {
            balance.loses(Refusal::Grew, 0);
            (0..gains_between).for_each(|_| balance.gains());
        }
        balance.goes_on()
    }

    #[test]
    fn it_stops_where_more_is_lost_than_gained() {
        assert!(!goes_on_with(0));
        assert!(!goes_on_with(LOSS - 1));
        assert!(goes_on_with(LOSS));
    }

    #[test]
    fn it_tries_again_after_a_while_and_stops_at_once_where_nothing_changed() {
        let balance = Balance::default();
        (0..LOST_MAX).for_each(|_| balance.loses(Refusal::Ended, 10));
        assert_eq!(balance.stopped(), Some(Refusal::Ended));
        balance.tries_again(10 + RETRY_S - 1);
        assert!(!balance.goes_on());
        balance.tries_again(10 + RETRY_S);
        assert_eq!((balance.goes_on(), balance.stopped()), (true, None));
        balance.loses(Refusal::Grew, 100);
        assert_eq!((balance.goes_on(), balance.stopped()), (false, Some(Refusal::Grew)));
    }

    #[test]
    fn what_is_final_stays() {
        let balance = Balance::default();
        balance.loses(Refusal::StatesDiffer, 0);
        balance.tries_again(10 * RETRY_S);
        assert_eq!((balance.goes_on(), balance.stopped()), (false, Some(Refusal::StatesDiffer)));
    }
}
