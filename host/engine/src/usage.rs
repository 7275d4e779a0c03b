//! What a request used: the time that threads ran its guest, and memory.
//!
//! CPU time is taken from the clock, when a thread enters a guest and when it leaves it: two reads and no system call. So it
//! holds the host's own work for the guest (making the instance, what it asks of WASI) and whatever the kernel ran on that core in
//! between, and not the time in which the guest waits.

use std::{
    future::poll_fn,
    pin::Pin,
    time::{Duration, Instant},
};

/// What a request used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The most that its instance's memories and tables had together, in bytes. Known when the guest is over.
    pub memory_bytes_peak: u64,
    /// How long threads ran its guest.
    pub cpu: Duration,
}

/// Awaits a guest's `future`. `ran` is told of each time that a thread ran it, for how long.
pub(crate) async fn metered<T>(mut future: Pin<&mut impl Future<Output = T>>, mut ran: impl FnMut(Duration)) -> T {
    poll_fn(|cx| {
        let entered = Instant::now();
        let polled = future.as_mut().poll(cx);
        ran(entered.elapsed());
        polled
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::{hint::black_box, pin::pin};

    use tokio::time;

    use super::*;

    fn spin(duration: Duration) {
        let began = Instant::now();
        while began.elapsed() < duration {
            black_box(());
        }
    }

    #[tokio::test]
    async fn what_works_is_counted_and_what_waits_is_not() {
        let (mut cpu, mut polls) = (Duration::ZERO, 0);
        let works = async {
            spin(Duration::from_millis(20));
            time::sleep(Duration::from_millis(500)).await;
            spin(Duration::from_millis(20));
            7
        };
        let count = |ran| {
            cpu += ran;
            polls += 1;
        };
        assert_eq!(metered(pin!(works), count).await, 7);
        assert!(polls >= 2 && cpu >= Duration::from_millis(40), "{cpu:?} in {polls}");
        assert!(cpu < Duration::from_millis(500), "the wait was counted: {cpu:?}");
    }
}
