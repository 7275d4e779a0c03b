//! Requests that the guest sends.

use futures_util::future::join_all;
use wasip3::{
    http::{
        client,
        types::{ErrorCode, Fields, Request, RequestOptions, Response, Scheme},
    },
    wit_future,
};

use crate::{body, text};

/// Sends the request on to a URL, or to several at the same time where `,` stands between them, and answers as they do: of several, how.
pub async fn relay(request: Request, url: &str) -> Result<Response, ErrorCode> {
    let urls: Vec<&str> = url.split(',').collect();
    if let [url] = urls[..] {
        let method = request.get_method();
        let (pieces, ending) = body(request);
        let (sent, _) = Request::new(Fields::new(), Some(pieces), ending, None);
        sent.set_method(&method).map_err(|()| ErrorCode::HttpRequestMethodInvalid)?;
        address(&sent, url)?;
        return client::send(sent).await;
    }
    let answers = join_all(urls.into_iter().map(ask)).await;
    let told: Vec<String> = answers.into_iter().map(|answer| answer.unwrap_or_else(|code| code.to_string())).collect();
    Ok(text(200, told.join(" ").into_bytes()))
}

async fn ask(url: &str) -> Result<String, ErrorCode> {
    let options = RequestOptions::new();
    let _ = options.set_first_byte_timeout(Some(500_000_000));
    let (request, _) = Request::new(Fields::new(), None, wit_future::new(|| Ok(None)).1, Some(options));
    address(&request, url)?;
    let response = client::send(request).await?;
    let status = response.get_status_code();
    let (pieces, _) = Response::consume_body(response, wit_future::new(|| Ok(())).1);
    Ok(format!("{status}:{}", String::from_utf8_lossy(&pieces.collect().await)))
}

fn address(request: &Request, url: &str) -> Result<(), ErrorCode> {
    let (scheme, rest) = url.split_once("://").ok_or(ErrorCode::HttpRequestUriInvalid)?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    let set = request.set_scheme(Some(&scheme)).and_then(|()| request.set_authority(Some(authority)));
    set.and_then(|()| request.set_path_with_query(Some(path))).map_err(|()| ErrorCode::HttpRequestUriInvalid)
}
