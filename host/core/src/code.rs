//! The stable codes of everything that can go wrong, in one table.
//!
//! A [`Code`] says what happened and whose doing it was; it never says which HTTP status that is. The server alone turns
//! codes into statuses. Codes are a contract: scripts and alerts match on them, so one is never renamed or given another
//! meaning.

use serde::Serialize;
use utoipa::ToSchema;

use crate::limits::Limit;

/// Whose doing a failure was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Whoever sent the request can mend it.
    Client,
    /// Whoever wrote the function can mend it.
    Guest,
    /// Whoever runs the host can mend it.
    Host,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $source:ident, $title:literal;)*) => {
        /// What went wrong: a stable code, its source and its title.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code, in the table's order.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            /// The code as scripts know it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }

            /// Whose doing it was.
            pub const fn source(self) -> Source {
                match self { $(Code::$variant => Source::$source,)* }
            }

            /// A short text, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }
        }
    };
}

codes! {
    // Calling a function.
    /// The request target or its host cannot be understood.
    RequestMalformed = "request.malformed", Client, "The request cannot be understood";
    /// More headers than the host takes.
    RequestHeadersTooLarge = "request.headers_too_large", Client, "The request's headers are too large";
    /// CONNECT, TRACE or an upgrade.
    MethodNotSupported = "request.method_not_supported", Client, "This method is not served";
    /// The body ended early or could not be read.
    RequestBodyIncomplete = "request.body_incomplete", Client, "The request's body did not arrive whole";
    /// The body did not arrive within the function's time.
    RequestTimeout = "request.timeout", Client, "The request's body did not arrive in time";
    /// The answer was not taken within the function's time.
    RequestUnread = "request.answer_unread", Client, "The client did not take the answer in time";
    /// Functions that call each other, too many deep.
    RequestLoop = "request.loop", Guest, "Functions call each other without end";
    /// The client went away before its answer was complete.
    ClientGone = "request.client_gone", Client, "The client went away";
    /// No function of that name.
    FunctionNotFound = "function.not_found", Client, "There is no such function";
    /// A function that is named as another's middleware, and is not there.
    MiddlewareNotFound = "middleware.not_found", Guest, "The function's middleware is not there";
    /// The function is there but cannot be loaded.
    FunctionUnavailable = "function.unavailable", Host, "The function cannot be loaded";
    /// The function is not loaded yet, and the request's time is over.
    FunctionLoading = "function.loading", Host, "The function is still being loaded";
    /// Neither a version nor an alias of the function.
    VersionNotFound = "version.not_found", Client, "The function has no such version or alias";
    /// A call without a token that may invoke the function.
    AccessKeyRequired = "access.key_required", Client, "This function is called with a key";
    /// A key that may not invoke the function.
    AccessForbidden = "access.forbidden", Client, "This key may not call this function";
    /// A call without a JSON Web Token of one of the app's issuers.
    AccessJwtRequired = "access.jwt_required", Client, "This function is called with a valid JSON Web Token";
    /// A route that is there, but not for this method.
    RouteMethod = "route.method_not_allowed", Client, "This path is not served for this method";
    /// More requests a second than the app's quota.
    QuotaRequests = "quota.requests_per_s", Client, "The app is over its quota of requests a second";
    /// More requests at a time than the app's quota.
    QuotaConcurrency = "quota.concurrency", Client, "The app is over its quota of concurrent requests";
    /// The app's guests have run for as long as they may today.
    QuotaCpu = "quota.cpu_ms_per_day", Client, "The app has used its CPU time for today";
    /// All of the function's own places are taken.
    LimitConcurrency = "limit.concurrency", Client, "The function is at its limit of concurrent requests";
    /// All of the function's own places are taken, and as many requests wait for one as may.
    LimitQueue = "limit.queue", Client, "The function is at its limit of waiting requests";
    /// None of the function's own places became free in time.
    LimitQueueTime = "limit.queue_ms", Client, "The request waited for too long";
    /// The request's body is over the function's limit.
    LimitRequestBody = "limit.request_body", Client, "The request's body is too large";
    /// The response's body is over the function's limit.
    LimitResponseBody = "limit.response_body", Guest, "The function's answer is too large";
    /// The response's header fields are over the function's limit.
    LimitHeaders = "limit.headers", Guest, "The function's headers are too large";
    /// The limit of CPU time ran out.
    LimitCpu = "limit.cpu_ms", Guest, "The function used too much CPU time";
    /// The wall-clock limit ran out.
    LimitWall = "limit.wall_ms", Guest, "The function did not answer in time";
    /// The guest failed after it was refused memory.
    LimitMemory = "limit.memory", Guest, "The function ran out of memory";
    /// The guest wanted more resources than it may hold.
    LimitHandles = "limit.handles", Guest, "The function holds too many resources";
    /// No instance became free in time.
    HostBusy = "host.busy", Host, "The host is busy";
    /// The host is shutting down.
    HostDraining = "host.draining", Host, "The host is shutting down";
    /// The guest's own verdict on its request.
    GuestBadRequest = "guest.bad_request", Client, "The function could not understand the request";
    /// The guest said that it failed.
    GuestFailed = "guest.failed", Guest, "The function failed";
    /// The guest returned without setting a response.
    GuestNoResponse = "guest.no_response", Guest, "The function ended without an answer";
    /// The guest's response is not valid HTTP.
    GuestBadResponse = "guest.bad_response", Guest, "The function's answer is not valid HTTP";
    /// The guest trapped.
    Trap = "trap", Guest, "The function crashed";
    /// The guest recursed too deeply.
    TrapStackOverflow = "trap.stack_overflow", Guest, "The function recursed too deeply";

    // The admin API.
    /// No token or a wrong one.
    AuthRequired = "auth.required", Client, "A valid token is needed";
    /// A token that may not do this.
    AuthForbidden = "auth.forbidden", Client, "This token may not do this";
    /// Not a token's name, scope or end.
    TokenInvalid = "token.invalid", Client, "This is no token that can be made";
    /// A token of that name is there.
    TokenExists = "token.exists", Client, "There is a token of this name";
    /// No token of that name.
    TokenNotFound = "token.not_found", Client, "There is no such token";
    /// A change of what was changed meanwhile (If-Match).
    ApiChanged = "api.changed", Client, "It was changed meanwhile";
    /// A change that is not the same a second time, without If-Match.
    ApiPreconditionRequired = "api.precondition_required", Client, "This call needs If-Match";
    /// A path that the API does not have.
    ApiNotFound = "api.not_found", Client, "The API has nothing here";
    /// A method that a path of the API does not have.
    ApiMethod = "api.method_not_allowed", Client, "This path of the API has no such method";
    /// A query or header that cannot be read.
    ApiMalformed = "api.malformed", Client, "The call cannot be understood";
    /// The admin API was called by a name that is not its own.
    ApiWrongHost = "api.wrong_host", Client, "The admin API is not called by this name";
    /// A page of another origin called the admin API.
    ApiForeignOrigin = "api.foreign_origin", Client, "Another origin's pages may not call the admin API";
    /// A body of a kind that forms of pages send.
    ApiContentType = "api.content_type", Client, "The API does not take this kind of body";
    /// Not a function's name.
    NameInvalid = "name.invalid", Client, "This is not a function's name";
    /// A manifest that cannot be read.
    ManifestInvalid = "manifest.invalid", Client, "The manifest has a mistake";
    /// An alias that cannot be served.
    AliasInvalid = "alias.invalid", Client, "This is no alias that can be served";
    /// No alias of that name.
    AliasNotFound = "alias.not_found", Client, "The function has no such alias";
    /// Conditions of a deploy that cannot be watched.
    ConditionsInvalid = "conditions.invalid", Client, "These conditions cannot be watched";
    /// There is no earlier version to go back to.
    RollbackNothing = "rollback.nothing", Client, "There is no version to go back to";
    /// A function of that name belongs to another app.
    FunctionElsewhere = "function.elsewhere", Client, "This name is taken";
    /// Other functions' requests go through it first.
    FunctionInUse = "function.in_use", Client, "The function is the middleware of others";
    /// An app's document that cannot be read.
    AppInvalid = "app.invalid", Client, "The app's document has a mistake";
    /// No app of that name.
    AppNotFound = "app.not_found", Client, "There is no such app";
    /// An app that functions are in.
    AppNotEmpty = "app.not_empty", Client, "The app is still in use";
    /// Routes of which neither is more specific.
    RouteConflict = "route.conflict", Client, "Two routes are for the same requests";
    /// A route for a host that the function's app may not have.
    RouteHost = "route.host", Client, "This host is not the app's";
    /// A name or value of the configuration that cannot be.
    KeyInvalid = "config.invalid", Client, "This is no name or value of the configuration";
    /// No such name in the configuration.
    KeyNotFound = "config.not_found", Client, "The app has no such setting";
    /// A function names a secret that its app does not have.
    SecretMissing = "secret.missing", Client, "The app lacks a secret";
    /// A secret that functions name.
    SecretInUse = "secret.in_use", Client, "Functions use this secret";
    /// An issuer of JSON Web Tokens that cannot be used.
    IssuerInvalid = "issuer.invalid", Client, "This issuer cannot be used";
    /// What the app stores is over its quota.
    QuotaStoredBytes = "quota.stored_bytes", Client, "The app is over its quota of stored bytes";
    /// The app's key-values and blobs take as much as they may.
    QuotaStorage = "quota.storage_mib", Client, "The app is over its quota of storage";
    /// A key, a name or a value that is not stored.
    StateInvalid = "state.invalid", Client, "This cannot be stored";
    /// No key or blob of that name.
    StateNotFound = "state.not_found", Client, "There is no such key or blob";
    /// More is being written than the host takes at a time.
    StateBusy = "state.busy", Host, "Too much is being written";
    /// Neither application/wasm nor multipart/form-data.
    UploadContentType = "upload.content_type", Client, "An upload is application/wasm or multipart/form-data";
    /// A compressed upload.
    UploadContentEncoding = "upload.content_encoding", Client, "Uploads are not taken compressed";
    /// An upload over the host's limit.
    UploadTooLarge = "upload.too_large", Client, "The component is too large";
    /// A component over its function's limit.
    LimitComponent = "limit.component", Client, "The component is over the function's limit";
    /// An upload that ended early, or without a component.
    UploadIncomplete = "upload.incomplete", Client, "The upload did not arrive whole";
    /// Bytes that are no valid component.
    ComponentMalformed = "component.malformed", Client, "This is not a valid component";
    /// Bytes that are not WebAssembly at all.
    ComponentNotWasm = "component.not_wasm", Client, "This is not WebAssembly";
    /// A core module.
    ComponentCoreModule = "component.core_module", Client, "This is a core module, not a component";
    /// Machine code, from wasmtime or another compiler.
    ComponentPrecompiled = "component.precompiled", Client, "Compiled artifacts are not taken";
    /// No export that the host can call.
    ComponentNoHandler = "component.no_handler", Client, "The component exports nothing that can be called";
    /// Imports that the host does not offer.
    ComponentUnknownImport = "component.unknown_import", Client, "The component imports what this host does not offer";
    /// More memory, tables or instances than a slot of the pool has.
    ComponentTooLarge = "component.over_limits", Client, "The component asks for more than an instance may have";
    /// The compiler failed or ran over its limits.
    ComponentCompile = "component.compile", Client, "The component could not be compiled";
    /// A fresh instance could not be made.
    ComponentProbe = "component.probe", Client, "The component could not be instantiated";
    /// The component's init failed or ran over the function's limits.
    ComponentInitFailed = "component.init_failed", Client, "The component's init failed";
    /// A backup that nothing can be restored from.
    BackupInvalid = "backup.invalid", Client, "This backup cannot be restored";

    // The host.
    /// The data directory's disk is full.
    StoreFull = "store.full", Host, "There is no room left to store this";
    /// The data directory failed.
    StoreFailed = "store.failed", Host, "The store failed";
    /// Secrets that cannot be opened with the host's key.
    SecretUnreadable = "secret.unreadable", Host, "The app's secrets cannot be read";
    /// A stored component is not what was stored.
    StoreCorrupt = "store.corrupt", Host, "A stored component or blob is damaged";
    /// A fault in gust itself.
    Internal = "internal", Host, "The host failed";
}

impl Code {
    /// The limit that a request was refused or ended for.
    pub const fn limit(self) -> Option<Limit> {
        match self {
            Self::LimitConcurrency => Some(Limit::Concurrency),
            Self::LimitQueue => Some(Limit::Queue),
            Self::LimitQueueTime => Some(Limit::QueueTime),
            Self::LimitRequestBody => Some(Limit::RequestBody),
            Self::LimitResponseBody => Some(Limit::ResponseBody),
            Self::LimitHeaders => Some(Limit::Headers),
            Self::LimitCpu => Some(Limit::Cpu),
            // Whoever is to blame for it.
            Self::LimitWall | Self::RequestTimeout | Self::RequestUnread => Some(Limit::Wall),
            Self::LimitMemory => Some(Limit::Memory),
            Self::LimitHandles => Some(Limit::Handles),
            Self::LimitComponent => Some(Limit::Component),
            _ => None,
        }
    }
}

/// A text that is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a code")]
pub struct UnknownCode(String);

impl std::str::FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL.iter().find(|code| code.as_str() == text).copied().ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A failure on its way to whoever has to know of it: what is told outside, and what is only logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.as_str())]
pub struct Problem {
    /// What went wrong.
    pub code: Code,
    /// This occurrence, for the caller: what was wrong, where, what to do. Holds no secret and nothing of the host's inside.
    pub detail: String,
    /// This occurrence, for the log only.
    pub internal: Option<String>,
    /// When trying again may help, in seconds; none where it is always the same, or not known.
    pub retry_after_s: Option<u32>,
}

impl Problem {
    /// A problem with nothing to hide.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), internal: None, retry_after_s: None }
    }

    /// Says when trying again may help.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Adds what only the log may know.
    #[must_use]
    pub fn with_internal(mut self, internal: impl Into<String>) -> Self {
        self.internal = Some(internal.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_well_formed() {
        let texts: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for text in texts {
            assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'_'), "{text}");
        }
        for code in Code::ALL {
            let of_time = matches!(code, Code::RequestTimeout | Code::RequestUnread);
            assert_eq!(code.as_str().starts_with("limit.") || of_time, code.limit().is_some(), "{code:?}");
        }
    }
}
