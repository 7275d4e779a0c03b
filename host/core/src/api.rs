//! The admin API's documents, as the server writes and the command line reads them.
//!
//! All JSON. A field is only ever added; clients ignore fields that they do not know.

use serde::{Deserialize, Serialize};

use crate::{Digest, FunctionName, InstanceState, Limits, Tier};

/// A function as it is deployed now. Answer of `PUT` and `GET /v1/functions/{name}`, item of `GET /v1/functions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionInfo {
    /// The function's name.
    pub name: FunctionName,
    /// The version that serves.
    pub version: u64,
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

/// The export that requests go through, in order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum World {
    /// `gust:function/handler`: plain records, the fastest.
    #[serde(rename = "gust:function/handler")]
    Typed,
    /// `wasi:http/incoming-handler` 0.2.
    #[serde(rename = "wasi:http/incoming-handler")]
    WasiHttp,
}

impl World {
    /// The export's name, without a version.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Typed => "gust:function/handler",
            Self::WasiHttp => "wasi:http/incoming-handler",
        }
    }
}

/// Answer of `GET /v1/functions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionList {
    /// The functions, by name.
    pub functions: Vec<FunctionInfo>,
}

/// One version. Item of `GET /v1/functions/{name}/versions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
}

/// Answer of `GET /v1/functions/{name}/versions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionList {
    /// The versions, newest first.
    pub versions: Vec<VersionInfo>,
}

/// What wrote a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// The guest, on its standard output.
    Stdout,
    /// The guest, on its standard error.
    Stderr,
    /// The host, of a request that is over.
    Request,
}

/// One log line of a function. Item of `GET /v1/functions/{name}/logs`, data of an event when followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogList {
    /// The newest lines, oldest first.
    pub lines: Vec<LogLine>,
}

/// An error's body, `application/problem+json` (RFC 9457), on both listeners.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    pub source: String,
    /// This occurrence: what was wrong, where, what to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The request's id, to be found in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}
