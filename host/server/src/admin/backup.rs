//! Backups as archives: all that a host holds in one answer, and put in its place from one body.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use gust_core::{
    Code, Problem,
    api::{RestoreInfo, RestoredState},
};
use http::{HeaderMap, header};

use super::{Admin, permission::Call, reply::Refusal};
use crate::{archive, pipe, work::to_its_end};

/// A tar archive.
const ARCHIVE: &str = "application/x-tar";

/// Backs up all that the host holds.
#[utoipa::path(
    get, path = "/v1/backup", operation_id = "back_up",
    responses((status = 200, description = "A tar archive", body = Object, content_type = "application/x-tar"))
)]
pub(super) async fn get(State(admin): State<Arc<Admin>>) -> Result<Response, Refusal> {
    let outgoing = admin.changes.back_up().await?;
    let length = outgoing.length_bytes().to_string();
    let body = pipe::written(move |out| {
        outgoing.write(out).inspect_err(|error| tracing::warn!(%error, "a backup was broken off"))
    });
    let headers = [(header::CONTENT_TYPE, ARCHIVE.to_owned()), (header::CONTENT_LENGTH, length)];
    Ok((headers, body).into_response())
}

/// Puts a backup in the place of all that the host holds.
#[utoipa::path(
    put, path = "/v1/restore", operation_id = "restore",
    request_body(description = "A tar archive that a host gave as its backup", content = Object, content_type = "application/x-tar"),
    responses((status = 200, description = "What was restored", body = RestoreInfo))
)]
pub(super) async fn restore(State(admin): State<Arc<Admin>>, request: Request) -> Result<Json<RestoreInfo>, Refusal> {
    must_be_archive(request.headers())?;
    let (call, store) = (Call::of(&request), admin.changes.store.clone());
    let (backup, restoring) = pipe::read(request.into_body(), move |body| archive::read(&store, body)).await??;
    // It may have taken long.
    call.map_or(Ok(()), |call| call.may_still())?;
    let changes = admin.changes.clone();
    let restored = to_its_end(&admin.asked, async move { changes.restore_from(restoring).await }).await?;
    let snapshot = admin.changes.catalog.load().clone();
    let sealed = snapshot.apps().map(|entry| &entry.app).filter(|app| app.secrets.is_err());
    let mut secrets_unreadable: Vec<_> = sealed.map(|app| app.name.clone()).collect();
    secrets_unreadable.sort();
    Ok(Json(RestoreInfo {
        backup,
        functions: restored.functions,
        versions: restored.versions,
        apps: restored.apps,
        tokens: restored.tokens,
        secrets_unreadable,
        state: restored.state.map(|state| RestoredState { key_values: state.key_values, blobs: state.blobs }),
    }))
}

fn must_be_archive(headers: &HeaderMap) -> Result<(), Problem> {
    let stated = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if stated == ARCHIVE && !headers.contains_key(header::CONTENT_ENCODING) {
        return Ok(());
    }
    Err(Problem::new(Code::ApiContentType, format!("send the backup as it is, with Content-Type: {ARCHIVE}")))
}
