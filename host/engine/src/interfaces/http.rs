//! `wasi:http` 0.2: requests coming in, and those going out as the guest made them. What becomes of these `outgoing.rs` decides.

use std::{
    future::ready,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header, uri};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::runtime;
use wasmtime_wasi_http::{
    RequestOptions, WasiBody, WasiHttp, WasiHttpView as _,
    p2::{
        bindings::http::types::{self, ErrorCode, Method as WasiMethod, Scheme},
        http_request_error,
        types::{HostFutureIncomingResponse, HostOutgoingRequest},
    },
};

use crate::{host::Host, others};

/// The interfaces of this module.
pub(super) const INTERFACES: &[&str] = &["wasi:http/types", "wasi:http/outgoing-handler"];

/// A request on its way.
type Sent = Resource<HostFutureIncomingResponse>;

/// What a guest sends, and how.
type Given = (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>);

/// Adds them.
pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let options = types::LinkOptions::default();
    types::add_to_linker::<Host, WasiHttp>(linker, &options, Host::http)?;
    linker
        .instance("wasi:http/outgoing-handler@0.2.0")?
        .func_wrap("handle", |mut store, given: Given| Ok((handle(store.data_mut(), given)?,)))
}

/// Not wasmtime's own, which leaves the options in the table that the guest has given away, so that the instance would seem to keep a
/// handle; and which has a task wait for every answer, also one that is there at once.
fn handle(host: &mut Host, (request, options): Given) -> wasmtime::Result<Result<Sent, ErrorCode>> {
    let options = options.map(|options| host.resources().delete(options)).transpose()?;
    let request = match to_http(host.resources().delete(request)?) {
        Ok(request) => request,
        Err(code) => return Ok(Err(code)),
    };
    let hooks = host.hooks();
    // Who still writes has to do that first.
    let may_be_early = request.body().is_end_stream() && hooks.works_here();
    let mut answer = hooks.begin(request, options);
    // Where it is not there yet, whoever waits for it asks once more.
    let early = match may_be_early {
        true => others::work(|| answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))),
        false => Poll::Pending,
    };
    // What is still to be done for an answer is done where its body is read.
    let nothing_else = || runtime::spawn(ready(()));
    Ok(Ok(host.give(match early {
        Poll::Ready(answer) => HostFutureIncomingResponse::Ready(answer.map(|answer| (answer, nothing_else()))),
        Poll::Pending => HostFutureIncomingResponse::Pending(runtime::spawn(async move {
            answer.await.map(|answer| (answer, nothing_else()))
        })),
    })?))
}

/// A request as the guest made it. Its `host` is its authority: no guest may set it.
fn to_http(made: HostOutgoingRequest) -> Result<Request<WasiBody>, ErrorCode> {
    let HostOutgoingRequest { method, scheme, authority, path_with_query, headers, body } = made;
    let mut headers = HeaderMap::from(headers);
    if body.is_none() && headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0") {
        return Err(ErrorCode::HttpRequestBodySize(Some(0)));
    }
    let authority = authority.unwrap_or_default();
    let mut uri = Uri::builder().scheme(to_scheme(scheme)?).authority(authority.as_str());
    if let Some(path) = path_with_query {
        uri = uri.path_and_query(path);
    }
    let uri = uri.build().map_err(http_request_error)?;
    let host = HeaderValue::try_from(authority).map_err(|error| http_request_error(error.into()))?;
    headers.insert(header::HOST, host);
    let body = match body {
        Some(body) => body.map_err(Into::into).boxed_unsync(),
        None => Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync(),
    };
    let mut request = Request::new(body);
    *request.method_mut() = to_method(method)?;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

fn to_scheme(scheme: Option<Scheme>) -> Result<uri::Scheme, ErrorCode> {
    match scheme {
        Some(Scheme::Http) => Ok(uri::Scheme::HTTP),
        Some(Scheme::Https) | None => Ok(uri::Scheme::HTTPS),
        Some(Scheme::Other(_)) => Err(ErrorCode::HttpProtocolError),
    }
}

fn to_method(method: WasiMethod) -> Result<Method, ErrorCode> {
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
            Method::from_bytes(name.as_bytes()).map_err(|_| ErrorCode::HttpRequestMethodInvalid)?
        }
    })
}
