//! The commands, one file each, all of the same shape: `run` takes what was typed and does it.

pub mod build;
pub mod deploy;
pub mod inspect;
pub mod invoke;
pub mod logs;
pub mod ls;
pub mod new;
pub mod rm;
pub mod serve;

use gust_core::FunctionName;

use crate::output::UsageError;

/// A function's name as typed.
fn name(text: &str) -> anyhow::Result<FunctionName> {
    text.parse().map_err(|error: gust_core::name::NameError| UsageError(error.to_string()).into())
}
