//! The admin API: what is deployed, changed and seen over HTTP, by whoever has the token.

mod aliases;
mod apps;
mod auth;
mod backup;
mod functions;
mod guard;
mod health;
mod logs;
mod openapi;
mod permission;
mod precondition;
mod release;
mod reply;
mod table;
mod tokens;
mod upload;

use std::sync::{Arc, atomic::AtomicBool};

use axum::{Router, extract::DefaultBodyLimit, middleware, response::Response};
use gust_core::{Code, Problem};

pub(crate) use self::guard::Guard;
use crate::{changes::Changes, coalescing};

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
    let guarded = table::guarded()
        .router
        .fallback(async || reply::Refusal(Problem::new(Code::ApiNotFound, "no such path; see docs/api.md")))
        .method_not_allowed_fallback(no_such_method)
        // The store's own cap holds while a component streams in.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(guard::refuse_forms))
        .layer(middleware::from_fn_with_state(admin.clone(), auth::require_token))
        .layer(middleware::from_fn_with_state(admin.clone(), guard::refuse_strangers));
    let open = table::open().router.method_not_allowed_fallback(no_such_method);
    // Many calls are answered before their bodies are read.
    let leaves_at_once = middleware::map_response(async |answer: Response| {
        coalescing::note_unread();
        answer
    });
    open.merge(guarded).layer(leaves_at_once).with_state(admin)
}

async fn no_such_method() -> reply::Refusal {
    reply::Refusal(Problem::new(Code::ApiMethod, "this path has no such method; see docs/api.md"))
}
