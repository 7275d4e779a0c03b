//! How an instance comes to be pristine: what a function's owner asks for, what the host allows, and what came of it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where each request's pristine instance comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum InstanceMode {
    /// One that served before is put back to exactly the state that instantiation left.
    #[default]
    Rewind,
    /// A new one is made.
    Fresh,
}

impl fmt::Display for InstanceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rewind => "rewind",
            Self::Fresh => "fresh",
        })
    }
}

impl FromStr for InstanceMode {
    type Err = NotAnInstanceMode;

    fn from_str(text: &str) -> Result<Self, NotAnInstanceMode> {
        match text {
            "rewind" => Ok(Self::Rewind),
            "fresh" => Ok(Self::Fresh),
            _ => Err(NotAnInstanceMode),
        }
    }
}

/// Not an [`InstanceMode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is rewind or fresh")]
pub struct NotAnInstanceMode;

/// The host's say in it, for all functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RewindPolicy {
    /// Where a function allows it and its component can be put back.
    On,
    /// Never.
    Off,
    /// As `on`, and each time the whole instance is compared with what it was. It costs more than rewinding saves.
    Checked,
}

/// Not a [`RewindPolicy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is on, off or checked")]
pub struct NotARewindPolicy;

impl FromStr for RewindPolicy {
    type Err = NotARewindPolicy;

    fn from_str(text: &str) -> Result<Self, NotARewindPolicy> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            "checked" => Ok(Self::Checked),
            _ => Err(NotARewindPolicy),
        }
    }
}

/// What a function's requests get, and why not the quicker one. As JSON part of what is told of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceState {
    /// What they get.
    pub mode: InstanceMode,
    /// Why they are not rewound, where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl InstanceState {
    /// Instances are rewound.
    pub fn rewound() -> Self {
        Self { mode: InstanceMode::Rewind, reason: None }
    }

    /// Each request gets a new instance, for this reason.
    pub fn fresh(reason: impl Into<String>) -> Self {
        Self { mode: InstanceMode::Fresh, reason: Some(reason.into()) }
    }
}
