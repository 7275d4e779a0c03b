//! Whether a call may have written to a page for the first time, told by page faults.
//!
//! A page of an instance's memory that was not written yet is not private to it, and the first write to it faults; from then
//! on it is private and stays so. A call that runs on one thread, on which no page fault happened meanwhile, has therefore
//! written to no page but those that were private before, and to ask for a thread's page faults takes a tenth of the time
//! that listing the private pages takes. A fault of anything else on that thread only means that they are listed once more.
//!
//! What [others](crate::others) do on the thread in the midst of a call faults for itself, and is passed over.
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

thread_local! {
    /// The page faults that this thread had when it was asked last; none where a call that goes on had some before that.
    static SEEN: Cell<Option<i64>> = const { Cell::new(None) };
}

/// Whether this thread had no page fault since this was asked last on it. Where that cannot be told it may have had some.
pub(super) fn none_since_last() -> bool {
    let now = faults_of_thread();
    SEEN.replace(now) == now && now.is_some()
}

/// Does what others do in the midst of a call. What the call had before is not forgotten; what the others have after one of them asked last is
/// counted as the call's.
pub(crate) fn of_others<T>(work: impl FnOnce() -> T) -> T {
    let had_none = none_since_last();
    let done = work();
    if !had_none {
        SEEN.set(None);
    }
    done
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

    #[test]
    fn what_others_fault_is_not_the_calls_and_what_it_had_before_is() {
        // So large that the allocator always has it from the kernel, and never of what it kept.
        let fault = || {
            let mut page = vec![0_u8; 64 << 20];
            page.iter_mut().take(1).for_each(|byte| *byte = 1);
            drop(black_box(page));
        };
        // The test's own machinery may fault once.
        let others_only = || {
            none_since_last();
            of_others(|| {
                fault();
                // As one of them does that ends.
                none_since_last();
            });
            none_since_last()
        };
        assert!((0..10).any(|_| others_only()));
        none_since_last();
        fault();
        of_others(none_since_last);
        assert!(!none_since_last());
    }

    #[tokio::test]
    async fn what_waits_is_not_over_at_once() {
        assert_eq!(at_once(pin!(async { 1 })).await, (1, true));
        assert_eq!(at_once(pin!(task::yield_now())).await, ((), false));
        assert_eq!(at_once(pin!(time::sleep(Duration::from_millis(1)))).await, ((), false));
    }
}
