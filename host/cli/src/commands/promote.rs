//! `gust promote`: the version that was tried becomes the one that serves.

use anyhow::{Result, bail};
use gust_core::{
    AliasName, FunctionName, Traffic,
    api::{AliasInfo, FunctionInfo},
};

use super::{alias, name};
use crate::{
    args::{HostArgs, Promote},
    client::{Client, HostProblem},
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
        None => tried(&client, &info, &to)?,
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
fn tried(client: &Client, function: &FunctionInfo, to: &AliasName) -> Result<u64> {
    if let Some(second) = function.aliases.get(to).and_then(|info| info.traffic.second()) {
        return Ok(second.version);
    }
    let Some(canary) = function.aliases.get(CANARY) else {
        bail!("no version of {} is being tried: say which with --version or --from", function.name);
    };
    let version = canary.traffic.first();
    match taken_back(client, &function.name, to, version)? {
        Some(why) => {
            bail!("version {version} was taken from {to}: {why}; to have it all the same: --version {version}")
        }
        None => Ok(version),
    }
}

/// Why an alias no longer points to a version, where the last thing that was done to the alias was to take it away.
fn taken_back(client: &Client, function: &FunctionName, alias: &AliasName, version: u64) -> Result<Option<String>> {
    let info: AliasInfo = match client.get(&alias::path(function, alias)) {
        Ok(info) => info,
        // It is to be made.
        Err(error)
            if error.downcast_ref::<HostProblem>().is_some_and(|problem| problem.0.code == "alias.not_found") =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let had = |traffic: &Option<Traffic>| traffic.as_ref().is_some_and(|it| it.versions().any(|had| had == version));
    let last = info.changes.into_iter().next().filter(|last| had(&last.before) && !had(&last.after));
    Ok(last.map(|last| last.why))
}
