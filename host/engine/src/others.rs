//! Others' work in the midst of a guest's: what a guest calls may be over, on the same thread, before the guest has to wait for it. The
//! thread's page faults and its time are then not all the guest's own.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use crate::rewind;

thread_local! {
    /// How long this thread did others' work so far.
    static TIME: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Does it.
pub(crate) fn work<T>(work: impl FnOnce() -> T) -> T {
    let (began, before) = (Instant::now(), time());
    let done = rewind::of_others(work);
    // What others did within it is part of it.
    TIME.set(before + began.elapsed());
    done
}

/// How long this thread did others' work so far. What a guest ran is less by what comes on top meanwhile.
pub(crate) fn time() -> Duration {
    TIME.get()
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
}
