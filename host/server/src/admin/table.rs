//! The table of calls: each with who answers it and what it alone can fail with. Router and description are made of it.

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    middleware::from_fn,
    routing::{MethodFilter, on},
};
use gust_core::Code::{self, *};
use utoipa::{
    __dev::SchemaReferences,
    openapi::{
        HttpMethod, RefOr, Schema,
        path::{Operation, ParameterIn},
    },
};

use super::{Admin, aliases, apps, auth, backup, component, functions, health, logs, openapi, state, tokens, upload};

/// What changing an app, or a function's aliases, can come to.
const UNSERVABLE: [Code; 5] = [SecretMissing, SecretUnreadable, RouteConflict, RouteHost, ManifestInvalid];

/// Why what is to serve cannot be loaded.
const UNLOADED: [Code; 4] = [FunctionUnavailable, FunctionLoading, HostBusy, StoreCorrupt];

/// What the compiler, the pool and the probe say of a component.
const REFUSED: [Code; 10] = [
    ComponentMalformed,
    ComponentNotWasm,
    ComponentCoreModule,
    ComponentPrecompiled,
    ComponentNoHandler,
    ComponentUnknownImport,
    ComponentTooLarge,
    ComponentCompile,
    ComponentProbe,
    ComponentInitFailed,
];

/// What an upload can come to before it is looked at.
const UPLOAD: [Code; 7] = [
    UploadContentType,
    UploadContentEncoding,
    UploadTooLarge,
    LimitComponent,
    UploadIncomplete,
    AliasInvalid,
    ConditionsInvalid,
];

/// Calls of whoever reaches the listener.
pub(super) fn open() -> Calls {
    Calls::new(false)
        .call(health::__path_live, health::live, &[])
        .call(health::__path_ready, health::ready, &[&[HostDraining]])
        .call(openapi::__path_document, openapi::document, &[])
}

/// Calls that take a token.
pub(super) fn guarded() -> Calls {
    Calls::new(true)
        .call(health::__path_metrics, health::metrics, &[])
        .functions()
        .aliases()
        .apps()
        .state()
        .call(backup::__path_get, backup::get, &[&[StoreFull, StoreCorrupt]])
        .call(backup::__path_restore, backup::restore, &[&[BackupInvalid, StoreFull]])
        .call(tokens::__path_list, tokens::list, &[])
        .call(tokens::__path_create, tokens::create, &[&[TokenInvalid, TokenExists, StoreFull]])
        .call(tokens::__path_delete, tokens::delete, &[&[TokenNotFound, StoreFull]])
}

impl Calls {
    fn functions(self) -> Self {
        let deploy = [FunctionElsewhere, FunctionNotFound, AppNotFound, QuotaStoredBytes, HostBusy, StoreFull];
        let kept = [FunctionNotFound, VersionNotFound];
        self.call(functions::__path_list, functions::list, &[])
            .call(upload::__path_put, upload::put, &[&UPLOAD, &REFUSED, &UNSERVABLE, &deploy])
            .call(functions::__path_get, functions::get, &[&[FunctionNotFound]])
            .call(functions::__path_delete, functions::delete, &[&[FunctionNotFound, FunctionInUse, StoreFull]])
            .call(component::__path_get, component::get, &[&kept, &[StoreCorrupt]])
            .call(component::__path_manifest, component::manifest, &[&kept, &[ManifestInvalid]])
            .call(functions::__path_versions, functions::versions, &[&[FunctionNotFound]])
            .call(logs::__path_logs, logs::logs, &[&[FunctionNotFound]])
    }

    fn aliases(self) -> Self {
        let absent = [FunctionNotFound, AliasNotFound];
        let change = [AliasInvalid, VersionNotFound, StoreFull];
        let back = [RollbackNothing, ApiPreconditionRequired];
        self.call(aliases::__path_get, aliases::get, &[&absent])
            .call(aliases::__path_put, aliases::put, &[&absent, &change, &UNSERVABLE, &UNLOADED])
            .call(aliases::__path_delete, aliases::delete, &[&absent, &change, &UNSERVABLE])
            .call(aliases::__path_rollback, aliases::rollback, &[&absent, &change, &back, &UNSERVABLE, &UNLOADED])
    }

    fn state(self) -> Self {
        let absent = [AppNotFound, StateNotFound];
        let put = [AppNotFound, StateInvalid, QuotaStorage, StateBusy, StoreFull];
        let delete = [AppNotFound, StateInvalid, StateNotFound, StateBusy, StoreFull];
        self.call(state::__path_buckets, state::buckets, &[&[AppNotFound]])
            .call(state::__path_containers, state::containers, &[&[AppNotFound]])
            .call(state::__path_keys, state::keys, &[&[AppNotFound]])
            .call(state::__path_get_value, state::get_value, &[&absent])
            .call(state::__path_put_value, state::put_value, &[&put, &[UploadIncomplete]])
            .call(state::__path_delete_value, state::delete_value, &[&delete])
            .call(state::__path_blobs, state::blobs, &[&[AppNotFound]])
            .call(state::__path_get_blob, state::get_blob, &[&absent, &[StateBusy]])
            .call(state::__path_put_blob, state::put_blob, &[&put, &[UploadIncomplete]])
            .call(state::__path_delete_blob, state::delete_blob, &[&delete])
    }

    fn apps(self) -> Self {
        let binding = [AppNotFound, FunctionNotFound, AliasInvalid, StoreFull];
        let set = [AppNotFound, KeyInvalid, StoreFull];
        let unset = [AppNotFound, KeyNotFound, StoreFull];
        self.call(apps::__path_list, apps::list, &[])
            .call(apps::__path_get, apps::get, &[&[AppNotFound]])
            .call(apps::__path_put, apps::put, &[&[AppInvalid, AppNotFound, StoreFull], &UNSERVABLE])
            .call(apps::__path_delete, apps::delete, &[&[AppInvalid, AppNotFound, AppNotEmpty, StoreFull]])
            .call(apps::__path_bind, apps::bind, &[&binding, &UNSERVABLE])
            .call(apps::__path_unbind, apps::unbind, &[&binding, &[AppNotEmpty, FunctionInUse], &UNSERVABLE])
            .call(apps::__path_set_config, apps::set_config, &[&set])
            .call(apps::__path_unset_config, apps::unset_config, &[&unset])
            .call(apps::__path_set_secret, apps::set_secret, &[&set])
            .call(apps::__path_unset_secret, apps::unset_secret, &[&unset, &[SecretInUse]])
            .call(apps::__path_set_issuer, apps::set_issuer, &[&[AppNotFound, IssuerInvalid, StoreFull]])
            .call(apps::__path_unset_issuer, apps::unset_issuer, &[&unset])
    }
}

/// Calls, as a router and as described.
pub(super) struct Calls {
    takes_token: bool,
    pub(super) router: Router<Arc<Admin>>,
    pub(super) described: Vec<Described>,
}

/// A call as it is described.
pub(super) struct Described {
    pub(super) path: String,
    pub(super) methods: Vec<HttpMethod>,
    pub(super) operation: Operation,
    pub(super) schemas: Vec<(String, RefOr<Schema>)>,
}

impl Calls {
    fn new(takes_token: bool) -> Self {
        Self { takes_token, router: Router::new(), described: Vec::new() }
    }

    /// Adds one that `#[utoipa::path]` describes. What it describes is where it is routed.
    fn call<P, H, T>(mut self, _: P, handler: H, own: &[&[Code]]) -> Self
    where
        P: utoipa::Path + SchemaReferences,
        H: Handler<T, Arc<Admin>>,
        T: 'static,
    {
        let (path, methods, mut operation) = (P::path(), P::methods(), P::operation());
        let reads = methods.iter().all(|method| matches!(method, HttpMethod::Get | HttpMethod::Head));
        let has_query = operation.parameters.iter().flatten().any(|one| one.parameter_in == ParameterIn::Query);
        let refuses_query = !reads && !has_query;
        for method in &methods {
            let routed = on(filter(method), handler.clone());
            let routed = if refuses_query { routed.route_layer(from_fn(auth::refuse_query)) } else { routed };
            self.router = self.router.route(&path, routed);
        }
        let mut own = own.concat();
        own.extend((!reads).then_some(HostDraining));
        openapi::complete(&mut operation, &path, (self.takes_token, refuses_query), &own);
        let mut schemas = Vec::new();
        P::schemas(&mut schemas);
        self.described.push(Described { path, methods, operation, schemas });
        self
    }
}

fn filter(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
    }
}
