//! The admin API: what is deployed, changed and seen over HTTP, by whoever has the token.

mod auth;
mod functions;
mod guard;
mod health;
mod logs;
mod reply;
mod upload;

use std::sync::{Arc, atomic::AtomicBool};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, put},
};
use gust_core::{Code, Problem};

pub(crate) use self::guard::Guard;
use crate::deploy::Deployer;

/// What the admin API works on.
pub(crate) struct Admin {
    /// Changes and knows what is deployed.
    pub(crate) deployer: Arc<Deployer>,
    /// The data listener's URL.
    pub(crate) base_url: String,
    /// What a caller must know.
    pub(crate) token: String,
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
