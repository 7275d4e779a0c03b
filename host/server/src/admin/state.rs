//! What an app's functions keep, for people: key-values and blobs, to be looked at and changed.

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use axum::{
    Json,
    extract::{FromRequestParts, Path, Request, State},
    response::{IntoResponse as _, Response},
};
use gust_core::{
    AppName, Code, Problem, StateName,
    api::{BlobInfo, BlobList, KeyList, PlaceList},
    state::{Change, PAGE_KEYS_MAX, Ttl, VALUE_BYTES_MAX, check_key},
};
use gust_store::{BlobReading, BlobWriting, Kept, Place, PlaceKind, Store};
use http::{StatusCode, header, request::Parts};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    Admin,
    permission::Call,
    reply::{Asked, NameAnd, Named, Refusal},
};
use crate::{pipe, status, work::blocking};

/// Bytes of a blob that are read or written at once.
const PIECE_BYTES: usize = 256 << 10;

/// What content is, as far as is known.
const CONTENT_TYPE: &str = "application/octet-stream";

/// Which page of a list is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Only what begins so.
    prefix: String,
    /// Only what comes after this, as the page before said.
    after: String,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000)]
    limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { prefix: String::new(), after: String::new(), limit: PAGE_KEYS_MAX }
    }
}

impl Page {
    fn limit(&self) -> usize {
        self.limit.clamp(1, PAGE_KEYS_MAX)
    }
}

/// How a value is kept.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Keeping {
    /// How long it is kept: `30s`, `30m`, `12h` or `7d`. Default: for ever.
    #[param(value_type = Option<String>)]
    ttl: Option<Ttl>,
}

/// Something in a bucket or container of an app.
pub(super) struct Thing {
    app: AppName,
    place: StateName,
    name: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Thing {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let invalid = |detail: String| Refusal(Problem::new(Code::NameInvalid, detail));
        let path = Path::<(String, String, String)>::from_request_parts(parts, state).await;
        let Path((app, place, name)) = path.map_err(|error| invalid(error.body_text()))?;
        check_key(&name)?;
        let app = app.parse().map_err(|error: gust_core::name::NameError| invalid(error.to_string()))?;
        let place = place.parse().map_err(|error: gust_core::name::NameError| invalid(error.to_string()))?;
        Ok(Self { app, place, name })
    }
}

/// Lists the buckets of an app.
#[utoipa::path(
    get, path = "/v1/apps/{app}/kv", operation_id = "list_buckets",
    params(("app" = AppName, Path, description = "The app"), Page),
    responses((status = 200, description = "A page of buckets", body = PlaceList))
)]
pub(super) async fn buckets(
    State(admin): State<Arc<Admin>>,
    Named(app): Named<AppName>,
    Asked(page): Asked<Page>,
) -> Result<Json<PlaceList>, Refusal> {
    admin.places(app, PlaceKind::Bucket, page).await
}

/// Lists the containers of an app.
#[utoipa::path(
    get, path = "/v1/apps/{app}/blobs", operation_id = "list_containers",
    params(("app" = AppName, Path, description = "The app"), Page),
    responses((status = 200, description = "A page of containers", body = PlaceList))
)]
pub(super) async fn containers(
    State(admin): State<Arc<Admin>>,
    Named(app): Named<AppName>,
    Asked(page): Asked<Page>,
) -> Result<Json<PlaceList>, Refusal> {
    admin.places(app, PlaceKind::Container, page).await
}

/// Lists the keys of a bucket.
#[utoipa::path(
    get, path = "/v1/apps/{app}/kv/{bucket}", operation_id = "list_keys",
    params(("app" = AppName, Path, description = "The app"), ("bucket" = inline(StateName), Path, description = "The bucket"), Page),
    responses((status = 200, description = "A page of keys", body = KeyList))
)]
pub(super) async fn keys(
    State(admin): State<Arc<Admin>>,
    NameAnd(app, bucket): NameAnd<AppName, StateName>,
    Asked(page): Asked<Page>,
) -> Result<Json<KeyList>, Refusal> {
    let (store, place) = admin.place(&app, &bucket)?;
    let limit = page.limit();
    let keys = blocking(move || store.state().keys(&place, &page.prefix, &page.after, limit)).await??;
    let next = keys.last().filter(|_| keys.len() == limit).cloned();
    Ok(Json(KeyList { keys, next }))
}

/// Gives a value as it is.
#[utoipa::path(
    get, path = "/v1/apps/{app}/kv/{bucket}/{key}", operation_id = "get_value",
    params(("app" = AppName, Path, description = "The app"), ("bucket" = inline(StateName), Path, description = "The bucket"), ("key" = String, Path, description = "The key", min_length = 1)),
    responses((status = 200, description = "The value", body = Vec<u8>, content_type = "application/octet-stream"))
)]
pub(super) async fn get_value(State(admin): State<Arc<Admin>>, thing: Thing) -> Result<Response, Refusal> {
    let (store, place) = admin.place(&thing.app, &thing.place)?;
    let name = thing.name.clone();
    let value = blocking(move || store.state().get(&place, &name)).await??.ok_or_else(|| absent(&thing))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], value.value).into_response())
}

/// Sets a value.
#[utoipa::path(
    put, path = "/v1/apps/{app}/kv/{bucket}/{key}", operation_id = "set_value",
    params(("app" = AppName, Path, description = "The app"), ("bucket" = inline(StateName), Path, description = "The bucket"), ("key" = String, Path, description = "The key", min_length = 1), Keeping),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 204, description = "Set"))
)]
pub(super) async fn put_value(
    State(admin): State<Arc<Admin>>,
    thing: Thing,
    Asked(keeping): Asked<Keeping>,
    request: Request,
) -> Result<StatusCode, Refusal> {
    let (store, place) = admin.place(&thing.app, &thing.place)?;
    let kept = Kept { ttl: keeping.ttl.map(Ttl::as_duration), bytes_max: admin.storage_bytes_max(&thing.app)? };
    let call = Call::of(&request);
    let value = axum::body::to_bytes(request.into_body(), VALUE_BYTES_MAX).await;
    let unread = |error: axum::Error| {
        let detail = format!("the value did not arrive whole, or has more than {VALUE_BYTES_MAX} bytes");
        Problem::new(Code::StateInvalid, detail).with_internal(error.to_string())
    };
    let change = Change::Set(vec![(thing.name, value.map_err(unread)?.into())]);
    call.map_or(Ok(()), |call| call.may_still())?;
    blocking(move || store.state().change_and_wait(&place, change, kept)).await??;
    Ok(status::SET)
}

/// Removes a value.
#[utoipa::path(
    delete, path = "/v1/apps/{app}/kv/{bucket}/{key}", operation_id = "delete_value",
    params(("app" = AppName, Path, description = "The app"), ("bucket" = inline(StateName), Path, description = "The bucket"), ("key" = String, Path, description = "The key", min_length = 1)),
    responses((status = 204, description = "Removed"))
)]
pub(super) async fn delete_value(State(admin): State<Arc<Admin>>, thing: Thing) -> Result<StatusCode, Refusal> {
    let (store, place) = admin.place(&thing.app, &thing.place)?;
    let (key, kept) = (thing.name.clone(), Kept { ttl: None, bytes_max: 0 });
    let removed = blocking(move || {
        let existed = store.state().exists(&place, &key)?;
        store.state().change_and_wait(&place, Change::Delete(vec![key]), kept)?;
        Ok::<_, Problem>(existed)
    });
    if removed.await?? { Ok(status::DELETED) } else { Err(absent(&thing).into()) }
}

/// Lists the blobs of a container.
#[utoipa::path(
    get, path = "/v1/apps/{app}/blobs/{container}", operation_id = "list_blobs",
    params(("app" = AppName, Path, description = "The app"), ("container" = inline(StateName), Path, description = "The container"), Page),
    responses((status = 200, description = "A page of blobs", body = BlobList))
)]
pub(super) async fn blobs(
    State(admin): State<Arc<Admin>>,
    NameAnd(app, container): NameAnd<AppName, StateName>,
    Asked(page): Asked<Page>,
) -> Result<Json<BlobList>, Refusal> {
    let (store, place) = admin.place(&app, &container)?;
    let limit = page.limit();
    let blobs = blocking(move || store.state().blobs(&place, &page.prefix, &page.after, limit)).await??;
    let next = blobs.last().filter(|_| blobs.len() == limit).map(|blob| blob.name.clone());
    let info = |blob: gust_core::state::Blob| BlobInfo {
        name: blob.name,
        size_bytes: blob.size_bytes,
        created_unix_ms: blob.created_unix_ms,
    };
    Ok(Json(BlobList { blobs: blobs.into_iter().map(info).collect(), next }))
}

/// Gives a blob's content.
#[utoipa::path(
    get, path = "/v1/apps/{app}/blobs/{container}/{name}", operation_id = "get_blob",
    params(("app" = AppName, Path, description = "The app"), ("container" = inline(StateName), Path, description = "The container"), ("name" = String, Path, description = "The blob's name", min_length = 1)),
    responses((status = 200, description = "Its content", body = Vec<u8>, content_type = "application/octet-stream"))
)]
pub(super) async fn get_blob(State(admin): State<Arc<Admin>>, thing: Thing) -> Result<Response, Refusal> {
    let (store, place) = admin.place(&thing.app, &thing.place)?;
    let name = thing.name.clone();
    let blob = blocking(move || store.state().read_blob(&place, &name)).await??.ok_or_else(|| absent(&thing))?;
    let length = blob.size_bytes.to_string();
    let headers = [(header::CONTENT_TYPE, CONTENT_TYPE.to_owned()), (header::CONTENT_LENGTH, length)];
    Ok((headers, pipe::written(move |out| copy_out(&blob, out))).into_response())
}

/// Writes a blob. One that is there is replaced.
#[utoipa::path(
    put, path = "/v1/apps/{app}/blobs/{container}/{name}", operation_id = "put_blob",
    params(("app" = AppName, Path, description = "The app"), ("container" = inline(StateName), Path, description = "The container"), ("name" = String, Path, description = "The blob's name", min_length = 1)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, description = "Replaced"), (status = 201, description = "It is new"))
)]
pub(super) async fn put_blob(
    State(admin): State<Arc<Admin>>,
    thing: Thing,
    request: Request,
) -> Result<StatusCode, Refusal> {
    let (store, place) = admin.place(&thing.app, &thing.place)?;
    let (call, bytes_max) = (Call::of(&request), admin.storage_bytes_max(&thing.app)?);
    let (owner, app) = (store.clone(), thing.app);
    let written = pipe::read(request.into_body(), move |body| {
        let mut blob = owner.state().begin_blob(&app, bytes_max)?;
        copy_in(body, &mut blob)?;
        Ok::<_, Problem>(blob.finish()?)
    });
    let written = written.await??;
    // It may have taken long.
    call.map_or(Ok(()), |call| call.may_still())?;
    let is_new = blocking(move || store.state().keep_blob(&place, &thing.name, written)).await??;
    Ok(status::deployed(is_new))
}

/// Removes a blob.
#[utoipa::path(
    delete, path = "/v1/apps/{app}/blobs/{container}/{name}", operation_id = "delete_blob",
    params(("app" = AppName, Path, description = "The app"), ("container" = inline(StateName), Path, description = "The container"), ("name" = String, Path, description = "The blob's name", min_length = 1)),
    responses((status = 204, description = "Removed"))
)]
pub(super) async fn delete_blob(State(admin): State<Arc<Admin>>, thing: Thing) -> Result<StatusCode, Refusal> {
    let (store, place) = admin.place(&thing.app, &thing.place)?;
    let names = vec![thing.name.clone()];
    let removed = blocking(move || store.state().remove_blobs(&place, &names)).await??;
    if removed > 0 { Ok(status::DELETED) } else { Err(absent(&thing).into()) }
}

impl Admin {
    fn place(&self, app: &AppName, name: &StateName) -> Result<(Arc<Store>, Place), Problem> {
        self.app(app)?;
        Ok((self.changes.store.clone(), Place::new(app, name)))
    }

    async fn places(&self, app: AppName, kind: PlaceKind, page: Page) -> Result<Json<PlaceList>, Refusal> {
        self.app(&app)?;
        let (store, limit) = (self.changes.store.clone(), page.limit());
        let names = blocking(move || store.state().places(&app, kind, &page.prefix, &page.after, limit)).await??;
        let next = names.last().filter(|_| names.len() == limit).cloned();
        Ok(Json(PlaceList { names, next }))
    }

    fn storage_bytes_max(&self, app: &AppName) -> Result<u64, Problem> {
        Ok(self.app(app)?.app.spec.quotas.storage_bytes())
    }
}

fn absent(thing: &Thing) -> Problem {
    let Thing { app, place, name } = thing;
    let name: String = name.chars().take(64).collect();
    Problem::new(Code::StateNotFound, format!("{place} of the app {app} has no {name:?}"))
}

fn copy_out(blob: &BlobReading, out: &mut dyn Write) -> io::Result<()> {
    let (mut piece, mut at) = (vec![0; PIECE_BYTES], 0);
    while at < blob.size_bytes {
        let read = blob.read_at(&mut piece, at).map_err(io::Error::other)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.write_all(piece.get(..read).unwrap_or_default())?;
        at += read as u64;
    }
    Ok(())
}

fn copy_in(mut body: impl Read, blob: &mut BlobWriting) -> Result<(), Problem> {
    let broken_off = |error: io::Error| {
        Problem::new(Code::UploadIncomplete, "the blob did not arrive whole; nothing was changed")
            .with_internal(error.to_string())
    };
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match body.read(&mut piece).map_err(broken_off)? {
            0 => return Ok(()),
            read => blob.write(piece.get(..read).unwrap_or_default())?,
        }
    }
}
