//! The admin API: what is deployed, changed and seen over HTTP, by whoever has the token.

mod aliases;
mod apps;
mod auth;
mod backup;
mod functions;
mod guard;
mod health;
mod logs;
mod precondition;
mod release;
mod reply;
mod tokens;
mod upload;

use std::sync::{Arc, atomic::AtomicBool};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{delete, get, post, put},
};
use gust_core::{Code, Problem};

pub(crate) use self::guard::Guard;
use crate::changes::Changes;

/// What the admin API works on.
pub(crate) struct Admin {
    /// Changes and knows what is deployed.
    pub(crate) changes: Arc<Changes>,
    /// The data listener's URL.
    pub(crate) base_url: String,
    /// What it may be called by.
    pub(crate) guard: Guard,
    /// Whether the host is shutting down.
    pub(crate) draining: Arc<AtomicBool>,
}

/// All of its paths. Health is open to everyone who reaches the listener; the rest needs the token.
pub(crate) fn router(admin: Admin) -> Router {
    let admin = Arc::new(admin);
    let guarded = Router::new()
        .route("/metrics", get(health::metrics))
        .route("/v1/functions", get(functions::list))
        .route("/v1/functions/{name}", put(upload::put).get(functions::get).delete(functions::delete))
        .route("/v1/functions/{name}/versions", get(functions::versions))
        .route("/v1/functions/{name}/logs", get(logs::logs))
        .route("/v1/functions/{name}/aliases/{alias}", get(aliases::get).put(aliases::put).delete(aliases::delete))
        .route("/v1/functions/{name}/rollback", post(aliases::rollback))
        .route("/v1/apps", get(apps::list))
        .route("/v1/apps/{app}", get(apps::get).put(apps::put).delete(apps::delete))
        .route("/v1/apps/{app}/functions/{name}", put(apps::bind).delete(apps::unbind))
        .route("/v1/apps/{app}/config/{key}", put(apps::set_config).delete(apps::unset_config))
        .route("/v1/apps/{app}/secrets/{key}", put(apps::set_secret).delete(apps::unset_secret))
        .route("/v1/apps/{app}/issuers/{name}", put(apps::set_issuer).delete(apps::unset_issuer))
        .route("/v1/backup", get(backup::get))
        .route("/v1/restore", put(backup::restore))
        .route("/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/v1/tokens/{name}", delete(tokens::delete))
        .fallback(async || reply::Refusal(Problem::new(Code::ApiNotFound, "no such path; see docs/api.md")))
        .method_not_allowed_fallback(no_such_method)
        // The store's own cap holds while a component streams in.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(guard::refuse_forms))
        .layer(middleware::from_fn_with_state(admin.clone(), auth::require_token))
        .layer(middleware::from_fn_with_state(admin.clone(), guard::refuse_strangers));
    let open = Router::new().route("/healthz", get(health::live)).route("/readyz", get(health::ready));
    let open = open.method_not_allowed_fallback(no_such_method);
    open.merge(guarded).with_state(admin)
}

async fn no_such_method() -> reply::Refusal {
    reply::Refusal(Problem::new(Code::ApiNotFound, "this path has no such method; see docs/api.md"))
}
