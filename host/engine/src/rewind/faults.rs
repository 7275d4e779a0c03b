//! Whether a call may have written to a page for the first time, told by page faults.
//!
//! A page of an instance's memory that was not written yet is not private to it, and the first write to it faults; from then
//! on it is private and stays so. A call that runs on one thread, on which no page fault happened meanwhile, has therefore
//! written to no page but those that were private before, and to ask for a thread's page faults takes a tenth of the time
//! that listing the private pages takes. A fault of anything else on that thread only means that they are listed once more.
//!
//! Two things make pages private without a fault of the thread. The kernel may gather small pages into a huge one by itself,
//! so that is forbidden for these memories ([`pages`](super::pages)). And a call that waits may go on on another thread, so
//! only one that is over the first time it is polled counts ([`at_once`]).

use std::{cell::Cell, future::poll_fn, pin::Pin};

use super::pages::faults_of_thread;

/// Awaits `future`. Says whether it was over the first time it was polled, so on one thread and with nothing in between. It is
/// pinned where it is made, for to move a call's future costs more than the rest of this.
pub(crate) async fn at_once<T>(mut future: Pin<&mut impl Future<Output = T>>) -> (T, bool) {
    let mut at_once = true;
    let output = poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        at_once &= polled.is_ready();
        polled
    });
    (output.await, at_once)
}

/// Whether this thread had no page fault since this was asked last on it. Where that cannot be told it may have had some.
pub(super) fn none_since_last() -> bool {
    thread_local!(static SEEN: Cell<Option<i64>> = const { Cell::new(None) });
    let now = faults_of_thread();
    SEEN.replace(now) == now && now.is_some()
}

#[cfg(test)]
mod tests {
    use std::{hint::black_box, pin::pin, time::Duration};

    use tokio::{task, time};

    use super::*;

    #[test]
    fn a_page_that_is_written_for_the_first_time_is_noticed() {
        none_since_last();
        let page = vec![0_u8; 1 << 20];
        // Whatever the allocator does, some of so much is new to the process.
        let fresh: Vec<u8> = black_box(page.iter().map(|byte| byte + 1).collect());
        assert!(!none_since_last());
        drop(fresh);
        // Nothing happens in between, but the test's own machinery may fault once.
        assert!((0..10).any(|_| none_since_last()));
    }

    #[tokio::test]
    async fn what_waits_is_not_over_at_once() {
        assert_eq!(at_once(pin!(async { 1 })).await, (1, true));
        assert_eq!(at_once(pin!(task::yield_now())).await, ((), false));
        assert_eq!(at_once(pin!(time::sleep(Duration::from_millis(1)))).await, ((), false));
    }
}
