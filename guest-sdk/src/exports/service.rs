//! `wasi:http/handler` 0.3, of its world `service`: for handlers that are `async`.
//!
//! The answer's head is returned as soon as the handler has it; what writes its body goes on as a task of its own.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use wasip3::{
    exports::http::handler::Guest,
    http::types::{
        ErrorCode, Fields, Method as WasiMethod, Request as WasiRequest, Response as WasiResponse, Trailers,
    },
    spawn_local,
    wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamWriter},
    wit_future, wit_stream,
};

use super::{AsyncEntry, Service, failure};
use crate::{
    Error, IntoResponse as _, Response, init,
    streaming::{self, Contents, Incoming, Writer, Writing},
};

type Ending = Result<Option<Trailers>, ErrorCode>;

impl<E: AsyncEntry> Guest for Service<E> {
    async fn handle(request: WasiRequest) -> Result<WasiResponse, ErrorCode> {
        let is_head = matches!(request.get_method(), WasiMethod::Head);
        let response = match (init::ready(E::INIT), to_http(request)) {
            (Ok(()), Ok(request)) => E::answer(request).await,
            (Err(why), _) => Error::failed(format!("its init failed: {why}")).into_response(),
            (_, Err(error)) => error.into_response(),
        };
        Ok(from_http(response, is_head))
    }
}

fn to_http(request: WasiRequest) -> Result<http::Request<Incoming>, Error> {
    let method = method(request.get_method())?;
    let path = request.get_path_with_query().unwrap_or_else(|| "/".to_owned());
    let mut fields = headers(&request.get_headers())?;
    if let (false, Some(authority)) = (fields.contains_key(header::HOST), request.get_authority())
        && let Ok(value) = HeaderValue::try_from(authority)
    {
        fields.insert(header::HOST, value);
    }
    let (_, taken) = wit_future::new(|| Ok(()));
    let (pieces, ending) = WasiRequest::consume_body(request, taken);
    let mut out = http::Request::new(Incoming::new(pieces, ending));
    *out.method_mut() = method;
    *out.uri_mut() = Uri::try_from(path).map_err(|_| Error::bad_request("the path is not valid"))?;
    *out.headers_mut() = fields;
    Ok(out)
}

fn from_http(mut response: Response, is_head: bool) -> WasiResponse {
    if let Some(text) = failure(&response) {
        eprintln!("{text}");
        response = Error::new(StatusCode::INTERNAL_SERVER_ERROR, "the function failed").into_response();
    }
    let elsewhere = streaming::take(&response);
    let (mut head, body) = response.into_parts();
    if elsewhere.is_none() {
        head.headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    let (contents, ending) = match elsewhere {
        _ if is_head => nothing(),
        Some(Contents::Written(writing)) => written(writing),
        Some(Contents::Passed(body)) => passed(body),
        None => whole(body),
    };
    let (out, _) = WasiResponse::new(fields(&head.headers), contents, ending);
    // Every `StatusCode` is one that the host takes.
    let _ = out.set_status_code(head.status.as_u16());
    out
}

/// A body: its pieces, and how it ends.
type Body = (Option<StreamReader<u8>>, FutureReader<Ending>);

fn nothing() -> Body {
    (None, wit_future::new(|| Ok(None)).1)
}

/// A body that is here, sent by a task of its own.
pub(crate) fn whole(bytes: Bytes) -> Body {
    if bytes.is_empty() {
        return nothing();
    }
    // Where it is broken off nobody is there who could be told.
    written(Box::new(|mut out| Box::pin(async move { out.write(bytes).await.or(Ok(())) })))
}

/// A body that is passed along as it comes.
pub(crate) fn passed(body: Incoming) -> Body {
    let Some((pieces, ending)) = body.into_parts() else { return nothing() };
    (Some(pieces), ending)
}

/// A body that is written by a task of its own.
fn written(writing: Writing) -> Body {
    let (pieces, reader) = wit_stream::new();
    let (ending, ended) = wit_future::new(|| Err(ErrorCode::InternalError(Some("it was not finished".to_owned()))));
    spawn_local(write(writing, pieces, ending));
    (Some(reader), ended)
}

async fn write(writing: Writing, pieces: StreamWriter<u8>, ending: FutureWriter<Ending>) {
    let end = writing(Writer::new(pieces)).await.map(|()| None).map_err(|error| {
        eprintln!("{error}");
        ErrorCode::InternalError(Some(error.to_string()))
    });
    // A client that has gone away does not ask.
    let _ = ending.write(end).await;
}

pub(crate) fn headers(fields: &Fields) -> Result<HeaderMap, Error> {
    let mut out = HeaderMap::new();
    for (name, value) in fields.copy_all() {
        let name =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::bad_request("a header's name is not valid"))?;
        let value = HeaderValue::from_maybe_shared(Bytes::from(value))
            .map_err(|_| Error::bad_request("a header's value is not valid"))?;
        out.append(name, value);
    }
    Ok(out)
}

pub(crate) fn fields(headers: &HeaderMap) -> Fields {
    let fields = Fields::new();
    for (name, value) in headers {
        // A host may refuse fields that are its own to set; the message is as good without them.
        let _ = fields.append(name.as_str(), value.as_bytes());
    }
    fields
}

fn method(method: WasiMethod) -> Result<Method, Error> {
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

pub(crate) fn method_to_wasi(method: &Method) -> WasiMethod {
    match method.as_str() {
        "GET" => WasiMethod::Get,
        "HEAD" => WasiMethod::Head,
        "POST" => WasiMethod::Post,
        "PUT" => WasiMethod::Put,
        "DELETE" => WasiMethod::Delete,
        "CONNECT" => WasiMethod::Connect,
        "OPTIONS" => WasiMethod::Options,
        "TRACE" => WasiMethod::Trace,
        "PATCH" => WasiMethod::Patch,
        other => WasiMethod::Other(other.to_owned()),
    }
}
