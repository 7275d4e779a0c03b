//! How well a component's machine code was made: quickly, for the first answers, or optimised, for all that follow.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How well machine code was made. Whatever it computes is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// In half the time, for code that runs longer.
    Quick,
    /// As well as the compiler can.
    Optimised,
}

impl Tier {
    /// All of them, the best first.
    pub const BEST_FIRST: [Self; 2] = [Self::Optimised, Self::Quick];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Optimised => "optimised",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not a [`Tier`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is quick or optimised")]
pub struct NotATier;

impl FromStr for Tier {
    type Err = NotATier;

    fn from_str(text: &str) -> Result<Self, NotATier> {
        Self::BEST_FIRST.into_iter().find(|tier| tier.as_str() == text).ok_or(NotATier)
    }
}
