//! A call through `gust:function/handler`: the whole request in, the whole response out.
//!
//! The request is lent to the guest (wasmtime copies it once, into the guest's memory) and the response's body is copied
//! once, out of it.

use bytes::Bytes;
use gust_core::{Code, Problem};
use http::header;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time;
use wasmtime::Store;

use super::{Scheme, head};
use crate::{
    body::GuestBody,
    failure::{self, Failure},
    host::Host,
    interfaces::function::{Error, Request, Response, Typed},
    lease::{Instance, Lease},
};

/// The most that is kept of the text of a guest's error, in bytes.
const ERROR_BYTES_MAX: usize = 4 << 10;

/// Calls a typed instance.
pub(super) async fn call<B>(
    lease: Lease,
    request: http::Request<B>,
    scheme: Scheme,
) -> Result<http::Response<GuestBody>, Failure>
where
    B: Body<Data = Bytes, Error = Problem> + Send + 'static,
{
    let Lease { mut store, callee, deadline, response_bytes_max, .. } = lease;
    let Instance::Typed(typed) = callee else {
        let problem = Problem::new(Code::Internal, "an instance was called through another's export");
        return Err(Failure::new(problem, &store.data().memory));
    };
    let called = time::timeout_at(deadline, exchange(&typed, &mut store, request, scheme)).await;
    let answered = called.unwrap_or_else(|_| Err(failure::timed_out()));
    match answered.and_then(|response| to_http(response, response_bytes_max)) {
        Ok((parts, body)) => Ok(http::Response::from_parts(parts, GuestBody::whole(body, store))),
        Err(problem) => Err(Failure::new(problem, &store.data().memory)),
    }
}

async fn exchange<B>(
    typed: &Typed,
    store: &mut Store<Host>,
    request: http::Request<B>,
    scheme: Scheme,
) -> Result<Response, Problem>
where
    B: Body<Data = Bytes, Error = Problem>,
{
    let (head, body) = request.into_parts();
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
        Ok(Ok(response)) => Ok(response),
        Ok(Err(Error::BadRequest(text))) => Err(Problem::new(Code::GuestBadRequest, cut(text))),
        Ok(Err(Error::Failed(text))) => {
            let text = cut(text);
            store.data_mut().note(&text);
            Err(Problem::new(Code::GuestFailed, "its log has the cause").with_internal(text))
        }
        Err(error) => Err(failure::of_guest(&error, &store.data().memory)),
    }
}

/// A guest's text, short enough to keep.
fn cut(mut text: String) -> String {
    if text.len() > ERROR_BYTES_MAX {
        text.truncate(text.floor_char_boundary(ERROR_BYTES_MAX));
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

fn to_http(response: Response, bytes_max: u64) -> Result<(http::response::Parts, Bytes), Problem> {
    let body_bytes = response.body.len() as u64;
    if body_bytes > bytes_max {
        let detail = format!("it answered with {body_bytes} bytes; its limit response_body_mib allows {bytes_max}");
        return Err(Problem::new(Code::LimitResponseBody, detail));
    }
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = head::status(response.status)?;
    parts.headers = head::headers(response.headers)?;
    head::tidy(&mut parts.headers, Some(body_bytes))?;
    Ok((parts, Bytes::from(response.body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_text_is_cut_between_characters() {
        assert_eq!(cut("short".to_owned()), "short");
        let long = cut("é".repeat(ERROR_BYTES_MAX));
        assert!(long.len() <= ERROR_BYTES_MAX + '…'.len_utf8() && long.ends_with("é…"), "{}", long.len());
    }
}
