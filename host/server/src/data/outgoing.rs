//! A response's body on its way out, with the visit inside.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use gust_core::{Code, Problem};
use gust_engine::GuestBody;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Duration, Instant};

use super::visit::Visit;
use crate::{
    leaving::{self, Leaving},
    patience::{Activity, OwnAnswer},
};

/// The longest that a client may take for what the host itself answers.
const HOST_ANSWER: Duration = Duration::from_secs(10);

/// The largest piece of a body with which an answer that is alone on its connection may end.
const LAST_PIECE_BYTES: usize = 4 << 10;

/// How an answer leaves.
#[derive(Clone, Copy)]
pub(super) enum Way<'a> {
    /// To another function.
    InMemory,
    /// Alone on its connection.
    Alone,
    /// As a stream of HTTP/2, among others on this connection.
    Shared(&'a Arc<Activity>),
}

/// A response's body. Dropping it ends the visit.
///
/// A request is over when hyper has asked for its answer's last byte, so that byte goes by itself: a stream of HTTP/2 takes a whole piece
/// where its client has left room for one byte, and HTTP/1.1 one that is waiting to be written. Over HTTP/2 that byte is asked for, too,
/// before there is room for it, and so the answer counts as whole only when hyper has come back and was told that there is no more.
pub(crate) struct Outgoing {
    source: Source,
    is_shared: bool,
    /// Something of it was given away.
    has_begun: bool,
    /// Its last byte, or that of a piece.
    last: Option<Bytes>,
    _leaving: Option<Leaving>,
    _own_answer: Option<OwnAnswer>,
    /// The client waits for the guest, not the guest for the client.
    awaits_guest: bool,
    /// There until this is dropped, or nothing of it is the function's any more.
    visit: Option<Box<Visit>>,
}

enum Source {
    Guest(GuestBody),
    Host(Option<Bytes>),
}

impl Outgoing {
    /// What a guest answers.
    pub(super) fn of_guest(body: GuestBody, visit: Box<Visit>, way: Way<'_>) -> Self {
        let leaving = visit.leaves();
        let mut outgoing = Self::new(Source::Guest(body), visit, way, leaving);
        outgoing.leaves_in_memory();
        outgoing
    }

    /// What the host answers, which is not the function's, whose time may be up. It takes `own_answer` with it.
    pub(super) fn of_host(body: Option<Bytes>, visit: Box<Visit>, way: Way<'_>, own_answer: Option<OwnAnswer>) -> Self {
        let leaving = (!matches!(way, Way::InMemory)).then(|| Leaving::begin(Instant::now() + HOST_ANSWER));
        let mut outgoing = Self::new(Source::Host(body), visit, way, leaving);
        outgoing._own_answer = own_answer;
        outgoing
    }

    fn new(source: Source, visit: Box<Visit>, way: Way<'_>, leaving: Option<Leaving>) -> Self {
        Self {
            source,
            is_shared: matches!(way, Way::Shared(_)),
            has_begun: false,
            last: None,
            _leaving: leaving,
            _own_answer: None,
            awaits_guest: false,
            visit: Some(visit),
        }
    }

    /// What another function gets whole is its own from now on, and within its own limits.
    fn leaves_in_memory(&mut self) {
        let Source::Guest(body) = &self.source else { return };
        let Some(bytes) = body.bytes_here() else { return };
        if let Some(mut visit) = self.visit.take_if(|visit| !visit.is_for_client()) {
            visit.sent(bytes as u64);
            visit.completes();
        }
    }

    /// Why it is dropped before it is whole.
    fn too_late(&self, is_unread: bool) -> Problem {
        // Where the connection is full, nobody has asked since whether the guest has more.
        if self.awaits_guest && !is_unread {
            return Problem::new(Code::LimitWall, "its answer was not whole within its limit wall_ms");
        }
        let within = match self.source {
            Source::Guest(_) => "the function's limit wall_ms",
            Source::Host(_) => "ten seconds",
        };
        // The client is told by a reset alone.
        Problem::new(Code::RequestUnread, "")
            .with_internal(format!("the client did not take the answer within {within}"))
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        if let Some(last) = self.last.take() {
            return Poll::Ready(Some(Ok(Frame::data(last))));
        }
        let frame = match &mut self.source {
            Source::Guest(body) => {
                let polled = Pin::new(body).poll_frame(cx);
                self.awaits_guest = polled.is_pending();
                ready!(polled)
            }
            Source::Host(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
        };
        self.has_begun = true;
        Poll::Ready(frame.map(|frame| frame.map(|frame| self.keep_last(frame))))
    }

    /// Keeps the last byte for the next time, where it goes by itself.
    fn keep_last(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let goes_apart = self.is_shared || (bytes > LAST_PIECE_BYTES && self.source.is_at_end());
        if bytes < 2 || !goes_apart {
            return frame;
        }
        frame.map_data(|mut piece| {
            self.last = Some(piece.split_off(bytes - 1));
            piece
        })
    }

    /// Whether hyper has all of it, and room for it. A body that is known to be at its end is not polled again, and one that must not be
    /// sent is not polled at all.
    fn is_whole(&self) -> bool {
        let may_wait = self.is_shared && self.has_begun;
        self.last.is_none() && !may_wait && self.source.is_whole()
    }
}

impl Source {
    fn is_whole(&self) -> bool {
        match self {
            Self::Guest(body) => body.is_whole(),
            Self::Host(bytes) => bytes.is_none(),
        }
    }

    fn is_at_end(&self) -> bool {
        match self {
            Self::Guest(body) => body.is_end_stream(),
            Self::Host(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Guest(body) => body.size_hint(),
            Self::Host(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Problem;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        let this = &mut *self;
        let frame = ready!(this.poll_source(cx));
        let Some(visit) = &mut this.visit else { return Poll::Ready(frame) };
        match &frame {
            None => visit.completes(),
            // Nothing comes after them, and they need no room.
            Some(Ok(frame)) if frame.is_trailers() => visit.completes(),
            Some(Ok(frame)) => visit.sent(frame.data_ref().map_or(0, |data| data.len() as u64)),
            Some(Err(problem)) => visit.breaks_off(problem),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let asks_again = self.is_shared && self.has_begun;
        self.last.is_none() && !asks_again && self.source.is_at_end()
    }

    fn size_hint(&self) -> SizeHint {
        let kept = self.last.as_ref().map_or(0, |last| last.len() as u64);
        let rest = self.source.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + kept);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + kept);
        }
        hint
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        let Some(mut visit) = self.visit.take() else { return };
        if leaving::is_late() {
            // HTTP/2 may have it whole, and have sent nothing of it.
            let problem = self.too_late(visit.is_unread());
            visit.breaks_off(&problem);
        } else if self.is_whole() {
            visit.completes();
        }
        let Source::Guest(body) = &mut self.source else { return };
        // One whose client is gone before that ends with it.
        if let Some(rest) = body.rest().filter(|_| visit.is_complete()) {
            visit.outlives_answer();
            tokio::spawn(async move {
                let ended = rest.await;
                visit.outlived(ended);
            });
        }
    }
}
