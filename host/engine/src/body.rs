//! The body of a guest's response, which holds the instance until its last byte.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use gust_core::{Code, Problem};
use http_body::{Body, Frame, SizeHint};
use wasmtime::Store;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::{
    failure::{Failure, Usage},
    host::Host,
};

/// A guest at work: ready when it has returned, with what it used.
pub(crate) type Running = Pin<Box<dyn Future<Output = Result<Usage, Failure>> + Send>>;

/// A response's body. When it has ended or is dropped, the instance is gone.
pub struct GuestBody {
    source: Source,
    usage: Usage,
}

enum Source {
    /// All of it is here.
    Whole { bytes: Bytes, instance: Option<Store<Host>> },
    /// The guest is still writing it.
    Streamed(Box<Streamed>),
    /// There is nothing more.
    Ended,
}

struct Streamed {
    body: HyperOutgoingBody,
    running: Option<Running>,
    bytes_left: u64,
    bytes_max: u64,
}

impl GuestBody {
    pub(crate) fn whole(bytes: Bytes, instance: Store<Host>) -> Self {
        let usage = Usage { memory_bytes_peak: instance.data().memory.bytes_peak() };
        Self { source: Source::Whole { bytes, instance: Some(instance) }, usage }
    }

    pub(crate) fn streamed(body: HyperOutgoingBody, running: Option<Running>, bytes_max: u64, usage: Usage) -> Self {
        let streamed = Streamed { body, running, bytes_left: bytes_max, bytes_max };
        Self { source: Source::Streamed(Box::new(streamed)), usage }
    }

    /// What the instance used, as far as it is known: whole when the body has ended.
    pub fn usage(&self) -> Usage {
        self.usage
    }
}

impl Body for GuestBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        match &mut this.source {
            Source::Ended => Poll::Ready(None),
            Source::Whole { bytes, instance } => {
                drop(instance.take());
                let bytes = mem::take(bytes);
                this.source = Source::Ended;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Source::Streamed(streamed) => {
                let polled = streamed.poll(cx, &mut this.usage);
                if let Poll::Ready(None | Some(Err(_))) = polled {
                    this.source = Source::Ended;
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Ended => true,
            Source::Whole { bytes, .. } => bytes.is_empty(),
            // Only polling tells whether the guest has failed.
            Source::Streamed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Ended => SizeHint::with_exact(0),
            Source::Whole { bytes, .. } => SizeHint::with_exact(bytes.len() as u64),
            Source::Streamed(streamed) => streamed.body.size_hint(),
        }
    }
}

impl Streamed {
    fn poll(&mut self, cx: &mut Context<'_>, usage: &mut Usage) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        // The guest first: what it writes now can be sent now, and what it wrote before it failed must not look whole.
        if let Some(running) = &mut self.running {
            match running.as_mut().poll(cx) {
                Poll::Ready(Ok(used)) => {
                    self.running = None;
                    *usage = used;
                }
                Poll::Ready(Err(failure)) => {
                    *usage = failure.usage;
                    return Poll::Ready(Some(Err(failure)));
                }
                Poll::Pending => {}
            }
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(self.count(frame, *usage))),
            Poll::Ready(Some(Err(error))) => {
                let detail = format!("it broke its answer off: {error}");
                let problem = Problem::new(Code::GuestBadResponse, detail);
                Poll::Ready(Some(Err(Failure { problem, usage: *usage })))
            }
            Poll::Ready(None) => {
                // Work that a guest does after its last byte goes on without the connection, up to its deadline.
                if let Some(running) = self.running.take() {
                    tokio::spawn(running);
                }
                Poll::Ready(None)
            }
        }
    }

    fn count(&mut self, frame: Frame<Bytes>, usage: Usage) -> Result<Frame<Bytes>, Failure> {
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.bytes_left.checked_sub(bytes) {
            Some(left) => {
                self.bytes_left = left;
                Ok(frame)
            }
            None => {
                let detail =
                    format!("it answered with more than the {} bytes that response_body_mib allows", self.bytes_max);
                Err(Failure { problem: Problem::new(Code::LimitResponseBody, detail), usage })
            }
        }
    }
}
