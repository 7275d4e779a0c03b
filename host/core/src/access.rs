//! Who may call a function over HTTP.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who may call a function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Everyone.
    #[default]
    Open,
    /// Whoever sends a token that may invoke it.
    Key,
    /// Whoever sends a JSON Web Token (RFC 7519) of one of its app's issuers.
    Jwt,
    /// Other functions of its app, and no client.
    Private,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Key => "key",
            Self::Jwt => "jwt",
            Self::Private => "private",
        })
    }
}
