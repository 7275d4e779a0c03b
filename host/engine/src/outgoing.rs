//! Requests that a guest sends. They are counted here and what they carry is, and handed to whoever knows where they may go: to other
//! functions of the host, in memory, or outside. Why one is not answered the guest can read, and its owner where there is something to do.

use std::{
    mem,
    panic::resume_unwind,
    pin::Pin,
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use gust_core::{Code, Problem, RequestId, one_line};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use tokio::{
    task::JoinHandle,
    time::{self, Sleep},
};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::{
    failure,
    host::Terms,
    invocation::Invocation,
    lane,
    meter::Meter,
    others,
    output::{OutputSink, OutputStream},
    timeouts::Timeouts,
    unanswered::{Cause, Unanswered},
};

/// The most that is taken of a body at a time, in bytes, from a guest that writes it as a stream.
const PIECE_BYTES_MAX: usize = 64 << 10;

/// How many pieces of a body a guest of WASI 0.2 may be ahead of whoever reads it: one that writes little at a time is not awoken for each.
const PIECES_MAX: usize = 8;

/// Reports the end of an exchange.
type Done = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// An answer that a guest waits for.
pub(crate) type Awaited = Pin<Box<dyn Future<Output = Result<http::Response<WasiBody>, Error>> + Send>>;

/// A function's way to other functions, and outside.
pub trait Outbound: Send + Sync {
    /// Sends a request on behalf of `caller`, which is a request of the function whose way this is.
    fn send(
        &self,
        request: http::Request<SentBody>,
        timeouts: Timeouts,
        caller: &Invocation,
    ) -> Result<Answering, Unanswered>;
}

/// An answer on its way. Dropping it says that nobody waits for it.
pub type Answering = Pin<Box<dyn Future<Output = Result<Answer, Unanswered>> + Send>>;

/// An answer, whose body is still to come.
pub type Answer = http::Response<UnsyncBoxBody<Bytes, Problem>>;

/// The host's say in what `wasi:http` does, for one instance.
pub(crate) struct Hooks {
    terms: Arc<Terms>,
    /// The request that is served.
    pub(crate) invocation: Invocation,
    /// What it uses.
    pub(crate) meter: Arc<Meter>,
    /// Whether the instance is getting ready for its first request. What it would be told then would be told to all.
    pub(crate) is_in_init: bool,
    /// Tells the bodies of its requests that their sender is gone. Made for the first.
    gone: Option<Arc<AtomicBool>>,
    /// Whether what the guest waits for is polled within a loop of wasmtime's, as that of WASI 0.3.
    waits_in_loop: bool,
    /// Whether what the guest sends now is handed on, to what comes after it as a middleware.
    hands_on: bool,
}

impl Hooks {
    pub(crate) fn new(terms: Arc<Terms>, invocation: Invocation, meter: Arc<Meter>) -> Self {
        Self { terms, invocation, meter, is_in_init: false, gone: None, waits_in_loop: false, hands_on: false }
    }

    /// Of a guest that may have tasks of its own.
    pub(crate) fn waits_in_loop(&mut self) {
        self.waits_in_loop = true;
    }

    /// Says whether what the guest sends now is handed on, to what comes after it as a middleware.
    pub(crate) fn hands_on(&mut self, hands_on: bool) {
        self.hands_on = hands_on;
    }

    /// Says that the instance is about to be dropped. With it the bodies that it has not finished end as if they were whole.
    pub(crate) fn is_gone(&self) {
        if let Some(gone) = &self.gone {
            gone.store(true, Release);
        }
    }

    /// Says that the guest has ended all that it began: a body that is sent still does not come from it.
    pub(crate) fn is_over(&mut self) {
        self.gone = None;
    }

    /// Whether an answer may be worked out where its guest asks for it: not within a loop of wasmtime's, not in the lane, where the guest has
    /// its turn and others have to wait for theirs, and not where the thread has done enough of that.
    pub(crate) fn works_here(&self) -> bool {
        !self.waits_in_loop && !lane::is_here() && others::may_work()
    }

    /// Begins what a guest waits for: the request is sent, if it is one that may be, and the answer is the guest's.
    pub(crate) fn begin(&mut self, request: http::Request<WasiBody>, options: Option<RequestOptions>) -> Awaited {
        let (timeouts, waits_in_loop) = (Timeouts::of(options), self.waits_in_loop);
        let to = if mem::take(&mut self.hands_on) { To::Next } else { To::Named };
        let (answering, carried, owner) = (self.send(request, to, timeouts), self.carried(to), self.owner());
        Box::pin(async move {
            let answered = match answering {
                Ok(answering) if waits_in_loop => Elsewhere(tokio::spawn(answering)).await,
                Ok(answering) => answering.await,
                Err(unanswered) => Err(unanswered),
            };
            let response = answered.map_err(|unanswered| owner.learns(unanswered))?;
            Ok(response.map(|body| Answered::new(body, carried, timeouts).boxed_unsync()))
        })
    }

    /// Begins to send a request, if it is one that may be sent. It counts also where it may not, so that a guest cannot fill the log.
    fn send(&mut self, request: http::Request<WasiBody>, to: To, timeouts: Timeouts) -> Result<Answering, Unanswered> {
        let max = self.terms.limits.calls;
        if !self.meter.may_call(max) {
            let why = format!("more requests than its limit calls, {max}, allows");
            return Err(Cause::Own(why).into());
        }
        if self.is_in_init {
            let told = "a request was refused: an init sends none, for what it was told would be told to all requests";
            return Err(Unanswered::from(Cause::Denied).telling(told));
        }
        let (sender_is_gone, carried) = (self.gone.get_or_insert_default().clone(), self.carried(to));
        let outbound = match to {
            To::Named => self.terms.outbound.as_deref(),
            To::Next => self.invocation.along.as_ref().and_then(|along| along.next.as_deref()),
        };
        let Some(outbound) = outbound else { return Err(to.nothing(&request)) };
        let request = request.map(|body| SentBody { body, sender_is_gone, carried });
        outbound.send(request, timeouts, &self.invocation)
    }

    /// What is handed on is the request itself and its answer, which have limits of their own.
    fn carried(&self, to: To) -> Carried {
        let bytes_max = match to {
            To::Named => Some(self.terms.limits.calls_body_bytes()),
            To::Next => None,
        };
        Carried { meter: self.meter.clone(), bytes_max }
    }

    fn owner(&self) -> Owner {
        Owner { sink: self.terms.sink.clone(), request_id: self.invocation.request_id }
    }
}

/// Where a request goes that a guest sends.
#[derive(Clone, Copy)]
enum To {
    /// Where its URI says.
    Named,
    /// To what comes after the function, which is called as a middleware.
    Next,
}

impl To {
    /// There is nobody.
    fn nothing(self, request: &http::Request<WasiBody>) -> Unanswered {
        match self {
            Self::Named => Unanswered::denied(request.method(), request.uri()),
            Self::Next => Unanswered::from(Cause::Denied).telling(
                "a request was handed on and nothing comes after this function; name it in the gust.toml of the function that shall: middleware",
            ),
        }
    }
}

/// Whoever reads the function's log.
struct Owner {
    sink: Arc<dyn OutputSink>,
    request_id: RequestId,
}

impl Owner {
    /// Tells what there is to tell, in one line. What is left is for the guest.
    fn learns(&self, unanswered: Unanswered) -> Error {
        if let Some(told) = unanswered.told {
            let line = one_line(&failure::cut(told)).to_string();
            self.sink.line(&self.request_id, OutputStream::Stderr, line);
        }
        unanswered.cause.into()
    }
}

/// What the bodies of a request's calls have, counted against what they may.
struct Carried {
    meter: Arc<Meter>,
    /// None where they are not counted.
    bytes_max: Option<u64>,
}

impl Carried {
    /// Counts a piece of one, unless that is too much: why, then.
    fn count(&self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, String> {
        let Some(bytes_max) = self.bytes_max else { return Ok(frame) };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        if self.meter.may_carry(bytes, bytes_max) {
            return Ok(frame);
        }
        let max_mib = bytes_max >> 20;
        Err(format!("more in its requests' bodies and their answers' than its limit calls_body_mib, {max_mib}, allows"))
    }
}

impl WasiHttpHooks for Hooks {
    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        PIECES_MAX
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE_BYTES_MAX
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE_BYTES_MAX
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        done: Done,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Done), Error>> + Send> {
        let awaited = self.begin(request, options);
        Box::new(async move { Ok((awaited.await?, done)) })
    }
}

/// An answer that a task of its own gets. Whoever waits for it does so within a loop of wasmtime's, and the function that answers may have one
/// too: none may run within another.
struct Elsewhere<T>(JoinHandle<T>);

impl<T> Future for Elsewhere<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(answer) => Poll::Ready(answer),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // Of a runtime that ends.
                Err(_) => Poll::Pending,
            },
        }
    }
}

impl<T> Drop for Elsewhere<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of a request that a guest sends.
pub struct SentBody {
    body: WasiBody,
    sender_is_gone: Arc<AtomicBool>,
    carried: Carried,
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = Problem;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        let incomplete = || Problem::new(Code::RequestBodyIncomplete, "whoever sent the body did not finish it");
        Poll::Ready(match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            None => self.sender_is_gone.load(Acquire).then(|| Err(incomplete())),
            Some(frame) => Some(
                frame
                    .map_err(|error| error.to_string())
                    .and_then(|frame| self.carried.count(frame))
                    .map_err(|why| incomplete().with_internal(why)),
            ),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer that a guest gets.
struct Answered {
    body: UnsyncBoxBody<Bytes, Problem>,
    carried: Carried,
    timeouts: Timeouts,
    /// When its next piece must be there. Made where that is not at once.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Answered {
    fn new(body: UnsyncBoxBody<Bytes, Problem>, carried: Carried, timeouts: Timeouts) -> Self {
        Self { body, carried, timeouts, patience: None }
    }

    /// The next piece, or that it took too long.
    fn poll_in_time(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.patience = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(|_| Error::HttpResponseIncomplete)));
        }
        let between_bytes = self.timeouts.between_bytes;
        let patience = self.patience.get_or_insert_with(|| Box::pin(time::sleep(between_bytes)));
        patience.as_mut().poll(cx).map(|()| Some(Err(Error::ConnectionReadTimeout)))
    }
}

impl Body for Answered {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(self.poll_in_time(cx));
        let counted = |frame| self.carried.count(frame).map_err(|why| Error::InternalError(Some(why)));
        Poll::Ready(frame.map(|frame| frame.and_then(counted)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        sync::Mutex,
        time::Duration,
    };

    use http_body_util::Full;
    use wasmtime_wasi_http::WasiHttpView as _;

    use super::*;
    use crate::{
        host::{Host, Terms},
        places::Places,
    };

    /// Keeps the bodies that it is sent.
    #[derive(Default)]
    struct Keeps(Mutex<Vec<SentBody>>);

    impl Outbound for Keeps {
        fn send(&self, request: http::Request<SentBody>, _: Timeouts, _: &Invocation) -> Result<Answering, Unanswered> {
            self.0.lock().unwrap().push(request.into_body());
            Ok(Box::pin(pending()))
        }
    }

    #[tokio::test]
    async fn a_body_whose_sender_is_gone_does_not_look_whole() {
        let keeps = Arc::new(Keeps::default());
        let terms = Terms { outbound: Some(keeps.clone()), ..Terms::of_test() };
        let slot = Places::new(1).try_take().unwrap();
        let mut host = Host::new(&Arc::new(terms), Invocation::of_test(1), &Meter::new(), slot);
        let mut send = || {
            let body = Full::new(Bytes::from_static(b"half")).map_err(|never| match never {}).boxed_unsync();
            let request = http::Request::post("http://resize.gust.internal/").body(body).unwrap();
            drop(host.http().hooks.send_request(request, None, Box::new(ready(Ok(())))));
            keeps.0.lock().unwrap().pop().unwrap()
        };
        assert_eq!(send().collect().await.unwrap().to_bytes(), "half");
        let sent = send();
        drop(host);
        assert_eq!(sent.collect().await.unwrap_err().code, Code::RequestBodyIncomplete);
    }
    /// Has one piece, and the next one never.
    struct Stands(Option<Bytes>);

    impl Body for Stands {
        type Data = Bytes;
        type Error = Problem;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
            self.0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
        }
    }

    #[tokio::test]
    async fn an_answer_that_stands_still_ends() {
        let carried = Carried { meter: Meter::new(), bytes_max: Some(100) };
        let between_bytes_timeout = Some(Duration::from_millis(5));
        let options = RequestOptions { between_bytes_timeout, ..RequestOptions::default() };
        let body = Stands(Some(Bytes::from_static(b"some"))).boxed_unsync();
        let mut answered = Answered::new(body, carried, Timeouts::of(Some(options)));
        assert_eq!(answered.frame().await.unwrap().unwrap().into_data().unwrap(), "some");
        assert!(matches!(answered.frame().await, Some(Err(Error::ConnectionReadTimeout))));
    }
}
