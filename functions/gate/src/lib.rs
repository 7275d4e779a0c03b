//! A middleware: it comes before the functions whose manifests say `middleware = ["gate"]`, and hands on the requests of whoever shows
//! the pass. What is handed on it marks, and the answer too.
//!
//! ```text
//! x-pass: open sesame     what it asks for, unless `[env] PASS` says something else
//! x-gate: gate            the mark, or what `[env] MARK` says
//! ```

use gust_sdk::{
    Error, HeaderValue, IntoResponse, Response, StatusCode, config, handler, http,
    streaming::{Incoming, next},
};

#[handler]
async fn gate(mut request: http::Request<Incoming>) -> Result<Response, Error> {
    let shown = request.headers().get("x-pass");
    if config("PASS").is_none_or(|pass| shown.is_none_or(|shown| shown != pass.as_str())) {
        return Err(Error::new(StatusCode::FORBIDDEN, "show the pass: a header x-pass"));
    }
    let mark = HeaderValue::try_from(config("MARK").unwrap_or_else(|| "gate".to_owned()))?;
    request.headers_mut().append("x-gate", mark.clone());
    let mut answer = next(request).await?;
    answer.headers_mut().append("x-gate", mark);
    Ok(answer.into_response())
}

#[cfg(test)]
mod tests {
    use gust_sdk::streaming::run;

    use super::*;

    #[test]
    fn who_shows_nothing_is_not_handed_on() {
        let request = http::Request::get("/").header("x-pass", "open barley").body(Incoming::from("")).unwrap();
        assert_eq!(run(gate(request)).unwrap_err().status(), StatusCode::FORBIDDEN);
    }
}
