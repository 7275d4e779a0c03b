//! A guest within its limits of time: how long threads may run it, and when it must be over.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant as Clock},
};

use gust_core::{Code, Problem};
use tokio::{
    task::JoinHandle,
    time::{self, Instant, Sleep},
};

use crate::{
    failure,
    host::Terms,
    lane::{Guest, QUICK_MAX},
    meter::Meter,
    others,
};

/// A guest that may run for as long as its function's limits allow. Dropping it ends the guest.
pub(crate) struct Allowed<T> {
    guest: At<T>,
    deadline: Instant,
    /// Made for what has to wait.
    timer: Option<Pin<Box<Sleep>>>,
    terms: Arc<Terms>,
    meter: Arc<Meter>,
}

/// Where a guest runs.
enum At<T> {
    /// Where it is polled.
    Here(Guest<T>),
    /// In the [lane](crate::lane) of those that go on for long.
    Lane(JoinHandle<Result<T, Problem>>),
    /// Nowhere: it is over.
    Over,
}

impl<T: Send + 'static> Allowed<T> {
    /// Of a request that must be over by `deadline`.
    pub(crate) fn new(guest: Guest<T>, terms: &Arc<Terms>, meter: &Arc<Meter>, deadline: Instant) -> Self {
        let (guest, terms, meter) = (At::Here(guest), terms.clone(), meter.clone());
        let mut allowed = Self { guest, deadline, timer: None, terms, meter };
        if allowed.terms.pace.is_long() {
            allowed.moves_on();
        }
        allowed
    }

    /// Whether it is run by another thread, which may be further than is known here.
    pub(crate) fn is_elsewhere(&self) -> bool {
        matches!(self.guest, At::Lane(_))
    }

    fn cpu_max(&self) -> Duration {
        Duration::from_millis(self.terms.limits.cpu_ms.into())
    }

    fn poll_guest(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Problem>> {
        if let At::Here(guest) = &mut self.guest {
            let (entered, others) = (Clock::now(), others::begin_poll());
            let polled = guest.as_mut().poll(cx);
            let ran = entered.elapsed().saturating_sub(others::time() - others);
            // It yields before that: what is beyond it the kernel ran, on a machine that is busy.
            self.meter.ran(ran.min(QUICK_MAX));
            if polled.is_ready() {
                self.guest = At::Over;
                return polled;
            }
            self.must_move()?;
        }
        match &mut self.guest {
            At::Lane(task) => {
                let ended = ready!(Pin::new(task).poll(cx));
                self.guest = At::Over;
                Poll::Ready(ended.unwrap_or_else(|error| Err(lost(error.to_string()))))
            }
            _ => Poll::Pending,
        }
    }

    /// Ends a guest that has computed for too long, or moves one that has for long.
    fn must_move(&mut self) -> Result<(), Problem> {
        let (cpu, cpu_max) = (self.meter.cpu(), self.cpu_max());
        if cpu >= cpu_max {
            self.meter.fails();
            self.guest = At::Over;
            return Err(failure::out_of_cpu(cpu, cpu_max));
        }
        if cpu >= QUICK_MAX {
            self.moves_on();
        }
        Ok(())
    }

    /// Has the guest go on in the lane, where that is open.
    fn moves_on(&mut self) {
        if !self.terms.lane.is_open() {
            return;
        }
        if let At::Here(guest) = mem::replace(&mut self.guest, At::Over) {
            let moved = self.terms.lane.spawn(guest, self.cpu_max(), &self.terms.share, &self.meter);
            self.guest = moved.map_or_else(At::Here, At::Lane);
        }
    }
}

impl<T: Send + 'static> Future for Allowed<T> {
    type Output = Result<T, Problem>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Poll::Ready(output) = this.poll_guest(cx) {
            return Poll::Ready(output);
        }
        let deadline = this.deadline;
        let timer = this.timer.get_or_insert_with(|| Box::pin(time::sleep_until(deadline)));
        ready!(timer.as_mut().poll(cx));
        this.meter.fails();
        this.end();
        Poll::Ready(Err(failure::timed_out(this.terms.limits.wall_ms)))
    }
}

impl<T> Allowed<T> {
    /// Ends the guest, whatever it does.
    fn end(&mut self) {
        // What waits for its turn or runs elsewhere is dropped there, at its next yield.
        if let At::Lane(task) = &self.guest {
            task.abort();
        }
        self.guest = At::Over;
    }
}

impl<T> Drop for Allowed<T> {
    fn drop(&mut self) {
        self.end();
        self.terms.pace.note(self.meter.cpu());
    }
}

fn lost(why: String) -> Problem {
    Problem::new(Code::Internal, "the host failed at this").with_internal(why)
}

#[cfg(test)]
mod tests {
    use std::{future::pending, hint::black_box};

    use gust_core::{Limits, limits::Limit};
    use tokio::task;

    use super::*;

    fn allowed(
        guest: impl Future<Output = Result<u8, Problem>> + Send + 'static,
        cpu_ms: u32,
    ) -> (Allowed<u8>, Arc<Meter>) {
        let limits = Limits { cpu_ms, ..Limits::default() };
        let (terms, meter) = (Arc::new(Terms { limits, ..Terms::of_test() }), Meter::new());
        let deadline = Instant::now() + Duration::from_secs(2);
        (Allowed::new(Box::pin(guest), &terms, &meter, deadline), meter)
    }

    fn spin(duration: Duration) {
        let began = Clock::now();
        while began.elapsed() < duration {
            black_box(());
        }
    }

    #[tokio::test]
    async fn what_works_is_counted_and_what_waits_is_not() {
        let (guest, meter) = allowed(
            async {
                spin(Duration::from_millis(4));
                time::sleep(Duration::from_millis(300)).await;
                spin(Duration::from_millis(4));
                Ok(7)
            },
            100,
        );
        assert_eq!(guest.await.unwrap(), 7);
        let cpu = meter.cpu();
        assert!((Duration::from_millis(8)..Duration::from_millis(250)).contains(&cpu), "{cpu:?}");
    }

    #[tokio::test]
    async fn what_computes_for_long_goes_on_elsewhere_until_its_limit() {
        let here = std::thread::current().id();
        let loops = |turns: u32| async move {
            for _ in 0..turns {
                spin(Duration::from_millis(5));
                task::yield_now().await;
            }
            Ok(u8::from(std::thread::current().id() == here))
        };
        // Where the system runs others meanwhile it looks long: not ten times in a row.
        let mut stays = false;
        for _ in 0..10 {
            stays |= allowed(loops(1), 1000).0.await.unwrap() == 1;
        }
        assert!(stays, "it stays where it is");
        let (long, _) = allowed(loops(20), 5000);
        assert_eq!(long.await.unwrap(), 0, "it goes on elsewhere");
        let (endless, meter) = allowed(loops(u32::MAX), 50);
        let problem = endless.await.unwrap_err();
        assert_eq!(problem.code.limit(), Some(Limit::Cpu), "{problem}");
        assert!(meter.cpu() < Duration::from_millis(100), "{:?}", meter.cpu());
        assert!(meter.is_failing(), "what it wrote so far is not taken for all of it");
    }

    #[tokio::test]
    async fn what_waits_for_too_long_is_given_up() {
        let (mut guest, meter) = allowed(pending(), 100);
        guest.deadline = Instant::now();
        assert_eq!(guest.await.unwrap_err().code, Code::LimitWall);
        assert!(meter.is_failing(), "what it wrote so far is not taken for all of it");
    }
}
