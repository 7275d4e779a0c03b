//! Apps: shown, set, removed; which functions are in them; their configuration and secrets.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use gust_access::{Action, Resource};
use gust_core::{
    AppName, AppSpec, Code, FunctionName, Problem, TokenName,
    api::{AppInfo, AppList, BindingSpec, IssuerSpec, Value},
    app::{CONFIG_BYTES_MAX, check_key, check_value},
    schema::SettingName,
};
use gust_store::SettingKind;
use http::{HeaderMap, StatusCode};

use super::{
    Admin, permission,
    precondition::{self, ETag, IfMatch},
    reply::{Body, NameAnd, Named, Refusal, Who},
};
use crate::{
    app::no_app,
    issuers,
    logbook::unix_ms,
    snapshot::Entry,
    status,
    work::{blocking, to_its_end},
};

/// Lists the apps.
#[utoipa::path(
    get, path = "/v1/apps", operation_id = "list_apps",
    responses((status = 200, description = "The apps that the token may see", body = AppList))
)]
pub(super) async fn list(State(admin): State<Arc<Admin>>, Who(grant): Who) -> Result<Json<AppList>, Refusal> {
    let snapshot = admin.changes.catalog.load().clone();
    let mut apps = Vec::new();
    let is_seen = |entry: &&Entry| grant.scopes.allows(Action::Read, &Resource::App(&entry.app.name));
    for entry in snapshot.apps().filter(is_seen) {
        apps.push(admin.app_info(entry).await?);
    }
    Ok(Json(AppList { apps }))
}

/// Shows an app.
#[utoipa::path(
    get, path = "/v1/apps/{app}", operation_id = "get_app",
    params(("app" = AppName, Path, description = "The app")),
    responses((status = 200, description = "The app", body = AppInfo, headers(("etag" = inline(ETag)))))
)]
pub(super) async fn get(State(admin): State<Arc<Admin>>, Named(app): Named<AppName>) -> Result<Response, Refusal> {
    let entry = admin.app(&app)?;
    let info = admin.app_info(&entry).await?;
    Ok((ETag(info.revision), Json(info)).into_response())
}

/// Makes an app, or changes what its owner decides.
#[utoipa::path(
    put, path = "/v1/apps/{app}", operation_id = "set_app",
    params(("app" = AppName, Path, description = "The app"), IfMatch),
    request_body = AppSpec,
    responses(
        (status = 200, description = "The app was there", body = AppInfo, headers(("etag" = inline(ETag)))),
        (status = 201, description = "The app is new", body = AppInfo, headers(("etag" = inline(ETag))))
    )
)]
pub(super) async fn put(
    State(admin): State<Arc<Admin>>,
    Named(app): Named<AppName>,
    headers: HeaderMap,
    Body(spec): Body<AppSpec>,
) -> Result<Response, Refusal> {
    let wanted = precondition::wanted(&headers)?;
    let (changes, owned) = (admin.changes.clone(), app.clone());
    let is_new = to_its_end(&admin.asked, async move { changes.set_app(&owned, spec, wanted).await }).await?;
    let info = admin.app_info(&admin.app(&app)?).await?;
    Ok((status::deployed(is_new), ETag(info.revision), Json(info)).into_response())
}

/// Removes an app that no function is in.
#[utoipa::path(
    delete, path = "/v1/apps/{app}", operation_id = "delete_app",
    params(("app" = AppName, Path, description = "The app"), IfMatch),
    responses((status = 204, description = "Removed"))
)]
pub(super) async fn delete(
    State(admin): State<Arc<Admin>>,
    Named(app): Named<AppName>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let wanted = precondition::wanted(&headers)?;
    admin.app(&app)?;
    let changes = admin.changes.clone();
    to_its_end(&admin.asked, async move { changes.remove_app(&app, wanted).await }).await?;
    Ok(status::DELETED)
}

/// Puts a function into an app, besides the one that it belongs to.
#[utoipa::path(
    put, path = "/v1/apps/{app}/functions/{name}", operation_id = "bind_function",
    params(("app" = AppName, Path, description = "The app"), ("name" = FunctionName, Path, description = "The function")),
    request_body = BindingSpec,
    responses((status = 204, description = "Done"))
)]
pub(super) async fn bind(
    State(admin): State<Arc<Admin>>,
    NameAnd(app, name): NameAnd<AppName, FunctionName>,
    Who(grant): Who,
    Body(spec): Body<BindingSpec>,
) -> Result<StatusCode, Refusal> {
    admin.app(&app)?;
    // What an app lacks may keep a function's owner from changing it, so it is shared by whoever may change it.
    permission::may_share(&grant, &admin.changes.catalog.load(), &name)?;
    let changes = admin.changes.clone();
    to_its_end(&admin.asked, async move { changes.bind(&app, &name, Some(spec.alias)).await }).await?;
    Ok(status::DONE)
}

/// Takes a function out of an app.
#[utoipa::path(
    delete, path = "/v1/apps/{app}/functions/{name}", operation_id = "unbind_function",
    params(("app" = AppName, Path, description = "The app"), ("name" = FunctionName, Path, description = "The function")),
    responses((status = 204, description = "Removed"))
)]
pub(super) async fn unbind(
    State(admin): State<Arc<Admin>>,
    NameAnd(app, name): NameAnd<AppName, FunctionName>,
) -> Result<StatusCode, Refusal> {
    admin.app(&app)?;
    let (changes, shown) = (admin.changes.clone(), (app.clone(), name.clone()));
    if to_its_end(&admin.asked, async move { changes.bind(&app, &name, None).await }).await? {
        return Ok(status::DELETED);
    }
    let (app, name) = shown;
    Err(Problem::new(Code::FunctionNotFound, format!("the function {name} is not in the app {app}")).into())
}

/// Sets a value of an app's configuration.
#[utoipa::path(
    put, path = "/v1/apps/{app}/config/{key}", operation_id = "set_config",
    params(("app" = AppName, Path, description = "The app"), ("key" = SettingName, Path, description = "Its name")),
    request_body = Value,
    responses((status = 204, description = "Done"))
)]
pub(super) async fn set_config(
    State(admin): State<Arc<Admin>>,
    NameAnd(app, key): NameAnd<AppName, String>,
    Body(value): Body<Value>,
) -> Result<StatusCode, Refusal> {
    admin.set(app, SettingKind::Config, key, value).await
}

/// Sets a secret of an app's. It is never shown again.
#[utoipa::path(
    put, path = "/v1/apps/{app}/secrets/{key}", operation_id = "set_secret",
    params(("app" = AppName, Path, description = "The app"), ("key" = SettingName, Path, description = "Its name")),
    request_body = Value,
    responses((status = 204, description = "Done"))
)]
pub(super) async fn set_secret(
    State(admin): State<Arc<Admin>>,
    NameAnd(app, key): NameAnd<AppName, String>,
    Body(value): Body<Value>,
) -> Result<StatusCode, Refusal> {
    admin.set(app, SettingKind::Secret, key, value).await
}

/// Has an app's functions believe the JSON Web Tokens of an issuer.
#[utoipa::path(
    put, path = "/v1/apps/{app}/issuers/{name}", operation_id = "set_issuer",
    params(("app" = AppName, Path, description = "The app"), ("name" = TokenName, Path, description = "What the issuer is called here")),
    request_body = IssuerSpec,
    responses((status = 204, description = "Done"))
)]
pub(super) async fn set_issuer(
    State(admin): State<Arc<Admin>>,
    NameAnd(app, key): NameAnd<AppName, TokenName>,
    Body(spec): Body<IssuerSpec>,
) -> Result<StatusCode, Refusal> {
    admin.app(&app)?;
    let unwritable = |error: serde_json::Error| Problem::new(Code::IssuerInvalid, error.to_string());
    let document = serde_json::to_string(&spec).map_err(unwritable)?;
    let changes = admin.changes.clone();
    let key = key.as_str().to_owned();
    let name = key.clone();
    let may_be = move |entry: &Entry| issuers::check(&spec, &name, &entry.app.issuers_told);
    to_its_end(&admin.asked, async move { changes.set_value(&app, SettingKind::Issuer, key, document, may_be).await })
        .await?;
    Ok(status::DONE)
}

/// Has an app's functions no longer believe an issuer.
#[utoipa::path(
    delete, path = "/v1/apps/{app}/issuers/{name}", operation_id = "delete_issuer",
    params(("app" = AppName, Path, description = "The app"), ("name" = TokenName, Path, description = "What the issuer is called here")),
    responses((status = 204, description = "Removed"))
)]
pub(super) async fn unset_issuer(
    State(admin): State<Arc<Admin>>,
    NameAnd(app, key): NameAnd<AppName, TokenName>,
) -> Result<StatusCode, Refusal> {
    admin.unset(app, SettingKind::Issuer, key.as_str().to_owned()).await
}

/// Removes a value of an app's configuration.
#[utoipa::path(
    delete, path = "/v1/apps/{app}/config/{key}", operation_id = "delete_config",
    params(("app" = AppName, Path, description = "The app"), ("key" = SettingName, Path, description = "Its name")),
    responses((status = 204, description = "Removed"))
)]
pub(super) async fn unset_config(
    State(admin): State<Arc<Admin>>,
    NameAnd(app, key): NameAnd<AppName, String>,
) -> Result<StatusCode, Refusal> {
    admin.unset(app, SettingKind::Config, key).await
}

/// Removes a secret that no function uses.
#[utoipa::path(
    delete, path = "/v1/apps/{app}/secrets/{key}", operation_id = "delete_secret",
    params(("app" = AppName, Path, description = "The app"), ("key" = SettingName, Path, description = "Its name")),
    responses((status = 204, description = "Removed"))
)]
pub(super) async fn unset_secret(
    State(admin): State<Arc<Admin>>,
    NameAnd(app, key): NameAnd<AppName, String>,
) -> Result<StatusCode, Refusal> {
    admin.unset(app, SettingKind::Secret, key).await
}

impl Admin {
    /// An app and its functions.
    pub(super) fn app(&self, name: &AppName) -> Result<Entry, Problem> {
        self.changes.catalog.load().app(name.as_str()).cloned().ok_or_else(|| no_app(name))
    }

    async fn app_info(&self, entry: &Entry) -> Result<AppInfo, Problem> {
        let app = &entry.app;
        let (store, name) = (self.changes.store.clone(), app.name.clone());
        let kept_bytes = store.state().stored_bytes(&name);
        let stored_bytes = blocking(move || store.stored_bytes(&name)).await??;
        Ok(AppInfo {
            name: app.name.clone(),
            revision: app.revision,
            spec: app.spec.clone(),
            functions: entry.functions.iter().map(|b| (b.0.function.clone(), b.0.alias.clone())).collect(),
            config: app.config.clone(),
            secrets: app.secret_names.clone(),
            issuers: app.issuers_told.clone(),
            stored_bytes,
            kept_bytes,
            cpu_ms_today: app.quota.cpu.us(unix_ms()) / 1000,
        })
    }

    async fn set(&self, app: AppName, kind: SettingKind, key: String, value: Value) -> Result<StatusCode, Refusal> {
        check_key(&key)?;
        check_value(&key, &value.value)?;
        let (changes, name, bytes) = (self.changes.clone(), key.clone(), value.value.len());
        let may_be = move |entry: &Entry| must_fit(entry, kind, &name, bytes);
        to_its_end(&self.asked, async move { changes.set_value(&app, kind, key, value.value, may_be).await }).await?;
        Ok(status::DONE)
    }

    async fn unset(&self, app: AppName, kind: SettingKind, key: String) -> Result<StatusCode, Refusal> {
        let (changes, shown) = (self.changes.clone(), (app.clone(), key.clone()));
        let unset = async move { changes.set_setting(&app, kind, key, None, |_| Ok(())).await };
        if to_its_end(&self.asked, unset).await? {
            return Ok(status::DELETED);
        }
        let (app, key) = shown;
        Err(Problem::new(Code::KeyNotFound, format!("the app {app} has nothing called {key}")).into())
    }
}

/// Whether there is room for one more value.
fn must_fit(entry: &Entry, kind: SettingKind, key: &str, value_bytes: usize) -> Result<(), Problem> {
    let size = |name: &str, bytes: usize| if name == key { 0 } else { name.len() + bytes };
    let others: usize = match (kind, &entry.app.secrets) {
        (SettingKind::Secret, Ok(secrets)) => secrets.iter().map(|(n, value)| size(n, value.expose().len())).sum(),
        (SettingKind::Secret, Err(_)) => 0,
        _ => entry.app.config.iter().map(|(name, value)| size(name, value.len())).sum(),
    };
    let bytes = others + key.len() + value_bytes;
    if bytes <= CONFIG_BYTES_MAX {
        return Ok(());
    }
    let detail =
        format!("all names and values together would have {bytes} bytes; they have at most {CONFIG_BYTES_MAX}");
    Err(Problem::new(Code::KeyInvalid, detail))
}
