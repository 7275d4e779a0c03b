//! Whether the host lives, whether it is ready, and its metrics.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use gust_core::{Code, Problem};
use http::header;

use super::{Admin, reply::Refusal};

/// Whether the process lives.
#[utoipa::path(
    get, path = "/healthz", operation_id = "is_live",
    responses((status = 200, description = "It answers", body = String))
)]
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Whether the process takes requests. It listens only once it knows what is deployed.
#[utoipa::path(
    get, path = "/readyz", operation_id = "is_ready",
    responses((status = 200, description = "It takes requests", body = String))
)]
pub(super) async fn ready(State(admin): State<Arc<Admin>>) -> Response {
    if admin.draining.load(SeqCst) {
        return Refusal(Problem::new(Code::HostDraining, "it takes no new requests")).into_response();
    }
    "ok\n".into_response()
}

/// Counters and histograms, in the OpenMetrics text format.
#[utoipa::path(
    get, path = "/metrics", operation_id = "get_metrics",
    responses((status = 200, description = "The metrics", body = String, content_type = "application/openmetrics-text"))
)]
pub(super) async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let metrics = &admin.changes.assembler.metrics;
    metrics.slots_free.set(admin.changes.loader.engine().slots_free() as i64);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text())
}
