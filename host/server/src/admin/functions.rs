//! Listing, showing and deleting functions.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use gust_access::Grant;
use gust_core::{
    AliasName, FunctionName, Problem,
    api::{AliasInfo, FunctionInfo, FunctionList, VersionInfo, VersionList, WatchInfo},
    outbound::Destination,
};
use gust_engine::Function;
use gust_store::StoredAlias;
use http::{HeaderMap, StatusCode};
use tokio::time::{Duration, Instant};

use super::{
    Admin, permission,
    precondition::{self, ETag, IfMatch},
    reply::{Name, Named, Refusal, Who},
};
use crate::{
    binding::{Aliased, Binding},
    changes::no_function,
    status,
    work::{blocking, to_its_end},
};

/// Lists the functions.
#[utoipa::path(
    get, path = "/v1/functions", operation_id = "list_functions",
    responses((status = 200, description = "The functions that the token may see", body = FunctionList))
)]
pub(super) async fn list(State(admin): State<Arc<Admin>>, Who(grant): Who) -> Json<FunctionList> {
    let snapshot = admin.changes.catalog.load();
    let seen = |home: &Arc<Binding>| permission::seen(&grant, &snapshot, &home.function).next().cloned();
    let bindings = snapshot.functions().into_iter().filter_map(seen);
    let functions = bindings.filter_map(|binding| admin.info(&grant, &binding)).collect();
    Json(FunctionList { functions })
}

/// Shows a function. It is loaded for that, for only then all of it is known.
#[utoipa::path(
    get, path = "/v1/functions/{name}", operation_id = "get_function",
    params(("name" = FunctionName, Path, description = "The function")),
    responses((status = 200, description = "The function", body = FunctionInfo, headers(("etag" = inline(ETag)))))
)]
pub(super) async fn get(
    State(admin): State<Arc<Admin>>,
    Named(name): Name,
    Who(grant): Who,
) -> Result<Response, Refusal> {
    let changes = &admin.changes;
    let binding = admin.seen(&grant, &name)?;
    if let Some(deployment) = binding.foremost().filter(|deployment| deployment.residence.look().is_none()) {
        let deadline = Instant::now() + Duration::from_millis(changes.config.compile_ms_max.into());
        // Why it cannot be loaded is part of what is told.
        let _ = changes.loader.load(deployment, deadline).await;
    }
    let mut info = admin.info(&grant, &binding).ok_or_else(|| no_function(&name))?;
    if let Some(deployment) = binding.foremost() {
        info.component = admin.component(info.digest, &deployment.terms.granted()).await;
    }
    Ok((ETag(binding.generation), Json(info)).into_response())
}

/// Removes a function and all its versions. Their numbers are not used again.
#[utoipa::path(
    delete, path = "/v1/functions/{name}", operation_id = "delete_function",
    params(("name" = FunctionName, Path, description = "The function"), IfMatch),
    responses((status = 204, description = "Removed"))
)]
pub(super) async fn delete(
    State(admin): State<Arc<Admin>>,
    Named(name): Name,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let wanted = precondition::wanted(&headers)?;
    admin.changes.function(&name)?;
    let (changes, owned) = (admin.changes.clone(), name.clone());
    let existed = to_its_end(&admin.asked, async move { changes.remove(&owned, wanted).await }).await?;
    if existed { Ok(status::DELETED) } else { Err(no_function(&name).into()) }
}

/// Lists a function's versions, the newest first.
#[utoipa::path(
    get, path = "/v1/functions/{name}/versions", operation_id = "list_versions",
    params(("name" = FunctionName, Path, description = "The function")),
    responses((status = 200, description = "The versions that are kept", body = VersionList))
)]
pub(super) async fn versions(
    State(admin): State<Arc<Admin>>,
    Named(name): Name,
    Who(grant): Who,
) -> Result<Json<VersionList>, Refusal> {
    let binding = admin.seen(&grant, &name)?;
    let serving = binding.main().map(|main| main.first.version);
    let (store, owned) = (admin.changes.store.clone(), name.clone());
    let stored = blocking(move || store.versions(&owned)).await??;
    let of_version = |version: u64| {
        let points_to_it = |aliased: &&Aliased| aliased.traffic().versions().any(|target| target == version);
        binding.aliases.iter().filter(points_to_it).map(|aliased| aliased.alias.clone()).collect()
    };
    let versions = stored
        .into_iter()
        .map(|stored| VersionInfo {
            version: stored.version,
            digest: stored.digest,
            size_bytes: stored.size_bytes,
            deployed_unix_ms: stored.deployed_unix_ms,
            serving: serving == Some(stored.version),
            aliases: of_version(stored.version),
            url: admin.url_of(&binding, Some(&stored.version.to_string())),
        })
        .collect();
    Ok(Json(VersionList { versions }))
}

impl Admin {
    /// A function in the first app in which a token may read of it.
    pub(super) fn seen(&self, grant: &Grant, name: &FunctionName) -> Result<Arc<Binding>, Problem> {
        let snapshot = self.changes.catalog.load();
        permission::seen(grant, &snapshot, name).next().cloned().ok_or_else(|| no_function(name))
    }

    /// As the API tells of a function, by what it is in one app. Of the others it tells those where it may be read.
    pub(super) fn info(&self, grant: &Grant, binding: &Binding) -> Option<FunctionInfo> {
        let deployment = binding.foremost()?;
        let loaded = deployment.residence.look();
        let function = loaded.as_ref().map(|loaded| &loaded.function);
        let allow = &deployment.terms.allow;
        let snapshot = self.changes.catalog.load();
        let bindings = || permission::seen(grant, &snapshot, &binding.function);
        Some(FunctionInfo {
            name: binding.function.clone(),
            // Not that of an app that may not be known of.
            app: bindings()
                .find(|seen| seen.app.name == seen.home)
                .map_or(&binding.app.name, |seen| &seen.home)
                .clone(),
            apps: bindings().map(|binding| binding.app.name.clone()).collect(),
            version: deployment.version,
            aliases: self.aliases(binding),
            access: deployment.terms.access,
            digest: deployment.terms.digest,
            size_bytes: deployment.size_bytes,
            world: function.map(Function::world),
            init: function.and_then(Function::init).map(str::to_owned),
            tier: function.map(Function::tier),
            instance: function.map(Function::instance_state),
            imports: function.map_or_else(Vec::new, |function| function.imports().to_vec()),
            component: None,
            routes: deployment.terms.routes.iter().map(ToString::to_string).collect(),
            secrets: deployment.terms.secrets.to_vec(),
            middleware: deployment.terms.middleware.to_vec(),
            calls: allow.functions.iter().cloned().collect(),
            outbound: allow.outbound.iter().map(Destination::told).collect(),
            kv: allow.kv.iter().cloned().collect(),
            blob: allow.blob.iter().cloned().collect(),
            limits: deployment.limits().clone(),
            deployed_unix_ms: deployment.deployed_unix_ms,
            urls: bindings().map(|binding| self.url_of(binding, None)).collect(),
            unavailable: deployment.residence.failure().map(|problem| problem.to_string()),
        })
    }

    fn aliases(&self, binding: &Binding) -> BTreeMap<AliasName, AliasInfo> {
        let info = |aliased: &Aliased| {
            let url = self.url_of(binding, (aliased.alias != binding.alias).then(|| aliased.alias.as_str()));
            let watched = self.changes.watches.of(&binding.function, &aliased.alias).map(watch_info);
            (aliased.alias.clone(), AliasInfo { traffic: aliased.traffic(), watched, url, changes: Vec::new() })
        };
        binding.aliases.iter().map(info).collect()
    }

    /// As the API tells of one alias.
    pub(super) fn alias_info(&self, binding: &Binding, stored: StoredAlias) -> AliasInfo {
        let reference = (stored.alias != binding.alias).then(|| stored.alias.as_str());
        AliasInfo {
            url: self.url_of(binding, reference),
            watched: stored.watch.map(watch_info),
            traffic: stored.traffic,
            changes: Vec::new(),
        }
    }

    /// Where a function can be called in an app: as it serves there, or by a version or an alias.
    pub(super) fn url_of(&self, binding: &Binding, reference: Option<&str>) -> String {
        let (base, function): (&str, &FunctionName) = (&self.base_url, &binding.function);
        let app = if binding.app.name.is_default() { String::new() } else { format!("/~{}", binding.app.name) };
        let at = reference.map_or_else(String::new, |reference| format!("@{reference}"));
        format!("{base}{app}/{function}{at}")
    }
}

fn watch_info(watch: gust_store::Watch) -> WatchInfo {
    WatchInfo { conditions: watch.conditions, version: watch.version, until_unix_ms: watch.until_unix_ms }
}
