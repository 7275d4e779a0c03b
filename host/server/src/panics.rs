//! Panics of the host's own: each is a line in the log and counted, and costs the request that it happened in.

use std::{
    any::Any,
    future::poll_fn,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    pin::Pin,
    task::Poll,
};

use gust_core::{Code, Problem};
use prometheus_client::metrics::counter::Counter;

/// Has panics told to the log instead of to standard error, and counted.
pub(crate) fn tell(count: Counter) {
    panic::set_hook(Box::new(move |panicked: &PanicHookInfo<'_>| {
        count.inc();
        let place = panicked.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, what = said(panicked.payload()), "the host panicked; this is a fault in gust");
    }));
}

/// Awaits `future`; where that panics, a problem. It is not polled again then, and what it borrowed is as it was left.
pub(crate) async fn caught<T>(mut future: Pin<&mut impl Future<Output = Result<T, Problem>>>) -> Result<T, Problem> {
    poll_fn(|cx| {
        let polled = panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        polled.unwrap_or_else(|payload| {
            let problem = Problem::new(Code::Internal, "the host failed at this");
            Poll::Ready(Err(problem.with_internal(said(&*payload).to_owned())))
        })
    })
    .await
}

fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}

#[cfg(test)]
mod tests {
    use std::{hint::black_box, pin::pin};

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem_of_its_request() {
        let mut seen = 0;
        let problem = caught(pin!(async {
            seen += 1;
            tokio::task::yield_now().await;
            Ok(black_box(None::<u8>).expect("there is one"))
        }))
        .await
        .unwrap_err();
        assert_eq!((problem.code, problem.internal.as_deref(), seen), (Code::Internal, Some("there is one"), 1));
        assert_eq!(caught(pin!(async { Ok(7) })).await, Ok(7));
    }
}
