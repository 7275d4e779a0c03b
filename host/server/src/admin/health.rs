//! Whether the host lives, whether it is ready, and its metrics.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use gust_core::{Code, Problem};
use http::header;

use super::{Admin, reply::Refusal};

/// `GET /healthz`: the process answers.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the process takes requests. It listens only once it knows what is deployed.
pub(super) async fn ready(State(admin): State<Arc<Admin>>) -> Response {
    if admin.draining.load(Ordering::Relaxed) {
        return Refusal(Problem::new(Code::HostDraining, "it takes no new requests")).into_response();
    }
    "ok\n".into_response()
}

/// `GET /metrics`: the OpenMetrics text format.
pub(super) async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let metrics = &admin.changes.assembler.metrics;
    metrics.slots_free.set(admin.changes.loader.engine().slots_free() as i64);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text())
}
