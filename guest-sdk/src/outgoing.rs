//! Requests that a function sends.

use std::time::Duration;

use crate::{Error, Request, Response};

/// How long the steps of a request may take. The host decides where nothing is said, and what is the longest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect: Option<Duration>,
    /// From then until the answer begins.
    pub first_byte: Option<Duration>,
    /// Between two pieces of the answer's body.
    pub between_bytes: Option<Duration>,
}

/// Sends a request, whose URI names a host, and waits for the whole answer, of whatever status.
///
/// On gust nobody is reached that the manifest does not name: `[allow] outbound = ["https://api.example.com"]` for others, and
/// `[allow] functions = ["resize"]` for another function of the same host, which is `http://resize.gust.internal/path`. A redirect is an
/// answer like any other. Whatever keeps an answer from coming is an error for the log.
///
/// A component imports `wasi:http/outgoing-handler` for this, and only where it is called. Outside of a component nothing is sent.
pub fn send(request: Request) -> Result<Response, Error> {
    send_within(Timeouts::default(), request)
}

/// The same, with as much time for each step. What takes longer is an error.
pub fn send_within(timeouts: Timeouts, request: Request) -> Result<Response, Error> {
    #[cfg(target_arch = "wasm32")]
    return component::send(timeouts, request);
    #[cfg(not(target_arch = "wasm32"))]
    let Timeouts { .. } = timeouts;
    #[cfg(not(target_arch = "wasm32"))]
    return Err(Error::failed(format!("{} is not asked: only a component sends requests", request.uri())));
}

#[cfg(target_arch = "wasm32")]
mod component {
    use std::time::Duration;

    use bytes::Bytes;
    use http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
    use wasip2::{
        http::{
            outgoing_handler,
            types::{Fields, IncomingResponse, Method as WasiMethod, OutgoingRequest, RequestOptions, Scheme},
        },
        io::streams::InputStream,
    };

    use super::{Timeouts, upload::Upload};
    use crate::{
        Error, Request, Response,
        bodies::{Reading, Unread},
    };

    pub(super) fn send(timeouts: Timeouts, request: Request) -> Result<Response, Error> {
        let (head, body) = request.into_parts();
        let request = to_wasi(&head, body.len())?;
        let mut upload = Upload::of(&request, body);
        let answering = outgoing_handler::handle(request, options(timeouts))?;
        // A host may have it at once, as that of a function on the same.
        let answered = answering.get().or_else(|| {
            upload.goes_on_until(&answering.subscribe());
            answering.get()
        });
        match answered {
            Some(Ok(response)) => from_wasi(response?, &mut upload),
            _ => Err(Error::failed("the host gave no answer")),
        }
    }

    fn options(timeouts: Timeouts) -> Option<RequestOptions> {
        if timeouts == Timeouts::default() {
            return None;
        }
        let ns = |time: Option<Duration>| time.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let options = RequestOptions::new();
        // A host that does not know one goes without.
        let _ = options.set_connect_timeout(ns(timeouts.connect));
        let _ = options.set_first_byte_timeout(ns(timeouts.first_byte));
        let _ = options.set_between_bytes_timeout(ns(timeouts.between_bytes));
        Some(options)
    }

    fn to_wasi(head: &Parts, body_bytes: usize) -> Result<OutgoingRequest, Error> {
        let fields = Fields::new();
        for (name, value) in head.headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH) {
            // A host may refuse fields that are its own to set; the request is as good without them.
            let _ = fields.append(name.as_str(), value.as_bytes());
        }
        if body_bytes > 0 {
            let _ = fields.append(header::CONTENT_LENGTH.as_str(), body_bytes.to_string().as_bytes());
        }
        let request = OutgoingRequest::new(fields);
        let scheme = match head.uri.scheme_str() {
            Some("https") => Scheme::Https,
            _ => Scheme::Http,
        };
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = head.uri.authority().map(|authority| authority.as_str());
        // Of itself a request is a GET.
        let accepted = (head.method == Method::GET || request.set_method(&method(&head.method)).is_ok())
            && request.set_scheme(Some(&scheme)).is_ok()
            && request.set_authority(authority).is_ok()
            && request.set_path_with_query(Some(path)).is_ok();
        accepted.then_some(request).ok_or_else(|| Error::failed(format!("{} {} cannot be sent", head.method, head.uri)))
    }

    fn method(method: &Method) -> WasiMethod {
        match method.as_str() {
            "GET" => WasiMethod::Get,
            "HEAD" => WasiMethod::Head,
            "POST" => WasiMethod::Post,
            "PUT" => WasiMethod::Put,
            "DELETE" => WasiMethod::Delete,
            "OPTIONS" => WasiMethod::Options,
            "PATCH" => WasiMethod::Patch,
            other => WasiMethod::Other(other.to_owned()),
        }
    }

    fn from_wasi(response: IncomingResponse, upload: &mut Upload) -> Result<Response, Error> {
        let mut out = Response::default();
        *out.status_mut() = StatusCode::from_u16(response.status())?;
        let headers = response.headers();
        for (name, value) in headers.entries() {
            let value = HeaderValue::from_maybe_shared(Bytes::from(value))?;
            out.headers_mut().append(HeaderName::from_bytes(name.as_bytes())?, value);
        }
        *out.body_mut() = read(&response, upload).map_err(|unread| Error::failed(unread.text()))?.into();
        Ok(out)
    }

    /// The answer's body. Whoever answers while it still reads would wait for ever if nothing were sent meanwhile.
    fn read(response: &IncomingResponse, upload: &mut Upload) -> Result<Vec<u8>, Unread> {
        let Ok(body) = response.consume() else { return Ok(Vec::new()) };
        let Ok(stream) = body.stream() else { return Ok(Vec::new()) };
        let mut reading = Reading::of(&stream);
        if upload.is_open() {
            let readable = stream.subscribe();
            while upload.is_open() && !reading.is_over() {
                upload.goes_on_until(&readable);
                reading.take(InputStream::read)?;
            }
        }
        reading.rest()
    }
}

#[cfg(target_arch = "wasm32")]
mod upload {
    use bytes::Bytes;
    use wasip2::{
        http::types::{OutgoingBody, OutgoingRequest},
        io::{
            poll::{Pollable, poll},
            streams::OutputStream,
        },
    };

    /// A body on its way out, in pieces of the size that the host permits. Dropping it before its end says that it is not whole.
    pub(super) struct Upload {
        /// The stream goes before the body that it is of.
        open: Option<(OutputStream, OutgoingBody)>,
        rest: Bytes,
    }

    impl Upload {
        /// Whether there is more of it.
        pub(super) fn is_open(&self) -> bool {
            self.open.is_some()
        }

        pub(super) fn of(request: &OutgoingRequest, bytes: Bytes) -> Self {
            let open = || {
                let body = request.body().ok()?;
                Some((body.write().ok()?, body))
            };
            Self { open: if bytes.is_empty() { None } else { open() }, rest: bytes }
        }

        /// Sends more of it until something else is ready.
        pub(super) fn goes_on_until(&mut self, ready: &Pollable) {
            while let Some((stream, _)) = &self.open {
                let writable = stream.subscribe();
                poll(&[&writable, ready]);
                drop(writable);
                if ready.ready() {
                    return;
                }
                self.write();
            }
            ready.block();
        }

        /// Sends what the host permits now. Whoever does not take all of a body may still answer, so that is no failure.
        fn write(&mut self) {
            let Some((stream, _)) = &self.open else { return };
            let written = stream.check_write().and_then(|permitted| {
                let permitted = usize::try_from(permitted).unwrap_or(usize::MAX).min(self.rest.len());
                let piece = self.rest.split_to(permitted);
                stream.write(&piece)
            });
            if written.is_err() {
                self.open = None;
            } else if let Some((stream, body)) = self.open.take_if(|_| self.rest.is_empty()) {
                drop(stream);
                let _ = OutgoingBody::finish(body, None);
            }
        }
    }
}
