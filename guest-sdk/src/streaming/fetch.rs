//! Requests that an `async` handler sends.

use super::Incoming;
use crate::{Error, Request, Response};

/// Sends a request, whose URI names a host, and waits for the whole answer, of whatever status. As [`send`](crate::send), but others go on
/// meanwhile: join the futures of several to have them answered at the same time.
pub async fn fetch(request: Request) -> Result<Response, Error> {
    let (parts, body) = fetch_streaming(request).await?.into_parts();
    Ok(Response::from_parts(parts, body.whole().await?))
}

/// Sends a request and waits for the head of the answer, whose body is read in pieces.
pub async fn fetch_streaming(request: Request) -> Result<http::Response<Incoming>, Error> {
    #[cfg(target_arch = "wasm32")]
    return component::fetch(request).await;
    #[cfg(not(target_arch = "wasm32"))]
    return Err(Error::failed(format!("{} is not asked: only a component sends requests", request.uri())));
}

#[cfg(target_arch = "wasm32")]
pub(super) mod component {
    use http::{header, request::Parts, uri::Scheme};
    use wasip3::{
        http::{
            client,
            types::{Request as WasiRequest, Response as WasiResponse, Scheme as WasiScheme},
        },
        wit_future,
    };

    use crate::{
        Error, Request,
        exports::service::{fields, headers, method_to_wasi, whole},
        streaming::Incoming,
    };

    pub async fn fetch(request: Request) -> Result<http::Response<Incoming>, Error> {
        let (mut head, body) = request.into_parts();
        if !body.is_empty() {
            head.headers.insert(header::CONTENT_LENGTH, body.len().into());
        }
        let (contents, ending) = whole(body);
        let (request, _) = WasiRequest::new(fields(&head.headers), contents, ending, None);
        address(&request, &head)?;
        let failed = |code| Error::failed(format!("{} {}: {code}", head.method, head.uri));
        from_wasi(client::send(request).await.map_err(failed)?)
    }

    fn address(request: &WasiRequest, head: &Parts) -> Result<(), Error> {
        let scheme = if head.uri.scheme() == Some(&Scheme::HTTPS) { WasiScheme::Https } else { WasiScheme::Http };
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = head.uri.authority().map(|authority| authority.as_str());
        let accepted = request.set_method(&method_to_wasi(&head.method)).is_ok()
            && request.set_scheme(Some(&scheme)).is_ok()
            && request.set_authority(authority).is_ok()
            && request.set_path_with_query(Some(path)).is_ok();
        let refused = || Error::failed(format!("{} {} cannot be sent", head.method, head.uri));
        accepted.then_some(()).ok_or_else(refused)
    }

    pub fn from_wasi(response: WasiResponse) -> Result<http::Response<Incoming>, Error> {
        let (status, fields) = (response.get_status_code(), headers(&response.get_headers())?);
        let (_, taken) = wit_future::new(|| Ok(()));
        let (pieces, ending) = WasiResponse::consume_body(response, taken);
        let mut out = http::Response::new(Incoming::new(pieces, ending));
        *out.status_mut() = http::StatusCode::from_u16(status)?;
        *out.headers_mut() = fields;
        Ok(out)
    }
}
