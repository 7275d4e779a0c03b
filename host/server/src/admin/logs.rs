//! `GET /v1/functions/{name}/logs`: the newest lines, or every line from now on as server-sent events.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response, Sse, sse},
};
use futures_util::{StreamExt as _, stream};
use gust_core::{
    AppName, FunctionName,
    api::{LogLine, LogList},
};
use serde::Deserialize;
use tokio_stream::wrappers::BroadcastStream;
use utoipa::IntoParams;

use super::{
    Admin, permission,
    reply::{Asked, Name, Named, Refusal, Who},
};
use crate::changes::no_function;

/// Lines where a caller does not say how many.
const TAIL_DEFAULT: usize = 100;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// Whether to go on as lines come.
    #[serde(default)]
    follow: bool,
    /// How many lines. Default: 100.
    tail: Option<usize>,
    /// In which app. Default: the one that the function belongs to.
    app: Option<AppName>,
}

/// The newest lines of a function's log; with `follow`, every line from then on as server-sent events.
#[utoipa::path(
    get, path = "/v1/functions/{name}/logs", operation_id = "get_logs",
    params(("name" = FunctionName, Path, description = "The function"), Options),
    responses((status = 200, description = "The lines, the oldest first", content(
            (LogList = "application/json"), (String = "text/event-stream")
        )))
)]
pub(super) async fn logs(
    State(admin): State<Arc<Admin>>,
    Named(name): Name,
    Who(grant): Who,
    Asked(options): Asked<Options>,
) -> Result<Response, Refusal> {
    let snapshot = admin.changes.catalog.load().clone();
    let mut wanted = permission::seen(&grant, &snapshot, &name)
        .filter(|binding| options.app.as_ref().is_none_or(|app| binding.app.name == *app));
    let log = wanted.next().ok_or_else(|| no_function(&name))?.log.clone();
    let tail = options.tail.unwrap_or(TAIL_DEFAULT);
    if !options.follow {
        return Ok(Json(LogList { lines: log.tail(tail) }).into_response());
    }
    let (lines, receiver) = log.follow(tail);
    // Lines that a slow follower missed are passed over.
    let live = BroadcastStream::new(receiver).filter_map(|line| std::future::ready(line.ok()));
    let events = stream::iter(lines).chain(live).map(|line| Ok::<_, Infallible>(event(&line)));
    Ok(Sse::new(events).keep_alive(sse::KeepAlive::default()).into_response())
}

fn event(line: &LogLine) -> sse::Event {
    // A line is texts and numbers, so it can always be written.
    sse::Event::default().json_data(line).unwrap_or_default()
}
