//! When requests fall due.

use std::time::{Duration, Instant};

use clap::ValueEnum;

/// When requests fall due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Arrivals {
    /// As soon as a connection is free: as much load as the server takes
    AsAnswered,
    /// At random, each independent of the others, as from many clients
    Poisson,
    /// At equal distances
    Even,
}

/// Arrivals as time goes on. The first request falls due at once.
pub(super) struct Schedule {
    arrivals: Arrivals,
    per_second: f64,
    random: fastrand::Rng,
    /// After the beginning.
    next: Duration,
}

impl Schedule {
    /// `per_second` is an average.
    pub(super) fn new(arrivals: Arrivals, per_second: f64, seed: u64) -> Self {
        Self { arrivals, per_second, random: fastrand::Rng::with_seed(seed), next: Duration::ZERO }
    }

    /// What fell due from `began` to `now` and was not told before. `free` connections wait for work.
    pub(super) fn due(&mut self, began: Instant, now: Instant, free: usize) -> Vec<Instant> {
        if self.arrivals == Arrivals::AsAnswered {
            return vec![now; free];
        }
        let mut due = Vec::new();
        while began + self.next <= now {
            due.push(began + self.next);
            let gap = self.gap();
            self.next += gap;
        }
        due
    }

    fn gap(&mut self) -> Duration {
        let gaps = match self.arrivals {
            // Never the logarithm of zero.
            Arrivals::Poisson => -(1.0 - self.random.f64()).ln(),
            Arrivals::Even | Arrivals::AsAnswered => 1.0,
        };
        Duration::from_secs_f64(gaps / self.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_fall_due_as_are_offered() {
        let began = Instant::now();
        let second = Duration::from_secs(1);
        let mut even = Schedule::new(Arrivals::Even, 1000.0, 1);
        assert_eq!(even.due(began, began + second - Duration::from_micros(1), 0).len(), 1000);
        let first = Schedule::new(Arrivals::Poisson, 10_000.0, 1).due(began, began + second, 0);
        assert!((9_500..10_500).contains(&first.len()), "{}", first.len());
        // Independent arrivals: 63 % of the gaps are shorter than the mean one.
        let gaps: Vec<Duration> = first.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let short = gaps.iter().filter(|gap| **gap < second / 10_000).count() as f64 / gaps.len() as f64;
        assert!((0.6..0.66).contains(&short), "{short}");
        assert_eq!(Schedule::new(Arrivals::AsAnswered, 0.0, 1).due(began, began, 3).len(), 3);
    }
}
