//! The admin API: what is deployed, changed and seen over HTTP, by whoever has the token.

mod aliases;
mod apps;
mod auth;
mod backup;
mod component;
mod functions;
mod guard;
mod health;
mod logs;
mod openapi;
mod permission;
mod precondition;
mod release;
mod reply;
mod state;
mod table;
mod tokens;
mod upload;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use gust_core::{Code, Problem};
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};

pub(crate) use self::{component::Reports, guard::Guard};
use crate::{changes::Changes, coalescing, patience::Activity, under_way::UnderWay};

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
    /// Changes that were asked for, until they are done and answered.
    pub(crate) asked: Arc<UnderWay>,
    /// Reports of components that were asked for.
    pub(crate) reports: Reports,
}

/// The API for each connection, which is of use as long as something is asked or a body is read.
pub(crate) fn service(admin: Admin) -> impl Fn(&Arc<Activity>) -> Service {
    let router = TowerToHyperService::new(router(admin));
    move |connection| Service { router: router.clone(), connection: connection.clone() }
}

/// The API for one connection.
pub(crate) struct Service {
    router: TowerToHyperService<Router>,
    connection: Arc<Activity>,
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response;
    type Error = Infallible;
    type Future = TowerToHyperServiceFuture<Router, Request>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.connection.is_used();
        let connection = self.connection.clone();
        let read = move |frame: Frame<Bytes>| {
            if frame.data_ref().is_some_and(|bytes| !bytes.is_empty()) {
                connection.is_used();
            }
            frame
        };
        self.router.call(request.map(|body| Body::new(body.map_frame(read))))
    }
}

/// All of its paths. Health is open to everyone who reaches the listener; the rest needs the token.
fn router(admin: Admin) -> Router {
    let admin = Arc::new(admin);
    let guarded = table::guarded()
        .router
        .fallback(async || reply::Refusal(Problem::new(Code::ApiNotFound, "no such path; see docs/api.md")))
        .method_not_allowed_fallback(no_such_method)
        // The store's own cap holds while a component streams in.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(admin.clone(), change))
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

/// A change is waited for when the host goes down, and none begins then.
async fn change(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let _asked = admin.asked.begin();
    if admin.draining.load(SeqCst) {
        let problem = Problem::new(Code::HostDraining, "nothing was changed: it takes no changes any more");
        return reply::Refusal(problem).into_response();
    }
    next.run(request).await
}

async fn no_such_method() -> reply::Refusal {
    reply::Refusal(Problem::new(Code::ApiMethod, "this path has no such method; see docs/api.md"))
}
