//! The admin API's documents, as the server writes and the command line reads them.
//!
//! All JSON. A field is only ever added; clients ignore fields that they do not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Access, AliasName, AppName, AppSpec, Conditions, Digest, FunctionName, InstanceState, Limits, Source, StateName,
    Tier, TokenName, Traffic, component::ComponentInfo, schema,
};

/// A function as it is deployed now. Answer of `PUT` and `GET /v1/functions/{name}`, item of `GET /v1/functions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FunctionInfo {
    /// The function's name.
    pub name: FunctionName,
    /// The app that it belongs to.
    #[serde(default = "AppName::default_app")]
    pub app: AppName,
    /// Every app that it is in.
    #[serde(default)]
    pub apps: Vec<AppName>,
    /// The version that serves; of two that share the requests the first.
    pub version: u64,
    /// Where its aliases send requests, by name.
    #[serde(default)]
    pub aliases: BTreeMap<AliasName, AliasInfo>,
    /// Who may call it.
    #[serde(default)]
    pub access: Access,
    /// The SHA-256 digest of its component.
    pub digest: Digest,
    /// The size of its component, in bytes.
    pub size_bytes: u64,
    /// The export that requests go through; none while it is not loaded.
    pub world: Option<World>,
    /// The export that gets an instance ready before its first request; none where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// How well the code that serves was compiled; none while it is not loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Where each request's instance comes from; none while it is not loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceState>,
    /// What the component imports, as `wasi:io/streams@0.2.6`; nothing while it is not loaded.
    pub imports: Vec<String>,
    /// What its component is: of the version that serves, and in the answer of a deploy of the upload. Not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<Box<ComponentInfo>>,
    /// Its routes, as `GET /orders/{id}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// The names of the secrets that it sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// The functions that its requests go through first, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub middleware: Vec<FunctionName>,
    /// The functions that it may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<FunctionName>,
    /// Whom it may send requests outside of the host, as `GET https://*.example.com`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outbound: Vec<String>,
    /// Buckets of its app's key-values that it may read and write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kv: Vec<StateName>,
    /// Containers of its app's blobs that it may read and write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blob: Vec<StateName>,
    /// The limits in force.
    pub limits: Limits,
    /// When this version was deployed: milliseconds since 1970-01-01T00:00Z.
    pub deployed_unix_ms: u64,
    /// Where it can be called, as URLs of the data listener.
    pub urls: Vec<String>,
    /// Why it cannot serve, where it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
}

/// Answer of a deploy, `PUT /v1/functions/{name}`: the function, and the version that the upload is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Deployed {
    /// The version of the upload.
    pub deployed: u64,
    /// Where that version alone can be called, with a key.
    pub deployed_url: String,
    /// The function as it serves now.
    #[serde(flatten)]
    pub function: FunctionInfo,
}

/// Where an alias sends requests. Answer of `GET` and `PUT /v1/functions/{name}/aliases/{alias}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AliasInfo {
    /// Its versions and their shares.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// On what conditions it stays so, while it is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched: Option<WatchInfo>,
    /// Where it can be called.
    pub url: String,
    /// Its changes, the newest first; only where one alias is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<AliasChange>,
}

/// On what conditions an alias stays where it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WatchInfo {
    /// The conditions.
    pub conditions: Conditions,
    /// The version that is watched.
    pub version: u64,
    /// Until when: milliseconds since 1970-01-01T00:00Z.
    pub until_unix_ms: u64,
}

/// A change of an alias.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AliasChange {
    /// When: milliseconds since 1970-01-01T00:00Z.
    pub unix_ms: u64,
    /// Where it pointed before; none where it was not there.
    pub before: Option<Traffic>,
    /// Where it pointed from then on; none where it was removed.
    pub after: Option<Traffic>,
    /// Why.
    pub why: String,
}

/// What `POST /v1/functions/{name}/rollback` takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rollback {
    /// The alias. Default `live`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<AliasName>,
    /// The version to go back to. Without it, the one before the present one; then the call needs `If-Match`, for it is
    /// another the second time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 18446744073709551615u64)]
    pub to: Option<u64>,
}

/// An app. Answer of `GET` and `PUT /v1/apps/{app}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AppInfo {
    /// Its name.
    pub name: AppName,
    /// A number that grows with each change of the app.
    pub revision: u64,
    /// What its owner decides.
    #[serde(flatten)]
    pub spec: AppSpec,
    /// The functions in it, and the alias of each that its requests go through.
    pub functions: BTreeMap<FunctionName, AliasName>,
    /// Its configuration.
    pub config: BTreeMap<String, String>,
    /// The names of its secrets.
    pub secrets: Vec<String>,
    /// Whose JSON Web Tokens its functions believe.
    #[serde(default)]
    pub issuers: Vec<IssuerInfo>,
    /// What its components take, in bytes, each once.
    pub stored_bytes: u64,
    /// What its functions keep, in bytes: key-values and blobs.
    #[serde(default)]
    pub kept_bytes: u64,
    /// How long its guests ran today (UTC), in milliseconds.
    pub cpu_ms_today: u64,
}

/// An issuer of JSON Web Tokens, part of what is told of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuerInfo {
    /// What it is called here.
    pub name: String,
    /// What its tokens have as `iss`.
    pub issuer: String,
    /// For whom a token must be: one of these is in its `aud`.
    pub audiences: Vec<String>,
    /// How many keys it signs with.
    pub keys: usize,
}

/// What `PUT /v1/apps/{app}/issuers/{name}` takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerSpec {
    /// What its tokens have as `iss`, to the letter.
    pub issuer: String,
    /// For whom a token must be: one of these is in its `aud`.
    pub audiences: Vec<String>,
    /// The JSON Web Key Set that it signs with (RFC 7517): public keys only.
    #[schema(value_type = Object)]
    pub jwks: serde_json::Value,
}

/// A token of the API. Item of `GET /v1/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenInfo {
    /// What it is called.
    pub name: TokenName,
    /// What its text begins with, after `gust_`.
    pub id: String,
    /// What it may do, each as `ACTION:TARGET`.
    #[schema(value_type = Vec<schema::Scope>)]
    pub scopes: Vec<String>,
    /// When it was made: milliseconds since 1970-01-01T00:00Z.
    pub created_unix_ms: u64,
    /// From when on it is worth nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_unix_ms: Option<u64>,
}

/// Answer of `GET /v1/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenList {
    /// The tokens, by name: those that the caller could have made.
    pub tokens: Vec<TokenInfo>,
}

/// What `POST /v1/tokens` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenSpec {
    /// What it is to be called.
    pub name: TokenName,
    /// What it is to be allowed, each as `ACTION:TARGET`: `deploy:app/shop`, `invoke:function/resize`, `read:*`.
    #[schema(min_items = 1, max_items = 32, value_type = Vec<schema::Scope>)]
    pub scopes: Vec<String>,
    /// From when on it is worth nothing: milliseconds since 1970-01-01T00:00Z. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 18446744073709551615u64)]
    pub expires_unix_ms: Option<u64>,
}

/// Answer of `POST /v1/tokens`, the only one that ever shows a token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// The token.
    pub token: String,
    /// What it is.
    #[serde(flatten)]
    pub info: TokenInfo,
}

/// Not the token.
impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewToken").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Answer of `GET /v1/apps`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AppList {
    /// The apps, the default one first, then by name.
    pub apps: Vec<AppInfo>,
}

/// What `PUT /v1/apps/{app}/functions/{name}` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BindingSpec {
    /// The alias that the app's requests go through where they name no other. Default `live`.
    pub alias: AliasName,
}

impl Default for BindingSpec {
    fn default() -> Self {
        Self { alias: AliasName::live() }
    }
}

/// What `PUT /v1/apps/{app}/config/{key}` and `.../secrets/{key}` take.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Setting)]
pub struct Value {
    /// The value.
    #[schema(value_type = schema::SettingValue)]
    pub value: String,
}

/// Not the value: it may be a secret.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Value").finish_non_exhaustive()
    }
}

/// The export that requests go through, in order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum World {
    /// `gust:function/handler`: plain records, the fastest.
    #[serde(rename = "gust:function/handler")]
    Typed,
    /// `wasi:http/handler` 0.3, of its world `service`.
    #[serde(rename = "wasi:http/handler")]
    Service,
    /// `wasi:http/incoming-handler` 0.2.
    #[serde(rename = "wasi:http/incoming-handler")]
    WasiHttp,
    /// `wasi:cli/run` 0.2: a program that is run once for each request, as CGI does.
    #[serde(rename = "wasi:cli/run")]
    Command,
}

impl World {
    /// The export's name, without a version.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Typed => "gust:function/handler",
            Self::Service => "wasi:http/handler",
            Self::WasiHttp => "wasi:http/incoming-handler",
            Self::Command => "wasi:cli/run",
        }
    }

    /// Whether a request goes through it with its whole body.
    pub fn takes_whole(self) -> bool {
        matches!(self, Self::Typed | Self::Command)
    }
}

/// Answer of `GET /v1/functions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FunctionList {
    /// The functions, by name.
    pub functions: Vec<FunctionInfo>,
}

/// One version. Item of `GET /v1/functions/{name}/versions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VersionInfo {
    /// The version.
    pub version: u64,
    /// The SHA-256 digest of its component.
    pub digest: Digest,
    /// The size of its component, in bytes.
    pub size_bytes: u64,
    /// When it was deployed: milliseconds since 1970-01-01T00:00Z.
    pub deployed_unix_ms: u64,
    /// Whether it is the one that serves.
    pub serving: bool,
    /// The aliases that point to it.
    #[serde(default)]
    pub aliases: Vec<AliasName>,
    /// Where it alone can be called, with a key.
    #[serde(default)]
    pub url: String,
}

/// Answer of `GET /v1/functions/{name}/versions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VersionList {
    /// The versions, newest first.
    pub versions: Vec<VersionInfo>,
}

/// What wrote a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// The guest, on its standard output.
    Stdout,
    /// The guest, on its standard error.
    Stderr,
    /// The host, of a request that is over.
    Request,
    /// The host, of the function itself.
    Host,
}

/// One log line of a function. Item of `GET /v1/functions/{name}/logs`, data of an event when followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// When: milliseconds since 1970-01-01T00:00Z.
    pub unix_ms: u64,
    /// The request that it belongs to.
    pub request_id: String,
    /// The version that served the request.
    pub version: u64,
    /// What wrote it.
    pub stream: LogStream,
    /// The text. Control characters are escaped, so a line is one line and cannot colour a terminal.
    pub text: String,
}

/// Answer of `GET /v1/functions/{name}/logs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogList {
    /// The newest lines, oldest first.
    pub lines: Vec<LogLine>,
}

/// Answer of `GET /v1/apps/{app}/kv` and `GET /v1/apps/{app}/blobs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlaceList {
    /// Buckets or containers with something in them, in order.
    pub names: Vec<String>,
    /// After which the next page begins. Null at the end.
    pub next: Option<String>,
}

/// Answer of `GET /v1/apps/{app}/kv/{bucket}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyList {
    /// Keys, in order.
    pub keys: Vec<String>,
    /// After which key the next page begins. Null at the end.
    pub next: Option<String>,
}

/// What is known of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlobInfo {
    /// Its name.
    pub name: String,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// When it was written: milliseconds since 1970-01-01T00:00Z.
    pub created_unix_ms: u64,
}

/// Answer of `GET /v1/apps/{app}/blobs/{container}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlobList {
    /// Blobs, by name.
    pub blobs: Vec<BlobInfo>,
    /// After which name the next page begins. Null at the end.
    pub next: Option<String>,
}

/// What a backup says of itself: `backup.json`, the first file in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BackupInfo {
    /// Which files there are in it, and in which order.
    pub format: u32,
    /// The version of gust that made it.
    pub gust: String,
    /// When: milliseconds since 1970-01-01T00:00Z.
    pub unix_ms: u64,
    /// The version of its database's schema.
    pub schema: u32,
    /// The SHA-256 digest of its database, as the components have theirs in their names.
    pub database: Digest,
    /// The SHA-256 digest of the database of what functions keep, which has those of the blobs. Not there in format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub state: Option<Digest>,
}

/// Answer of `PUT /v1/restore`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RestoreInfo {
    /// The backup.
    pub backup: BackupInfo,
    /// How many functions there are now.
    pub functions: u64,
    /// How many versions of them.
    pub versions: u64,
    /// How many apps.
    pub apps: u64,
    /// How many tokens besides the host's own.
    pub tokens: u64,
    /// Apps with secrets that were sealed with another key than this host's. Functions that name one are not served until the host has that
    /// key, or all of its secrets are set again.
    #[serde(default)]
    pub secrets_unreadable: Vec<AppName>,
    /// What functions keep now. Not there where the backup has none of it: then that is as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub state: Option<RestoredState>,
}

/// How much of what functions keep was restored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RestoredState {
    /// How many key-values.
    pub key_values: u64,
    /// How many blobs.
    pub blobs: u64,
}

/// An error's body, `application/problem+json` (RFC 9457), on both listeners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProblemDocument {
    /// `about:blank`-like URI of the kind of problem: `urn:gust:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A short text, the same for every occurrence.
    pub title: String,
    /// The HTTP status, repeated.
    pub status: u16,
    /// The stable code, `component.unknown_import` say.
    pub code: String,
    /// `client`, `guest` or `host`: who can mend it.
    #[schema(value_type = Source)]
    pub source: String,
    /// This occurrence: what was wrong, where, what to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The request's id, to be found in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}
