//! `wasi:http/incoming-handler` 0.2: the same handler for every other host.
//!
//! The request's body is read whole, the response's is written in pieces ([`bodies`]).

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use wasip2::{
    exports::http::incoming_handler::Guest,
    http::types::{Fields, IncomingRequest, Method as WasiMethod, OutgoingBody, OutgoingResponse, ResponseOutparam},
};

use super::{Entry, WasiHttp, failure};
use crate::{Error, IntoResponse as _, Request, Response, bodies};

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
        *out.body_mut() = Bytes::from(bodies::read(&body).map_err(|unread| unread.of_request())?);
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
        Ok(stream) => bodies::write(&stream, response.body()),
        Err(()) => return,
    };
    match sent {
        Ok(()) => drop(OutgoingBody::finish(body, None)),
        // The client went away. Dropping the body unfinished tells the host that it is not whole.
        Err(_) => drop(body),
    }
}
