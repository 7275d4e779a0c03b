//! The lane of guests that go on for long: threads that the kernel lets run where no others want to.
//!
//! Most guests are over in microseconds, and run where their connection is served. One that has computed for
//! [so long](QUICK_MAX) goes on here, and one of a function whose guests mostly take [long](Pace) begins here, so that they stand in nobody's
//! way, however many there are: these threads are as many as there are cores, and stand back behind all others (nice(2)). Among each
//! other guests take [turns](crate::turns) by their apps' weights. The threads are there once there was a guest for them.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::Poll,
    thread,
    time::Duration,
};

use gust_core::Problem;
use rustix::{
    process::setpriority_process,
    time::{ClockId, clock_gettime},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::{self, JoinHandle},
};

use crate::{
    failure,
    meter::Meter,
    turns::{Share, Turns},
};

/// How long a guest may compute where its connection is served: two ticks of the epoch.
pub(crate) const QUICK_MAX: Duration = Duration::from_millis(10);

/// How far these threads stand back: they get less than a tenth of a core that others want for themselves.
const NICE: i32 = 10;

/// A guest at work: ready when it has returned, or why it did not.
pub(crate) type Guest<T> = Pin<Box<dyn Future<Output = Result<T, Problem>> + Send>>;

/// How long a function's guests mostly compute.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Microseconds; the last ones weigh most.
    mean_us: AtomicU32,
}

impl Pace {
    /// From this mean on its guests begin in the lane: what they take is then far more than to get there.
    const LONG_US: u32 = 500;

    /// One part in so many of the mean is the last one's.
    const PARTS: u32 = 8;

    /// Notes what one has computed.
    pub(crate) fn note(&self, cpu: Duration) {
        let mean = self.mean_us.load(Relaxed);
        let us = u32::try_from(cpu.as_micros()).unwrap_or(u32::MAX);
        let next = mean - mean / Self::PARTS + us / Self::PARTS;
        // Most are so quick that nothing changes.
        if next != mean {
            self.mean_us.store(next, Relaxed);
        }
    }

    /// Whether the next one had better begin in the lane.
    pub(crate) fn is_long(&self) -> bool {
        self.mean_us.load(Relaxed) > Self::LONG_US
    }
}

/// How long guests run on a thread of the lane before it lets others have the core: about as long as the kernel lets each of those run.
const YIELD_AFTER: Duration = Duration::from_millis(2);

thread_local! {
    /// Whether this thread is one of the lane's.
    static IS_LANE: Cell<bool> = const { Cell::new(false) };
    /// Whether the guest that this thread polls goes on as soon as it may, and waits for nothing else.
    static PAUSES: Cell<bool> = const { Cell::new(false) };
    /// How long guests have run on this thread since it last let others have the core.
    static UNYIELDED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Lets others have the core, after each pause of a guest and each [`YIELD_AFTER`] that guests ran without one: one that waits and is awake
/// again at once would get next to nothing if it yielded each time.
///
/// Who serves and was interrupted by some thread that woke has had its share by a hair, so the kernel prefers this thread, and lets it run
/// for milliseconds. The epoch's thread, which made the guest pause, may be the one that woke.
fn give_way(ran: Duration) {
    let unyielded = UNYIELDED.get() + ran;
    let yields = PAUSES.get() || unyielded >= YIELD_AFTER;
    UNYIELDED.set(if yields { Duration::ZERO } else { unyielded });
    if yields {
        thread::yield_now();
    }
}

/// Has a guest stand back for a moment. tokio's own way, and not waking oneself: the thread looks for I/O before it goes on.
pub(crate) async fn pause() {
    PAUSES.set(true);
    task::yield_now().await;
}

/// Whether this thread is one of a lane's.
pub(crate) fn is_here() -> bool {
    IS_LANE.get()
}

/// The lane of an engine. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Lane(Arc<Shared>);

struct Shared {
    threads: usize,
    runtime: Mutex<Option<Runtime>>,
    turns: Arc<Turns>,
}

impl Lane {
    /// With no thread yet, and none ever where it is not open.
    pub(crate) fn new(is_open: bool) -> Self {
        let threads = if is_open { thread::available_parallelism().map_or(1, usize::from) } else { 0 };
        Self(Arc::new(Shared { threads, runtime: Mutex::default(), turns: Turns::new(threads) }))
    }

    /// Whether guests may go on here.
    pub(crate) fn is_open(&self) -> bool {
        self.0.threads > 0
    }

    /// Has a guest go on here, until it has computed for `cpu_max` in all. Gives it back where there can be no threads.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        guest: Guest<T>,
        cpu_max: Duration,
        share: &Arc<Share>,
        meter: &Arc<Meter>,
    ) -> Result<JoinHandle<Result<T, Problem>>, Guest<T>> {
        let mut runtime = self.0.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if runtime.is_none() {
            *runtime =
                start(self.0.threads).inspect_err(|error| tracing::error!(%error, "no threads for long guests")).ok();
        }
        let Some(runtime) = &*runtime else { return Err(guest) };
        let (mut turn, meter, mut guest) = (self.0.turns.begin(share), meter.clone(), guest);
        Ok(runtime.spawn(poll_fn(move |cx| {
            if turn.poll(cx).is_pending() {
                return Poll::Pending;
            }
            PAUSES.set(false);
            let entered = thread_cpu();
            let polled = guest.as_mut().poll(cx);
            let ran = thread_cpu().saturating_sub(entered);
            turn.end(ran, PAUSES.get().then_some(cx.waker()));
            meter.ran(ran);
            if polled.is_pending() {
                give_way(ran);
            }
            match polled {
                Poll::Pending if meter.cpu() >= cpu_max => {
                    meter.fails();
                    Poll::Ready(Err(failure::out_of_cpu(meter.cpu(), cpu_max)))
                }
                polled => polled,
            }
        })))
    }
}

/// Waited for by nobody: its guests are ended at their next yield.
impl Drop for Shared {
    fn drop(&mut self) {
        let runtime = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        runtime.into_iter().for_each(Runtime::shutdown_background);
    }
}

fn start(threads: usize) -> io::Result<Runtime> {
    let stand_back = || {
        IS_LANE.set(true);
        // Of this thread alone (setpriority(2), "C library/kernel differences"). Where the system does not allow it all run alike.
        let _ = setpriority_process(None, NICE);
    };
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).thread_name("gust-long").on_thread_start(stand_back).enable_all().build()
}

/// How long this thread ran so far.
fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_as_quick_as_its_last_guests() {
        let pace = Pace::default();
        (0..100).for_each(|_| pace.note(Duration::from_micros(20)));
        pace.note(Duration::from_millis(3));
        assert!(!pace.is_long(), "one of many");
        (0..10).for_each(|_| pace.note(Duration::from_millis(5)));
        assert!(pace.is_long());
        (0..30).for_each(|_| pace.note(Duration::from_micros(20)));
        assert!(!pace.is_long());
        pace.note(Duration::MAX);
        assert!(pace.is_long());
    }
}
