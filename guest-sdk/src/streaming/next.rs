//! Handing a request on, as a middleware does: a function that comes before others.

use super::{
    Incoming,
    outgoing::{Contents, with},
};
use crate::{Error, IntoResponse, Response};

/// Hands a request on to what comes after this function, and waits for the head of the answer: to the next that is named as `middleware` in
/// the manifest of the function that the request is for, or to that function itself.
///
/// ```
/// use gust_sdk::{Error, IntoResponse, Response, StatusCode, handler, http, streaming::{Incoming, next}};
///
/// #[handler]
/// async fn gate(request: http::Request<Incoming>) -> Result<Response, Error> {
///     if !request.headers().contains_key("x-pass") {
///         return Err(Error::new(StatusCode::FORBIDDEN, "show your pass"));
///     }
///     Ok(next(request).await?.into_response())
/// }
/// ```
///
/// Bodies that are handed on as they came are never seen by the guest: the host passes their pieces along.
pub async fn next(request: http::Request<Incoming>) -> Result<http::Response<Incoming>, Error> {
    #[cfg(target_arch = "wasm32")]
    return component::next(request).await;
    #[cfg(not(target_arch = "wasm32"))]
    return Err(Error::failed(format!("{} is not handed on: only a component hands on requests", request.uri())));
}

/// An answer whose body is passed along as it comes.
impl IntoResponse for http::Response<Incoming> {
    fn into_response(self) -> Response {
        let (head, body) = self.into_parts();
        let mut response = with(Contents::Passed(body));
        (*response.status_mut(), *response.headers_mut()) = (head.status, head.headers);
        response
    }
}

#[cfg(target_arch = "wasm32")]
mod component {
    use http::header;
    use wasip3::http::types::{Request as WasiRequest, Scheme};

    use crate::{
        Error,
        exports::service::{fields, method_to_wasi, passed},
        streaming::{Incoming, fetch::component::from_wasi},
    };

    wit_bindgen::generate!({
        path: ["wit/deps/wasi-clocks-0.3.2", "wit/deps/wasi-http-0.3.2"],
        inline: "
            package gust:next;
            world next { import wasi:http/handler@0.3.2; }
        ",
        world: "gust:next/next",
        with: {
            "wasi:http/types@0.3.2": wasip3::http::types,
            "wasi:clocks/types@0.3.2": wasip3::clocks::types,
        },
        generate_all,
    });

    use wasi::http::handler;

    pub async fn next(request: http::Request<Incoming>) -> Result<http::Response<Incoming>, Error> {
        let (head, body) = request.into_parts();
        let (contents, ending) = passed(body);
        let (request, _) = WasiRequest::new(fields(&head.headers), contents, ending, None);
        let authority = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let accepted = request.set_method(&method_to_wasi(&head.method)).is_ok()
            && request.set_scheme(Some(&Scheme::Http)).is_ok()
            && request.set_authority(authority).is_ok()
            && request.set_path_with_query(Some(path)).is_ok();
        if !accepted {
            return Err(Error::failed(format!("{} {} cannot be handed on", head.method, head.uri)));
        }
        let failed = |code| Error::failed(format!("{} {} was handed on: {code}", head.method, head.uri));
        from_wasi(handler::handle(request).await.map_err(failed)?)
    }
}
