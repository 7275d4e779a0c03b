//! Written for any host of `wasi:http` 0.2, with the crate wstd, which knows nothing of gust. For the host's tests.
//!
//! What `app.py`, `handler.js` and `fetch.js` beside it do too: a greeting, or what was posted, as it came.

use wstd::http::{Body, Error, Method, Request, Response};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let response = Response::builder();
    if request.method() == Method::POST {
        let kind = request.headers().get("content-type").cloned();
        let response = kind.into_iter().fold(response, |response, kind| response.header("content-type", kind));
        return Ok(response.body(request.into_body())?);
    }
    let name = request.uri().query().and_then(|query| query.strip_prefix("name=")).unwrap_or("world");
    let response = response.header("content-type", "text/plain; charset=utf-8");
    Ok(response.body(Body::from(format!("Hello, {name}!")))?)
}
