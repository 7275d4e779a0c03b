//! Others' work in the midst of a guest's: what a guest calls may be over, on the same thread, before the guest has to wait for it. The
//! thread's page faults and its time are then not all the guest's own.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use crate::rewind;

/// How much of others' work a thread does each time that it polls a guest. What a guest calls beyond that becomes a task of its own: calls
/// may call in turn, and all that is done at once keeps the thread from everybody else, and from the deadline of the first.
const AT_ONCE_MAX: Duration = Duration::from_millis(1);

thread_local! {
    /// How long this thread did others' work so far.
    static TIME: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    /// How long it had when it began to poll the guest that it polls now, the outermost one.
    static TIME_BEFORE: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    /// Since when it does others' work now, the outermost.
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Does it.
pub(crate) fn work<T>(work: impl FnOnce() -> T) -> T {
    /// However the work ends.
    struct Outermost(Option<Instant>);
    impl Drop for Outermost {
        fn drop(&mut self) {
            BEGAN.set(self.0);
        }
    }
    let (began, before) = (Instant::now(), time());
    let outermost = Outermost(BEGAN.get());
    BEGAN.set(outermost.0.or(Some(began)));
    let done = rewind::of_others(work);
    // What others did within it is part of it.
    TIME.set(before + began.elapsed());
    done
}

/// Says that this thread begins to poll a guest, which may be one that it polls in the midst of another's. How long it did others' work so
/// far: what the guest runs is less by what comes on top.
pub(crate) fn begin_poll() -> Duration {
    let time = time();
    if BEGAN.get().is_none() {
        TIME_BEFORE.set(time);
    }
    time
}

/// How long this thread did others' work so far.
pub(crate) fn time() -> Duration {
    TIME.get()
}

/// Whether it may do more now.
pub(crate) fn may_work() -> bool {
    let now = BEGAN.get().map_or(Duration::ZERO, |began| began.elapsed());
    time() - TIME_BEFORE.get() + now < AT_ONCE_MAX
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    fn spin(duration: Duration) {
        let began = Instant::now();
        while began.elapsed() < duration {
            black_box(());
        }
    }

    #[test]
    fn what_others_do_within_others_work_is_counted_once() {
        let (began, before) = (Instant::now(), time());
        work(|| {
            spin(Duration::from_millis(2));
            work(|| spin(Duration::from_millis(2)));
        });
        let counted = time() - before;
        assert!(counted >= Duration::from_millis(4) && counted <= began.elapsed(), "{counted:?}");
    }

    #[test]
    fn there_is_so_much_of_it_each_time_that_a_guest_is_polled() {
        begin_poll();
        assert!(may_work());
        work(|| {
            // Another guest, in the midst of the first: it has what that has left.
            begin_poll();
            spin(AT_ONCE_MAX);
            assert!(!may_work());
        });
        assert!(!may_work());
        begin_poll();
        assert!(may_work());
        let panicked = std::panic::catch_unwind(|| work(|| panic!("in the midst of it")));
        assert!(panicked.is_err() && BEGAN.get().is_none());
    }
}
