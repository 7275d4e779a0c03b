//! `gust promote`: the version that was tried becomes the one that serves.

use anyhow::{Result, bail};
use gust_core::{AliasName, FunctionName, Traffic, api::FunctionInfo};

use super::{alias, name};
use crate::{
    args::{HostArgs, Promote},
    client::Client,
};

/// The alias of a version that is tried.
const CANARY: &str = "canary";

/// Has the alias point to it.
pub fn run(host: &HostArgs, options: &Promote) -> Result<()> {
    let (function, to): (FunctionName, AliasName) = (name(&options.name)?, name(&options.to)?);
    let client = Client::new(host)?;
    if let Some(version) = options.version {
        return alias::set(&client, &function, &to, &Traffic::all_to(version), None);
    }
    // The version that is being tried is meant, not one that was taken back while this was on its way.
    let (info, seen) = client.tagged_function(&function)?;
    let version = match &options.from {
        Some(from) => of_alias(&info, &name(from)?)?,
        None => tried(&info, &to)?,
    };
    alias::set(&client, &function, &to, &Traffic::all_to(version), Some(seen))
}

fn of_alias(function: &FunctionInfo, alias: &AliasName) -> Result<u64> {
    match function.aliases.get(alias) {
        Some(info) => Ok(info.traffic.first()),
        None => bail!("{} has no alias {alias}; `gust alias ls {}` lists them", function.name, function.name),
    }
}

/// The version that shares the requests, else the canary.
fn tried(function: &FunctionInfo, to: &AliasName) -> Result<u64> {
    if let Some(second) = function.aliases.get(to).and_then(|info| info.traffic.second()) {
        return Ok(second.version);
    }
    match function.aliases.get(CANARY) {
        Some(canary) => Ok(canary.traffic.first()),
        None => bail!("no version of {} is being tried: say which with --version or --from", function.name),
    }
}
