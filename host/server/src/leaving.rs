//! Answers on their way out: not beyond their deadline.
//!
//! hyper asks for an answer's next bytes when it has room for them, and so never where a client takes none: what the answer holds, its
//! function's place above all, would be that client's for as long as it likes. So whatever polls hyper is ended ([`in_time`]) when an
//! answer that it sends is not whole by its deadline: over HTTP/2 the stream, which is reset, over HTTP/1.1 the connection.
//!
//! Most answers are over in the poll that they begin in. These cost two stores to a cell of the thread, and no timer.

use std::{
    cell::Cell,
    future,
    pin::{Pin, pin},
    task::Poll,
};

use hyper::rt::Executor;
use tokio::time::{self, Instant, Sleep};

thread_local! {
    /// What the last poll on this thread did.
    static CHANGE: Cell<Option<Change>> = const { Cell::new(None) };
    /// Whether answers are dropped on this thread for being late.
    static IS_LATE: Cell<bool> = const { Cell::new(false) };
}

#[derive(Clone, Copy)]
enum Change {
    /// An answer began, and must be whole by then.
    Began(Instant),
    /// It holds nothing any more.
    Ended,
}

/// An answer that was handed over, until it is over, whole or not.
pub(crate) struct Leaving(());

impl Leaving {
    /// Says that one is that must be whole by `deadline`.
    pub(crate) fn begin(deadline: Instant) -> Self {
        CHANGE.set(Some(Change::Began(deadline)));
        Self(())
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        CHANGE.set(Some(Change::Ended));
    }
}

/// Whether an answer that is dropped now was not whole in time.
pub(crate) fn is_late() -> bool {
    IS_LATE.get()
}

/// Does `work`, which sends one answer after the other. None where one of them was not whole by its deadline; `late` is called before
/// it is then dropped.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>, late: impl Fn()) -> Option<T> {
    let mut work = pin!(Some(work));
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    future::poll_fn(|context| {
        CHANGE.set(None);
        let Some(working) = work.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        if let Poll::Ready(done) = working.poll(context) {
            return Poll::Ready(Some(done));
        }
        match CHANGE.take() {
            Some(Change::Began(deadline)) => timer = Some(Box::pin(time::sleep_until(deadline))),
            Some(Change::Ended) => timer = None,
            None => {}
        }
        timer.as_mut().map_or(Poll::Pending, |timer| timer.as_mut().poll(context)).map(|()| {
            late();
            IS_LATE.set(true);
            work.set(None);
            IS_LATE.set(false);
            None
        })
    })
    .await
}

/// Runs the streams of HTTP/2, each in a task of its own.
#[derive(Clone, Copy)]
pub(crate) struct Streams;

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        tokio::spawn(in_time(stream, || {}));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::runtime;

    use super::*;

    fn run<T>(test: impl Future<Output = T>) -> T {
        runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test)
    }

    #[test]
    fn what_begins_must_end_in_time() {
        run(async {
            let never = async {
                let _leaving = Leaving::begin(Instant::now() + Duration::from_millis(5));
                future::pending::<()>().await;
            };
            assert!(in_time(never, || {}).await.is_none());
        });
    }

    #[test]
    fn what_has_ended_may_go_on() {
        run(async {
            let both = async {
                drop(Leaving::begin(Instant::now()));
                time::sleep(Duration::from_millis(5)).await;
                let second = Leaving::begin(Instant::now() + Duration::from_millis(5));
                time::sleep(Duration::from_millis(1)).await;
                drop(second);
                time::sleep(Duration::from_millis(20)).await;
            };
            assert!(in_time(both, || {}).await.is_some());
        });
    }
}
