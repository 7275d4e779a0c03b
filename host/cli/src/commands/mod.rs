//! The commands, one file each, all of the same shape: `run` takes what was typed and does it.

pub mod alias;
pub mod app;
pub mod backup;
pub mod blob;
pub mod build;
pub mod config;
pub mod deploy;
pub mod doctor;
pub mod inspect;
pub mod invoke;
pub mod issuer;
pub mod kv;
pub mod logs;
pub mod ls;
pub mod new;
pub mod promote;
pub mod restore;
pub mod rm;
pub mod rollback;
pub mod secret;
pub mod serve;
pub mod token;
pub mod versions;

use std::str::FromStr;

use gust_core::name::NameError;

use crate::output::UsageError;

/// The name of a function, an app or an alias as typed.
fn name<T: FromStr<Err = NameError>>(text: &str) -> anyhow::Result<T> {
    text.parse().map_err(|error: NameError| UsageError(error.to_string()).into())
}
