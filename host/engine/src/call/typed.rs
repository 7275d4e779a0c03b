//! A call through `gust:function/handler`: the whole request in, the whole response out.
//!
//! The request is lent to the guest (wasmtime copies it once, into the guest's memory) and the response's body is copied
//! once, out of it.

use std::pin::pin;

use bytes::Bytes;
use gust_core::{Code, Problem};
use http::{Method, header, request::Parts};
use http_body::Body;
use http_body_util::BodyExt as _;

use super::{Scheme, head};
use crate::{
    body::GuestBody,
    callee::Instance,
    failure,
    interfaces::function::{Error, Request, Response},
    lease::{Lease, Leased},
    rewind,
    usage::{Usage, metered},
};

/// Calls a typed instance.
pub(super) async fn call<B>(
    lease: Lease,
    request: Box<http::Request<B>>,
    scheme: Scheme,
    usage: &mut Usage,
) -> Result<http::Response<GuestBody>, Problem>
where
    B: Body<Data = Bytes, Error = Problem> + Send + 'static,
{
    let Lease { mut instance, deadline, response_bytes_max, .. } = lease;
    let (request, body) = (*request).into_parts();
    let count = |ran| usage.cpu += ran;
    let (called, at_once) =
        rewind::within(Some(deadline), pin!(metered(pin!(exchange(&mut instance, &request, body, scheme)), count)))
            .await;
    usage.memory_bytes_peak = instance.memory_bytes_peak();
    let answer = called.unwrap_or_else(|| Err(failure::timed_out()))?;
    // It returned, so it is as good as it was.
    instance.give_back(at_once).await;
    let (parts, body) = to_http(answer?, &request.method, response_bytes_max)?;
    Ok(http::Response::from_parts(parts, GuestBody::whole(body)))
}

/// The guest's answer; or why it did not return.
async fn exchange<B>(
    instance: &mut Leased,
    head: &Parts,
    body: B,
    scheme: Scheme,
) -> Result<Result<Response, Problem>, Problem>
where
    B: Body<Data = Bytes, Error = Problem>,
{
    let Leased { store, callee: Instance::Typed(typed), .. } = instance else {
        return Err(Problem::new(Code::Internal, "an instance was called through another's export"));
    };
    let body = if body.is_end_stream() { Bytes::new() } else { body.collect().await?.to_bytes() };
    let headers: Vec<_> = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let authority = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let request = Request {
        method: head.method.as_str(),
        scheme: scheme.as_str(),
        authority: authority.unwrap_or_default(),
        path: head.uri.path_and_query().map_or("/", |path| path.as_str()),
        headers: &headers,
        body: &body,
    };
    match typed.gust_function_handler().call_handle(&mut *store, request).await {
        Ok(Ok(response)) => Ok(Ok(response)),
        Ok(Err(Error::BadRequest(text))) => Ok(Err(Problem::new(Code::GuestBadRequest, failure::cut(text)))),
        Ok(Err(Error::Failed(text))) => {
            let text = failure::cut(text);
            store.data_mut().note(&text);
            Ok(Err(Problem::new(Code::GuestFailed, "its log has the cause").with_internal(text)))
        }
        Err(error) => Err(failure::of_guest(&error, &store.data().memory)),
    }
}

fn to_http(response: Response, method: &Method, bytes_max: u64) -> Result<(http::response::Parts, Bytes), Problem> {
    let body_bytes = response.body.len() as u64;
    if body_bytes > bytes_max {
        let detail = format!("it answered with {body_bytes} bytes; its limit response_body_mib allows {bytes_max}");
        return Err(Problem::new(Code::LimitResponseBody, detail));
    }
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = head::status(response.status)?;
    parts.headers = head::headers(response.headers)?;
    let has_body = head::has_body(method, parts.status);
    head::frame(&mut parts, has_body, Some(body_bytes))?;
    Ok((parts, if has_body { Bytes::from(response.body) } else { Bytes::new() }))
}
