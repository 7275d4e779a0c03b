//! What a function's component is: the report of it, and its bytes and manifest for whoever takes it elsewhere.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io,
    sync::Arc,
};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use gust_core::{
    Code, Digest, FunctionName, Manifest, Problem,
    component::{ComponentInfo, Granted},
};
use gust_store::{Store, StoredVersion};
use http::header;
use serde::Deserialize;
use tokio::sync::Mutex;
use utoipa::IntoParams;

use super::{
    Admin,
    reply::{Asked, Name, Named, Refusal},
    upload::Component,
};
use crate::{changes::no_function, pipe, work::blocking};

/// Reports that are remembered.
const REPORTS_MAX: usize = 32;

/// Reports of components, the newest first. One is made at a time.
#[derive(Default)]
pub(crate) struct Reports(Mutex<VecDeque<(Digest, Arc<ComponentInfo>)>>);

impl Reports {
    /// That of a component that is stored; none where it cannot be read.
    async fn of(&self, store: &Store, digest: Digest) -> Option<Arc<ComponentInfo>> {
        let mut known = self.0.lock().await;
        if let Some((_, info)) = known.iter().find(|(of, _)| *of == digest) {
            return Some(info.clone());
        }
        let path = store.component_path(&digest);
        let made = move || gust_engine::report(&fs::read(path).ok()?).ok();
        let info = Arc::new(blocking(made).await.ok()??);
        known.push_front((digest, info.clone()));
        known.truncate(REPORTS_MAX);
        Some(info)
    }
}

impl Admin {
    /// What a stored component is, as a function to which this is granted.
    pub(super) async fn component(&self, digest: Digest, granted: &Granted<'_>) -> Option<Box<ComponentInfo>> {
        let info = self.reports.of(&self.changes.store, digest).await?;
        Some(Box::new(ComponentInfo::clone(&info).under(granted)))
    }

    /// A version that is kept; where none is said, the one that serves.
    async fn kept(&self, name: &FunctionName, version: Option<u64>) -> Result<StoredVersion, Problem> {
        let binding = self.changes.function(name)?;
        let serving = binding.foremost().map(|deployment| deployment.version);
        let version = version.or(serving).ok_or_else(|| no_function(name))?;
        let (store, owned) = (self.changes.store.clone(), name.clone());
        let stored = blocking(move || store.version(&owned, version)).await??;
        let absent = || Problem::new(Code::VersionNotFound, format!("version {version} of {name} is not kept"));
        stored.ok_or_else(absent)
    }
}

/// Which version.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    /// The version. Default: the one that serves.
    #[param(minimum = 1, maximum = 18446744073709551615u64)]
    version: Option<u64>,
}

/// The component of a version, as it was uploaded.
#[utoipa::path(
    get, path = "/v1/functions/{name}/component", operation_id = "get_component",
    params(("name" = FunctionName, Path, description = "The function"), Of),
    responses((status = 200, description = "The component", body = Component, content_type = "application/wasm"))
)]
pub(super) async fn get(
    State(admin): State<Arc<Admin>>,
    Named(name): Name,
    Asked(of): Asked<Of>,
) -> Result<Response, Refusal> {
    let stored = admin.kept(&name, of.version).await?;
    let (store, digest) = (admin.changes.store.clone(), stored.digest);
    let opened = move || {
        store.verify(&digest)?;
        File::open(store.component_path(&digest)).map_err(|error| unreadable(&error))
    };
    let mut file = blocking(opened).await??;
    let body = pipe::written(move |out| io::copy(&mut file, out).map(drop));
    let kind = (header::CONTENT_TYPE, "application/wasm".to_owned());
    Ok(([kind, (header::CONTENT_LENGTH, stored.size_bytes.to_string())], body).into_response())
}

/// The manifest of a version.
#[utoipa::path(
    get, path = "/v1/functions/{name}/manifest", operation_id = "get_manifest",
    params(("name" = FunctionName, Path, description = "The function"), Of),
    responses((status = 200, description = "The manifest: the keys of gust.toml", body = Object, content_type = "application/json"))
)]
pub(super) async fn manifest(
    State(admin): State<Arc<Admin>>,
    Named(name): Name,
    Asked(of): Asked<Of>,
) -> Result<Json<Manifest>, Refusal> {
    let stored = admin.kept(&name, of.version).await?;
    Ok(Json(stored.manifest.map_err(|why| Problem::new(Code::ManifestInvalid, why))?))
}

/// It may have been removed since it was looked for.
fn unreadable(error: &io::Error) -> Problem {
    Problem::new(Code::StoreFailed, "the component cannot be read; the host's log has the cause")
        .with_internal(error.to_string())
}
