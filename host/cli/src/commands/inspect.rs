//! `gust inspect`: all about one function.

use anyhow::Result;
use gust_core::{AppName, FunctionName, InstanceState, Timestamp, api::FunctionInfo};

use super::{alias::traffic, name};
use crate::{
    args::{HostArgs, Inspect},
    client::Client,
    output,
};

/// Shows it.
pub fn run(host: &HostArgs, options: &Inspect) -> Result<()> {
    let name: FunctionName = name(&options.name)?;
    let client = Client::new(host)?;
    let info = client.function(&name)?;
    if options.json {
        return output::print(&format!("{}\n", serde_json::to_string(&info)?));
    }
    let mut pairs = about(&info);
    pairs.extend(output::listed(
        "aliases",
        info.aliases.iter().map(|(alias, info)| format!("{alias}: {}", traffic(&info.traffic))),
    ));
    pairs.extend(output::listed("routes", info.routes.iter().cloned()));
    pairs.extend(output::listed("secrets", info.secrets.iter().cloned()));
    pairs.extend(output::listed("may call", info.calls.iter().map(FunctionName::to_string)));
    pairs.extend(output::listed("imports", info.imports.iter().cloned()));
    output::print(&output::pairs(&pairs))
}

fn about(info: &FunctionInfo) -> Vec<(&'static str, String)> {
    let limits = &info.limits;
    let mut pairs = vec![
        ("name", info.name.to_string()),
        ("url", info.urls.join(" ")),
        ("app", info.apps.iter().map(AppName::as_str).collect::<Vec<_>>().join(" ")),
        ("access", info.access.to_string()),
        ("version", info.version.to_string()),
        ("digest", info.digest.to_string()),
        ("size", output::bytes(info.size_bytes)),
        ("deployed", Timestamp(info.deployed_unix_ms).to_string()),
    ];
    pairs.extend(info.world.map(|world| ("called through", world.as_str().to_owned())));
    pairs.extend(info.init.clone().map(|init| ("ready by", init)));
    pairs.extend(info.tier.map(|tier| ("compiled", tier.to_string())));
    pairs.extend(info.instance.as_ref().map(|instance| ("instance", told(instance))));
    pairs.extend(info.unavailable.clone().map(|why| ("unavailable", why)));
    pairs.extend(limits.by_key().map(|(key, value)| (key, value.to_string())));
    pairs
}

fn told(instance: &InstanceState) -> String {
    match &instance.reason {
        Some(reason) => format!("{}: {reason}", instance.mode),
        None => instance.mode.to_string(),
    }
}
