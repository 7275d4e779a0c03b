//! The body of a guest's response, which holds the instance for as long as the guest is at work.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use gust_core::{Code, Problem};
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::meter::Meter;

/// Bytes of a body that is here as a whole that the connection takes at a time: the rest stays with the request, and so
/// within its function's concurrency, until the client has read what came before.
const PIECE_BYTES: usize = 128 << 10;

/// Frames that are looked at of a body whose guest is over, before its head is sent: what such a guest may be ahead of its reader, and some.
const AHEAD_FRAMES_MAX: usize = 16;

/// A guest that goes on while its answer is sent. It is a task of its own, so that its deadline holds even while the client
/// takes nothing and nobody asks for the answer's next byte. Dropping it ends the guest.
pub struct Running {
    task: JoinHandle<Result<(), Problem>>,
    meter: Arc<Meter>,
}

impl Running {
    pub(crate) fn spawn(guest: impl Future<Output = Result<(), Problem>> + Send + 'static, meter: Arc<Meter>) -> Self {
        Self { task: tokio::spawn(guest), meter }
    }
}

impl Future for Running {
    type Output = Result<(), Problem>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = ready!(Pin::new(&mut self.task).poll(cx));
        Poll::Ready(ended.unwrap_or_else(|error| {
            Err(Problem::new(Code::Internal, "the host failed at this").with_internal(error.to_string()))
        }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A response's body. When it has ended or is dropped, its guest is no longer at work, but for its [`GuestBody::rest`].
pub struct GuestBody {
    source: Source,
}

enum Source {
    /// All of it is here, and the instance is done.
    Whole(Bytes),
    /// All of it is here in pieces, maybe with trailers, and the instance is done.
    Here(VecDeque<Frame<Bytes>>),
    /// The guest is still writing it, or passes on what comes.
    Streamed(Box<Streamed>),
    /// There is nothing more, but the guest may have something left to do.
    Ended(Option<Running>),
}

struct Streamed {
    /// What comes before the rest, and is counted already.
    ahead: VecDeque<Frame<Bytes>>,
    body: HyperOutgoingBody,
    running: Option<Running>,
    bytes: u64,
    bytes_max: u64,
    /// What the head says.
    bytes_stated: Option<u64>,
}

impl GuestBody {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { source: Source::Whole(bytes) }
    }

    /// What a guest still writes.
    pub(crate) fn streamed(
        body: HyperOutgoingBody,
        running: Running,
        bytes_max: u64,
        bytes_stated: Option<u64>,
    ) -> Self {
        let streamed = Streamed::new(body, Some(running), bytes_max, bytes_stated);
        Self { source: Source::Streamed(Box::new(streamed)) }
    }

    /// What a guest wrote that is over: most often all of it is here. Fails where that is not what it should be: as long as nothing was sent,
    /// the client can be told.
    pub(crate) async fn written(
        body: HyperOutgoingBody,
        bytes_max: u64,
        bytes_stated: Option<u64>,
    ) -> Result<Self, Problem> {
        let mut streamed = Streamed::new(body, None, bytes_max, bytes_stated);
        let is_all = poll_fn(|cx| Poll::Ready(streamed.look_ahead(cx))).await?;
        let source = if is_all { Source::Here(streamed.ahead) } else { Source::Streamed(Box::new(streamed)) };
        Ok(Self { source })
    }

    /// An answer that has no body, whatever its guest writes.
    pub(crate) fn none(running: Option<Running>) -> Self {
        Self { source: Source::Ended(running) }
    }

    /// What the guest still does after its answer's last byte, up to its deadline. It is the caller's to see through, with
    /// whatever the request holds.
    pub fn rest(&mut self) -> Option<Running> {
        match &mut self.source {
            Source::Ended(rest) => rest.take(),
            Source::Streamed(streamed) if streamed.is_whole() => streamed.running.take(),
            _ => None,
        }
    }

    /// How many bytes there are, where all of them are here, and the guest has nothing to do with them any more.
    pub fn bytes_here(&self) -> Option<usize> {
        match &self.source {
            Source::Whole(bytes) => Some(bytes.len()),
            Source::Here(frames) => Some(data_bytes(frames)),
            Source::Ended(None) => Some(0),
            _ => None,
        }
    }

    /// Whether all of it was taken. Who knows its length does not ask for its end.
    pub fn is_whole(&self) -> bool {
        match &self.source {
            Source::Ended(_) => true,
            Source::Whole(bytes) => bytes.is_empty(),
            Source::Here(frames) => frames.is_empty(),
            Source::Streamed(streamed) => streamed.is_whole(),
        }
    }
}

impl Body for GuestBody {
    type Data = Bytes;
    type Error = Problem;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        let this = &mut *self;
        match &mut this.source {
            Source::Ended(_) => Poll::Ready(None),
            Source::Whole(bytes) => {
                let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
                if bytes.is_empty() {
                    this.source = Source::Ended(None);
                }
                Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
            }
            Source::Here(frames) => Poll::Ready(frames.pop_front().map(Ok)),
            Source::Streamed(streamed) => {
                let polled = streamed.poll(cx);
                match polled {
                    Poll::Ready(Some(Err(_))) => this.source = Source::Ended(None),
                    // Nothing comes after trailers, and nobody asks whether something does.
                    Poll::Ready(Some(Ok(ref frame))) if frame.is_trailers() => {
                        this.source = Source::Ended(streamed.running.take());
                    }
                    Poll::Ready(None) => this.source = Source::Ended(streamed.running.take()),
                    _ => {}
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Ended(_) => true,
            Source::Whole(bytes) => bytes.is_empty(),
            Source::Here(frames) => frames.is_empty(),
            // Only polling tells whether the guest has failed.
            Source::Streamed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Ended(_) => SizeHint::with_exact(0),
            Source::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            // With trailers it is not framed by its length.
            Source::Here(frames) if frames.iter().any(Frame::is_trailers) => SizeHint::new(),
            Source::Here(frames) => SizeHint::with_exact(data_bytes(frames) as u64),
            Source::Streamed(streamed) => streamed.size_hint(),
        }
    }
}

impl Streamed {
    fn new(body: HyperOutgoingBody, running: Option<Running>, bytes_max: u64, bytes_stated: Option<u64>) -> Self {
        Self { ahead: VecDeque::new(), body, running, bytes: 0, bytes_max, bytes_stated }
    }

    /// Takes what is here already. Says whether that is all.
    fn look_ahead(&mut self, cx: &mut Context<'_>) -> Result<bool, Problem> {
        for _ in 0..AHEAD_FRAMES_MAX {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(None) => return self.ends().map(|()| true),
                Poll::Ready(Some(frame)) => {
                    let frame = self.count(frame.map_err(|error| broken_off(error.to_string()))?)?;
                    if !is_empty(&frame) {
                        self.ahead.push_back(frame);
                    }
                }
            }
        }
        Ok(false)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        if let Some(frame) = self.ahead.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        // The guest first: what it writes now can be sent now, and what it wrote before it failed must not look whole.
        if let Some(running) = &mut self.running {
            match Pin::new(running).poll(cx) {
                Poll::Ready(Ok(())) => self.running = None,
                Poll::Ready(Err(problem)) => return Poll::Ready(Some(Err(problem))),
                Poll::Pending => {}
            }
        }
        loop {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                if self.running.as_ref().is_some_and(|running| running.meter.is_failing()) {
                    // It was asked above, so it wakes whoever asks for the body.
                    return Poll::Pending;
                }
                return Poll::Ready(self.ends().err().map(Err));
            };
            let frame = frame.map_err(|error| broken_off(error.to_string()));
            // Nothing would bound how many empty frames HTTP/2 keeps for a client that does not read.
            if frame.as_ref().is_ok_and(is_empty) {
                continue;
            }
            return Poll::Ready(Some(frame.and_then(|frame| self.count(frame))));
        }
    }

    fn is_whole(&self) -> bool {
        self.ahead.is_empty() && self.bytes_stated == Some(self.bytes)
    }

    fn size_hint(&self) -> SizeHint {
        let (ahead, rest) = (data_bytes(&self.ahead) as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(ahead));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(ahead));
        }
        hint
    }

    /// Counts a frame that is to be sent, unless it would be one byte too many.
    fn count(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Problem> {
        self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if self.bytes > self.bytes_max {
            let detail =
                format!("it answered with more than the {} bytes that response_body_mib allows", self.bytes_max);
            return Err(Problem::new(Code::LimitResponseBody, detail));
        }
        match self.bytes_stated {
            Some(stated) if self.bytes > stated => Err(of_other_length(stated, "more")),
            _ => Ok(frame),
        }
    }

    fn ends(&self) -> Result<(), Problem> {
        match self.bytes_stated {
            Some(stated) if self.bytes < stated => Err(of_other_length(stated, "fewer")),
            _ => Ok(()),
        }
    }
}

fn is_empty(frame: &Frame<Bytes>) -> bool {
    frame.data_ref().is_some_and(Bytes::is_empty)
}

fn data_bytes(frames: &VecDeque<Frame<Bytes>>) -> usize {
    frames.iter().filter_map(Frame::data_ref).map(Bytes::len).sum()
}

fn of_other_length(stated: u64, how: &str) -> Problem {
    broken_off(format!("it stated a length of {stated} bytes and wrote {how}"))
}

fn broken_off(why: String) -> Problem {
    Problem::new(Code::GuestBadResponse, format!("its answer was broken off: {why}"))
}
