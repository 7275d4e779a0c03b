//! Requests that a guest sends. Those to other functions of the host are handed to whoever serves these, in memory; all others
//! are refused, with an error that the guest can read.

use std::{
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
use gust_core::{Code, Limits, Problem};
use http::Uri;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use tokio::{task::JoinHandle, time};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::{invocation::Invocation, meter::Meter};

/// What comes after a function's name in the authority of a request to it.
const INTERNAL: &str = ".gust.internal";

/// The most that is taken of a body at a time, in bytes, from a guest that writes it as a stream: a few pieces are under way for each.
const PIECE_BYTES_MAX: usize = 64 << 10;

/// Reports the end of an exchange.
type Done = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// A function's way to other functions.
pub trait Outbound: Send + Sync {
    /// Sends a request to the function of that name, on behalf of `caller`, which is a request of the function whose way this is. None
    /// where it may not call that one.
    fn send(&self, function: &str, request: http::Request<SentBody>, caller: Invocation) -> Option<Answering>;
}

/// An answer on its way. Dropping it says that nobody waits for it.
pub type Answering = Pin<Box<dyn Future<Output = http::Response<UnsyncBoxBody<Bytes, Problem>>> + Send>>;

/// The host's say in what `wasi:http` does, for one instance.
pub(crate) struct Hooks {
    outbound: Option<Arc<dyn Outbound>>,
    /// The requests that one request may send, and what their bodies and answers may have together, in bytes.
    calls_max: u32,
    body_bytes_max: u64,
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
}

impl Hooks {
    pub(crate) fn new(
        outbound: Option<Arc<dyn Outbound>>,
        limits: &Limits,
        invocation: Invocation,
        meter: Arc<Meter>,
    ) -> Self {
        let (calls_max, body_bytes_max) = (limits.calls, limits.calls_body_bytes());
        let (is_in_init, gone, waits_in_loop) = (false, None, false);
        Self { outbound, calls_max, body_bytes_max, invocation, meter, is_in_init, gone, waits_in_loop }
    }

    /// Of a guest that may have tasks of its own.
    pub(crate) fn waits_in_loop(&mut self) {
        self.waits_in_loop = true;
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

    /// Begins to send a request, if it is one that may be sent. It counts also where it may not, so that a guest cannot fill the log.
    fn send(&mut self, request: http::Request<WasiBody>) -> Result<Answering, Error> {
        if !self.meter.may_call(self.calls_max) {
            let max = self.calls_max;
            return Err(Error::InternalError(Some(format!("more requests than its limit calls, {max}, allows"))));
        }
        let (uri, request_id) = (request.uri().clone(), self.invocation.request_id);
        self.send_allowed(request).ok_or_else(|| {
            let to = uri.authority().map_or("", http::uri::Authority::as_str);
            tracing::warn!(%request_id, to, "a function's request was refused: its manifest does not allow it");
            Error::HttpRequestDenied
        })
    }

    fn send_allowed(&mut self, request: http::Request<WasiBody>) -> Option<Answering> {
        let outbound = self.outbound.as_ref().filter(|_| !self.is_in_init)?;
        let function = function(request.uri())?.to_owned();
        let (sender_is_gone, carried) = (self.gone.get_or_insert_default().clone(), self.carried());
        let request = request.map(|body| SentBody { body, sender_is_gone, carried });
        outbound.send(&function, request, self.invocation)
    }

    fn carried(&self) -> Carried {
        Carried { meter: self.meter.clone(), bytes_max: self.body_bytes_max }
    }
}

/// What the bodies of a request's calls have, counted against what they may.
struct Carried {
    meter: Arc<Meter>,
    bytes_max: u64,
}

impl Carried {
    /// Counts a piece of one, unless that is too much: why, then.
    fn count(&self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, String> {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        if self.meter.may_carry(bytes, self.bytes_max) {
            return Ok(frame);
        }
        let max_mib = self.bytes_max >> 20;
        Err(format!("more in its requests' bodies and their answers' than its limit calls_body_mib, {max_mib}, allows"))
    }
}

/// The function that an authority names: `resize` where it is `resize.gust.internal`.
fn function(uri: &Uri) -> Option<&str> {
    uri.host()?.strip_suffix(INTERNAL)
}

impl WasiHttpHooks for Hooks {
    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE_BYTES_MAX
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        done: Done,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Done), Error>> + Send> {
        let (answering, carried) = (self.send(request), self.carried());
        let waits_in_loop = self.waits_in_loop;
        Box::new(async move {
            let answering = match waits_in_loop {
                true => Box::pin(Elsewhere(tokio::spawn(answering?))),
                false => answering?,
            };
            let response = match options.and_then(|options| options.first_byte_timeout) {
                Some(wait) => time::timeout(wait, answering).await.map_err(|_| Error::ConnectionReadTimeout)?,
                None => answering.await,
            };
            Ok((response.map(|body| Answered { body, carried }.boxed_unsync()), done))
        })
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
}

impl Body for Answered {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(|_| Error::HttpResponseIncomplete)?;
            self.carried.count(frame).map_err(|why| Error::InternalError(Some(why)))
        }))
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
    };

    use http_body_util::Full;
    use wasmtime_wasi_http::WasiHttpView as _;

    use super::*;
    use crate::{
        host::{Host, Terms},
        places::Places,
    };

    #[test]
    fn functions_are_named_by_authorities() {
        for (uri, named) in [
            ("http://resize.gust.internal/a?b", Some("resize")),
            ("https://resize.gust.internal:80/", Some("resize")),
            ("http://a.b.gust.internal/", Some("a.b")),
            ("http://gust.internal/", None),
            ("http://resize.gust.internal.example.com/", None),
            ("http://example.com/resize.gust.internal", None),
            ("http://example.com#resize.gust.internal", None),
            ("/resize", None),
        ] {
            assert_eq!(uri.parse().as_ref().ok().and_then(function), named, "{uri}");
        }
    }

    /// Keeps the bodies that it is sent.
    #[derive(Default)]
    struct Keeps(Mutex<Vec<SentBody>>);

    impl Outbound for Keeps {
        fn send(&self, _: &str, request: http::Request<SentBody>, _: Invocation) -> Option<Answering> {
            self.0.lock().unwrap().push(request.into_body());
            Some(Box::pin(pending()))
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
}
