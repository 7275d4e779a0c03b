//! An `async` handler: a body that is answered in pieces while it still comes, events, and other functions called at the same time.
//!
//! ```text
//! POST /live/upper          the body in capitals, piece by piece
//! GET  /live/count?to=3     an event for each number
//! GET  /live/both?name=Ada  what `hello` and `markdown` say, asked at once
//! ```

use futures_util::try_join;
use gust_sdk::{
    Bytes, Error, IntoResponse, Json, PathRest, Query, Response, StatusCode, handler, http,
    streaming::{Event, Incoming, events, fetch, stream},
};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Options {
    #[serde(default)]
    to: u32,
    #[serde(default)]
    name: String,
}

#[handler]
async fn live(PathRest(path): PathRest, Query(options): Query<Options>, body: Incoming) -> Result<Response, Error> {
    match path.as_str() {
        "/upper" => Ok(upper(body).into_response()),
        "/count" => Ok(count(options.to).into_response()),
        "/both" => both(&options.name).await.map(IntoResponse::into_response),
        _ => Err(Error::new(StatusCode::NOT_FOUND, "there are /upper, /count?to= and /both?name=")),
    }
}

fn upper(mut body: Incoming) -> impl IntoResponse {
    stream(|mut out| async move {
        while let Some(piece) = body.next().await? {
            out.write(piece.to_ascii_uppercase()).await?;
        }
        Ok(())
    })
}

fn count(to: u32) -> impl IntoResponse {
    events(move |mut out| async move {
        for number in 1..=to {
            out.send(&Event::data(number.to_string()).named("number")).await?;
        }
        Ok(())
    })
}

#[derive(Serialize)]
struct Both {
    greeting: String,
    page: String,
}

async fn both(name: &str) -> Result<Json<Both>, Error> {
    let hello = http::Request::get(format!("http://hello.gust.internal/?name={name}")).body(Bytes::new())?;
    let markdown = http::Request::post("http://markdown.gust.internal/").body(Bytes::from(format!("# {name}")))?;
    let (greeting, page) = try_join!(fetch(hello), fetch(markdown))?;
    let text = |response: Response| String::from_utf8_lossy(response.body()).into_owned();
    Ok(Json(Both { greeting: text(greeting), page: text(page) }))
}

#[cfg(test)]
mod tests {
    use gust_sdk::streaming::{run, written};

    use super::*;

    #[test]
    fn what_is_written_is_what_was_asked_for() {
        let body = |response: Response| String::from_utf8(written(response).unwrap().to_vec()).unwrap();
        assert_eq!(body(upper(Incoming::from("quiet")).into_response()), "QUIET");
        assert_eq!(body(count(2).into_response()), "event: number\ndata: 1\n\nevent: number\ndata: 2\n\n");
        let options = Query(Options { to: 0, name: String::new() });
        let refused = run(live(PathRest("/".to_owned()), options, Incoming::from(""))).unwrap_err();
        assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    }
}
