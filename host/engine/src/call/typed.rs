//! A call through `gust:function/handler`: the whole request in, the whole response out.
//!
//! The request is lent to the guest (wasmtime copies it once, into the guest's memory) and the response's body is copied
//! once, out of it.

use std::pin::pin;

use bytes::Bytes;
use gust_core::{Code, Limits, Problem};
use http::{Method, header, request::Parts};
use http_body::Body;
use http_body_util::BodyExt as _;

use super::{Scheme, head};
use crate::{
    allowed::Allowed,
    body::GuestBody,
    callee::Instance,
    failure,
    interfaces::function::{Error, Request, Response},
    lease::{Lease, Leased},
    rewind,
};

/// Calls a typed instance.
pub(super) async fn call<B>(
    lease: Lease,
    request: Box<http::Request<B>>,
    scheme: Scheme,
) -> Result<http::Response<GuestBody>, Problem>
where
    B: Body<Data = Bytes, Error = Problem> + Send + 'static,
{
    let Lease { instance, deadline, .. } = lease;
    let (terms, meter) = (instance.terms().clone(), instance.meter().clone());
    let method = request.method().clone();
    let answer = Allowed::new(Box::pin(run(instance, request, scheme)), &terms, &meter, deadline).await?;
    let (parts, body) = to_http(answer, &method, &terms.limits)?;
    Ok(http::Response::from_parts(parts, GuestBody::whole(body)))
}

/// The guest's whole life, from the call to its return.
async fn run<B>(mut instance: Leased, request: Box<http::Request<B>>, scheme: Scheme) -> Result<Response, Problem>
where
    B: Body<Data = Bytes, Error = Problem>,
{
    let (head, body) = (*request).into_parts();
    let (called, at_once) = rewind::at_once(pin!(exchange(&mut instance, &head, body, scheme))).await;
    let answer = called?;
    // It returned, so it is as good as it was.
    instance.give_back(at_once).await;
    answer
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
        Err(error) => Err(store.data().failure(&error)),
    }
}

fn to_http(response: Response, method: &Method, limits: &Limits) -> Result<(http::response::Parts, Bytes), Problem> {
    let (body_bytes, bytes_max) = (response.body.len() as u64, limits.response_body_bytes());
    if body_bytes > bytes_max {
        let detail = format!("it answered with {body_bytes} bytes; its limit response_body_mib allows {bytes_max}");
        return Err(Problem::new(Code::LimitResponseBody, detail));
    }
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = head::status(response.status)?;
    parts.headers = head::headers(response.headers, limits.headers_bytes())?;
    let has_body = head::has_body(method, parts.status);
    head::frame(&mut parts, has_body, Some(body_bytes))?;
    Ok((parts, if has_body { Bytes::from(response.body) } else { Bytes::new() }))
}
