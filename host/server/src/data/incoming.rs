//! The request's body under its limit, counted.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use gust_core::{Code, Problem};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// A request's body that ends with a problem where it is over its limit or does not arrive whole.
pub(super) struct Limited {
    body: Incoming,
    bytes_max: u64,
    read: u64,
    /// Where others see what was read; none for a body that is known to be empty.
    counter: Option<Arc<AtomicU64>>,
}

impl Limited {
    /// `counter` counts the bytes.
    pub(super) fn new(body: Incoming, bytes_max: u64, counter: Option<Arc<AtomicU64>>) -> Self {
        Self { body, bytes_max, read: 0, counter }
    }
}

/// The body is over its limit.
pub(super) fn too_large(bytes_max: u64) -> Problem {
    let detail = format!("the body is larger than {bytes_max} bytes, the function's limit request_body_mib");
    Problem::new(Code::LimitRequestBody, detail)
}

impl Body for Limited {
    type Data = Bytes;
    type Error = Problem;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                let detail = "the connection ended, or broke a rule of HTTP, before the body was whole";
                let problem = Problem::new(Code::RequestBodyIncomplete, detail).with_internal(error.to_string());
                return Poll::Ready(Some(Err(problem)));
            }
        };
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.read += bytes;
        if let Some(counter) = &self.counter {
            counter.store(self.read, Ordering::Relaxed);
        }
        if self.read > self.bytes_max {
            return Poll::Ready(Some(Err(too_large(self.bytes_max))));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
