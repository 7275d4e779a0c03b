//! The request's body under its limit, counted.

use std::{
    mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use gust_core::{Code, Problem};
use gust_engine::SentBody;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{self, Instant};

use crate::patience::Activity;

/// Beside the bytes that were read: somebody waits for more.
pub(super) const AWAITED: u64 = 1 << 63;

/// Beside the bytes that were read: there will be no more, and they are not all.
pub(super) const BROKEN_OFF: u64 = 1 << 62;

/// A request's body that ends with a problem where it is over its limit or does not arrive whole.
pub(super) struct Limited {
    source: Source,
    bytes_max: u64,
    read: u64,
    /// Where others see what was read, and whether more is [awaited](AWAITED) or it [broke off](BROKEN_OFF); none for a body that is known to
    /// be empty.
    counter: Option<Arc<AtomicU64>>,
    /// The connection that it comes on, which is of use as long as it is read.
    connection: Option<Arc<Activity>>,
}

/// Where a request's body comes from.
pub(super) enum Source {
    /// A connection, as it is read.
    Wire(Incoming),
    /// Another function, as it is written.
    Function(SentBody),
    /// It is here.
    Whole(Bytes),
}

impl Limited {
    /// `counter` counts the bytes; `connection` is told of them.
    pub(super) fn new(
        source: Source,
        bytes_max: u64,
        counter: Option<Arc<AtomicU64>>,
        connection: Option<Arc<Activity>>,
    ) -> Self {
        Self { source, bytes_max, read: 0, counter, connection }
    }

    /// Waits until all of it is here.
    pub(super) async fn gather(mut self, deadline: Instant, wall_ms: u32) -> Result<Self, Problem> {
        let gathered = time::timeout_at(deadline, (&mut self).collect()).await;
        let bytes = gathered.map_err(|_| too_slow(wall_ms))??.to_bytes();
        // What is read again is counted again.
        Ok(Self { source: Source::Whole(bytes), read: 0, ..self })
    }
}

fn too_slow(wall_ms: u32) -> Problem {
    let detail = format!("the body did not arrive within {wall_ms} ms, the function's limit wall_ms");
    Problem::new(Code::RequestTimeout, detail)
}

/// The body is over its limit.
pub(super) fn too_large(bytes_max: u64) -> Problem {
    let detail = format!("the body is larger than {bytes_max} bytes, the function's limit request_body_mib");
    Problem::new(Code::LimitRequestBody, detail)
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        match self {
            Self::Wire(wire) => Pin::new(wire).poll_frame(cx).map_err(|error| broken_off(&error)),
            Self::Function(body) => Pin::new(body).poll_frame(cx),
            Self::Whole(bytes) => {
                let bytes = mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Self::Wire(wire) => wire.is_end_stream(),
            Self::Function(body) => body.is_end_stream(),
            Self::Whole(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Wire(wire) => wire.size_hint(),
            Self::Function(body) => body.size_hint(),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

fn broken_off(error: &hyper::Error) -> Problem {
    let detail = "the connection ended, or broke a rule of HTTP, before the body was whole";
    Problem::new(Code::RequestBodyIncomplete, detail).with_internal(error.to_string())
}

impl Body for Limited {
    type Data = Bytes;
    type Error = Problem;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        let polled = self.source.poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.read += bytes as u64;
            if let Some(connection) = self.connection.as_ref().filter(|_| bytes > 0) {
                connection.is_used();
            }
        }
        if let Some(counter) = &self.counter {
            let state = match &polled {
                Poll::Pending => AWAITED,
                Poll::Ready(Some(Err(_))) => BROKEN_OFF,
                Poll::Ready(_) => 0,
            };
            counter.store(self.read | state, Ordering::Relaxed);
        }
        let Some(frame) = ready!(polled?) else { return Poll::Ready(None) };
        if self.read > self.bytes_max {
            return Poll::Ready(Some(Err(too_large(self.bytes_max))));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}
