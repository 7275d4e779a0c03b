//! `wasi:http/incoming-handler` 0.2: the same handler for every other host.
//!
//! The request's body is read whole, up to a limit, for a host may have none. The response's body is written in pieces of
//! the size that the host permits, so that a large one never stands in the host's memory.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use wasip2::{
    exports::http::incoming_handler::Guest,
    http::types::{
        Fields, IncomingBody, IncomingRequest, Method as WasiMethod, OutgoingBody, OutgoingResponse, ResponseOutparam,
    },
    io::streams::{OutputStream, StreamError},
};

use super::{Entry, WasiHttp, failure};
use crate::{Error, IntoResponse as _, Request, Response};

/// The largest body of a request. gust has limits of its own; this one is for hosts that have none.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// Bytes asked for at a time.
const READ_BYTES: u64 = 64 << 10;

impl<E: Entry> Guest for WasiHttp<E> {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let method = request.method();
        let response = match to_http(request) {
            Ok(request) => super::answer::<E>(request),
            Err(error) => error.into_response(),
        };
        send(response, matches!(method, WasiMethod::Head), outparam);
    }
}

fn to_http(request: IncomingRequest) -> Result<Request, Error> {
    let mut out = Request::default();
    *out.method_mut() = method(&request.method())?;
    let path = request.path_with_query().unwrap_or_else(|| "/".to_owned());
    *out.uri_mut() = Uri::try_from(path).map_err(|_| Error::bad_request("the path is not valid"))?;
    let headers = request.headers();
    for (name, value) in headers.entries() {
        let name = http::HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::bad_request("a header's name is not valid"))?;
        let value = HeaderValue::from_maybe_shared(Bytes::from(value))
            .map_err(|_| Error::bad_request("a header's value is not valid"))?;
        out.headers_mut().append(name, value);
    }
    if let (false, Some(authority)) = (out.headers().contains_key(header::HOST), request.authority())
        && let Ok(value) = HeaderValue::try_from(authority)
    {
        out.headers_mut().insert(header::HOST, value);
    }
    if let Ok(body) = request.consume() {
        *out.body_mut() = Bytes::from(read(&body)?);
    }
    Ok(out)
}

fn method(method: &WasiMethod) -> Result<Method, Error> {
    Ok(match method {
        WasiMethod::Get => Method::GET,
        WasiMethod::Head => Method::HEAD,
        WasiMethod::Post => Method::POST,
        WasiMethod::Put => Method::PUT,
        WasiMethod::Delete => Method::DELETE,
        WasiMethod::Connect => Method::CONNECT,
        WasiMethod::Options => Method::OPTIONS,
        WasiMethod::Trace => Method::TRACE,
        WasiMethod::Patch => Method::PATCH,
        WasiMethod::Other(name) => {
            Method::from_bytes(name.as_bytes()).map_err(|_| Error::bad_request("the method is not valid"))?
        }
    })
}

fn read(body: &IncomingBody) -> Result<Vec<u8>, Error> {
    let Ok(stream) = body.stream() else { return Ok(Vec::new()) };
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(READ_BYTES) {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => {
                let detail = format!("the body did not arrive whole: {}", error.to_debug_string());
                return Err(Error::bad_request(detail));
            }
        }
        if bytes.len() > REQUEST_BYTES_MAX {
            let detail = format!("the body is larger than {REQUEST_BYTES_MAX} bytes");
            return Err(Error::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
    }
}

fn send(mut response: Response, is_head: bool, outparam: ResponseOutparam) {
    if let Some(text) = failure(&response) {
        eprintln!("{text}");
        response = Error::new(StatusCode::INTERNAL_SERVER_ERROR, "the function failed").into_response();
    }
    let length = HeaderValue::from(response.body().len());
    response.headers_mut().insert(header::CONTENT_LENGTH, length);
    let fields = Fields::new();
    for (name, value) in response.headers() {
        // A host may refuse fields that are its own to set; the response is as good without them.
        let _ = fields.append(name.as_str(), value.as_bytes());
    }
    let head = OutgoingResponse::new(fields);
    // Every `StatusCode` is one that the host takes.
    let _ = head.set_status_code(response.status().as_u16());
    let Ok(body) = head.body() else { return };
    ResponseOutparam::set(outparam, Ok(head));
    let sent = match body.write() {
        Ok(_) if is_head => Ok(()),
        Ok(stream) => write(&stream, response.body()),
        Err(()) => return,
    };
    match sent {
        Ok(()) => drop(OutgoingBody::finish(body, None)),
        // The client went away. Dropping the body unfinished tells the host that it is not whole.
        Err(_) => drop(body),
    }
}

/// Writes as much as the host permits at a time, and waits where it permits nothing.
fn write(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    let writable = stream.subscribe();
    while !bytes.is_empty() {
        let permitted = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        if permitted == 0 {
            writable.block();
            continue;
        }
        let (now, later) = bytes.split_at(permitted.min(bytes.len()));
        stream.write(now)?;
        bytes = later;
    }
    stream.flush()?;
    writable.block();
    stream.check_write().map(drop)
}
