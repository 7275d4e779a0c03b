//! Calls of other functions.

use wasip2::{
    http::{
        outgoing_handler,
        types::{
            ErrorCode, Fields, IncomingBody, IncomingRequest, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
            OutgoingResponse, RequestOptions, ResponseOutparam, Scheme,
        },
    },
    io::streams::{OutputStream, StreamError},
};

/// Passes a request on, all of it, and then the answer back as it comes. It waits no longer than the request's header `wait-ns` says.
pub fn relay(request: &IncomingRequest, out: ResponseOutparam, url: &str) {
    let body = request.consume().unwrap();
    let wait_ns = String::from_utf8(request.headers().get("wait-ns").concat()).unwrap().parse().ok();
    match call(&request.method(), url, wait_ns.map(patience), |sent| copy(&body, sent)) {
        Ok(response) => respond(out, response.status(), |stream| copy(&response.consume().unwrap(), stream)),
        Err(error) => {
            respond(out, 200, |stream| drop(stream.blocking_write_and_flush(format!("{error:?}").as_bytes())))
        }
    }
}

/// Calls the function itself, which does the same.
pub fn again(request: &IncomingRequest, out: ResponseOutparam) {
    let mounted = request.headers().get("x-forwarded-prefix").concat();
    let name = String::from_utf8(mounted).unwrap().replace('/', "");
    relay(request, out, &format!("http://{name}.gust.internal/again"));
}

/// So much time for each step of a call.
fn patience(wait_ns: u64) -> RequestOptions {
    let options = RequestOptions::new();
    options.set_connect_timeout(Some(wait_ns)).unwrap();
    options.set_first_byte_timeout(Some(wait_ns)).unwrap();
    options.set_between_bytes_timeout(Some(wait_ns)).unwrap();
    options
}

/// Traps while it sends a body.
pub fn half() {
    let _ = call(&Method::Post, "http://counts.gust.internal/count", None, |sent| {
        // So many that some are taken, and whoever takes them waits for more.
        (0..8).for_each(|_| sent.blocking_write_and_flush(b"half").unwrap());
        panic!("in the middle of a body");
    });
}

fn call(
    method: &Method,
    url: &str,
    options: Option<RequestOptions>,
    fill: impl FnOnce(&OutputStream),
) -> Result<IncomingResponse, ErrorCode> {
    let (_, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let request = OutgoingRequest::new(Fields::new());
    request.set_method(method).unwrap();
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some(path)).unwrap();
    let body = request.body().unwrap();
    let answering = outgoing_handler::handle(request, options)?;
    let stream = body.write().unwrap();
    fill(&stream);
    drop(stream);
    OutgoingBody::finish(body, None)?;
    answering.subscribe().block();
    answering.get().unwrap().unwrap()
}

/// As far as whoever takes it wants it. What breaks off takes the guest along.
fn copy(from: &IncomingBody, to: &OutputStream) {
    let from = from.stream().unwrap();
    loop {
        match from.blocking_read(4096) {
            Ok(piece) if to.blocking_write_and_flush(&piece).is_ok() => {}
            Ok(_) | Err(StreamError::Closed) => return,
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn respond(out: ResponseOutparam, status: u16, fill: impl FnOnce(&OutputStream)) {
    let response = OutgoingResponse::new(Fields::new());
    response.set_status_code(status).unwrap();
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    fill(&stream);
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}
