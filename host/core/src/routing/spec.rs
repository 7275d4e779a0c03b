//! A route as it is written, in a manifest or as JSON. What is wrong with it is found when it is checked.

use serde::{Deserialize, Serialize};

/// A route as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    /// The host: a name, or `*.` and a name for all that are below it. Default: every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The pattern of the path, as `/orders/{id}/files/{path...}`.
    pub path: String,
    /// The methods. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Where the request is sent to instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<RedirectSpec>,
    /// What the request is answered with instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond: Option<RespondSpec>,
}

/// A redirect as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedirectSpec {
    /// An `http` or `https` URL or an absolute path, which may name the pattern's parameters.
    pub to: String,
    /// 301, 302, 303, 307 or 308. Default 308.
    #[serde(default = "RedirectSpec::status_default")]
    pub status: u16,
}

impl RedirectSpec {
    fn status_default() -> u16 {
        308
    }
}

/// A static response as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RespondSpec {
    /// 200 to 599. Default 200.
    pub status: u16,
    /// The type of the body. Default `text/plain; charset=utf-8`.
    pub content_type: String,
    /// The body. Default: empty.
    pub body: String,
}

impl Default for RespondSpec {
    fn default() -> Self {
        Self { status: 200, content_type: "text/plain; charset=utf-8".to_owned(), body: String::new() }
    }
}
