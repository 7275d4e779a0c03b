//! Listing, showing and deleting functions.

use std::sync::Arc;

use axum::{Json, extract::State};
use gust_core::api::{FunctionInfo, FunctionList, VersionInfo, VersionList};
use http::StatusCode;
use tokio::time::{Duration, Instant};

use super::{
    Admin,
    reply::{self, Name, Refusal},
};
use crate::{
    status,
    work::{blocking, to_its_end},
};

/// `GET /v1/functions`
pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Json<FunctionList> {
    let snapshot = admin.deployer.catalog.load();
    let functions = snapshot.all().iter().map(|deployment| deployment.info(&admin.base_url)).collect();
    Json(FunctionList { functions })
}

/// `GET /v1/functions/{name}`: loads it, for only then all of it is known.
pub(super) async fn get(State(admin): State<Arc<Admin>>, Name(name): Name) -> Result<Json<FunctionInfo>, Refusal> {
    let deployer = &admin.deployer;
    let deployment = deployer.catalog.load().get(name.as_str()).cloned().ok_or_else(|| reply::not_found(&name))?;
    if deployment.residence.look().is_none() {
        let deadline = Instant::now() + Duration::from_millis(deployer.config.compile_ms_max.into());
        // Why it cannot be loaded is part of what is told.
        let _ = deployer.loader.load(&deployment, deadline).await;
    }
    Ok(Json(deployment.info(&admin.base_url)))
}

/// `DELETE /v1/functions/{name}`
pub(super) async fn delete(State(admin): State<Arc<Admin>>, Name(name): Name) -> Result<StatusCode, Refusal> {
    let (deployer, owned) = (admin.deployer.clone(), name.clone());
    let existed = to_its_end(async move { deployer.remove(&owned).await }).await?;
    if existed { Ok(status::DELETED) } else { Err(reply::not_found(&name)) }
}

/// `GET /v1/functions/{name}/versions`
pub(super) async fn versions(State(admin): State<Arc<Admin>>, Name(name): Name) -> Result<Json<VersionList>, Refusal> {
    let serving = admin.deployer.catalog.load().get(name.as_str()).map(|deployment| deployment.version);
    let (store, owned) = (admin.deployer.store.clone(), name.clone());
    let stored = blocking(move || store.versions(&owned)).await??;
    if stored.is_empty() {
        return Err(reply::not_found(&name));
    }
    let versions = stored
        .into_iter()
        .map(|stored| VersionInfo {
            version: stored.version,
            digest: stored.digest,
            size_bytes: stored.size_bytes,
            deployed_unix_ms: stored.deployed_unix_ms,
            serving: serving == Some(stored.version),
        })
        .collect();
    Ok(Json(VersionList { versions }))
}
