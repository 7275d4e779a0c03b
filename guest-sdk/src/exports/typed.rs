//! `gust:function/handler`: records in, records out, each part moved and not copied.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::{Entry, Typed, failure};
use crate::{Request, Response};

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "function",
        pub_export_macro: true,
        default_bindings_module: "gust_sdk::__private::typed",
    });
}

use bindings::exports::gust::function::handler as wit;
pub use bindings::{export, exports};

impl<E: Entry> wit::Guest for Typed<E> {
    fn handle(request: wit::Request) -> Result<wit::Response, wit::Error> {
        let request = to_http(request).map_err(|what| wit::Error::BadRequest(what.to_owned()))?;
        from_http(super::answer::<E>(request))
    }
}

fn to_http(request: wit::Request) -> Result<Request, &'static str> {
    let mut head = Request::new(Bytes::from(request.body));
    *head.method_mut() = Method::from_bytes(request.method.as_bytes()).map_err(|_| "the method is not valid")?;
    *head.uri_mut() = Uri::try_from(request.path).map_err(|_| "the path is not valid")?;
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for (name, value) in request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header's name is not valid")?;
        let value = HeaderValue::from_maybe_shared(Bytes::from(value)).map_err(|_| "a header's value is not valid")?;
        headers.append(name, value);
    }
    *head.headers_mut() = headers;
    Ok(head)
}

fn from_http(response: Response) -> Result<wit::Response, wit::Error> {
    if let Some(text) = failure(&response) {
        return Err(wit::Error::Failed(text.to_owned()));
    }
    let (head, body) = response.into_parts();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    Ok(wit::Response { status: head.status.as_u16(), headers: headers.collect(), body: body.into() })
}
