//! The commands, one file each, all of the same shape: `run` takes what was typed and does it.

pub mod alias;
pub mod app;
pub mod backup;
pub mod blob;
pub mod build;
pub mod config;
pub mod deploy;
pub mod doctor;
pub mod export;
pub mod inspect;
pub mod invoke;
pub mod issuer;
pub mod kv;
pub mod logs;
pub mod ls;
pub mod new;
mod pages;
pub mod promote;
pub mod restore;
pub mod rm;
pub mod rollback;
pub mod secret;
pub mod serve;
pub mod token;
pub mod versions;

use std::{fs, path::Path, str::FromStr};

use anyhow::{Context as _, anyhow};
use gust_core::{FunctionName, Problem, component::ComponentInfo, name::NameError};
use gust_server::report_component;

use crate::output::UsageError;

/// Where a function is called whose access is private, for clients have no address of it.
const PRIVATE: &str = "(private: only by other functions)";

/// The file that was named where a function may be, too: what is no function's name, and is there or looks like a path.
fn as_file(text: &str) -> Option<&Path> {
    let path = Path::new(text);
    let looks_so = || text.contains('/') || text.ends_with(".wasm");
    (text.parse::<FunctionName>().is_err() && (path.exists() || looks_so())).then_some(path)
}

/// A component in a file.
fn read_component(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("the component {}", path.display()))
}

/// What a component is, which `named` is what it was asked for by.
fn inspected(bytes: &[u8], named: &str) -> anyhow::Result<ComponentInfo> {
    let told = |problem: Problem| {
        let Problem { code, detail, .. } = problem;
        anyhow!("{named}: {}: {detail} [{}]", code.title(), code.as_str())
    };
    report_component(bytes).map_err(told)
}

/// The name of a function, an app or an alias as typed.
fn name<T: FromStr<Err = NameError>>(text: &str) -> anyhow::Result<T> {
    text.parse().map_err(|error: NameError| UsageError(error.to_string()).into())
}
