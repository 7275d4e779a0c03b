//! Why an instance was not put back.

use std::{fmt, io};

/// Why an instance was not put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its memory grew, and it cannot shrink.
    Grew,
    /// It holds handles after its call.
    Handles,
    /// It holds handles before its first call.
    HandlesFromInit,
    /// Its call did not return.
    Ended,
    /// It wrote to too much of its memory.
    TooManyPages,
    /// What its memory holds from the beginning is too much to keep a copy of.
    TooLarge,
    /// Another instance of the component began in another state.
    StatesDiffer,
    /// The kernel, or the component's own functions, failed.
    Failed,
    /// Something was left behind, found by looking.
    Inexact,
}

impl Refusal {
    /// Whether no other instance of the function will do better.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::HandlesFromInit | Self::TooLarge | Self::StatesDiffer | Self::Failed | Self::Inexact)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grew => "its memory grows during requests; a larger initial memory would help",
            Self::Handles => "it keeps handles when a request is over",
            Self::HandlesFromInit => "its init leaves handles open, as printing does in Rust",
            Self::Ended => "its requests trap, run out of time or are abandoned",
            Self::TooManyPages => "its requests write to more than 16 MiB of memory",
            Self::TooLarge => "its memory holds more than 64 MiB before its first request",
            Self::StatesDiffer => "its instances do not all begin in the same state",
            Self::Failed => "putting an instance back failed; the host's log has the cause",
            Self::Inexact => "an instance that was put back was not as it began; please report this",
        })
    }
}

/// The same, with the cause of what should not fail.
#[derive(Debug)]
pub(super) enum Unfit {
    Refused(Refusal),
    Failed(wasmtime::Error),
}

impl Unfit {
    /// The reason, the log told of one that should not be.
    pub(super) fn told(self, what: &str) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Failed(error) => {
                tracing::warn!(%error, "{what}; the function's get a new one for each request");
                Refusal::Failed
            }
        }
    }
}

impl From<Refusal> for Unfit {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<wasmtime::Error> for Unfit {
    fn from(error: wasmtime::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}
