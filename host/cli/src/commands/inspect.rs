//! `gust inspect`: all about one function.

use anyhow::Result;
use gust_core::{
    InstanceState, Timestamp,
    api::{FunctionInfo, VersionList},
};

use super::name;
use crate::{
    args::{HostArgs, Inspect},
    client::Client,
    output,
};

/// Shows it.
pub fn run(host: &HostArgs, options: &Inspect) -> Result<()> {
    let name = name(&options.name)?;
    let client = Client::new(host)?;
    let info = client.function(&name)?;
    if options.json {
        return output::print(&format!("{}\n", serde_json::to_string(&info)?));
    }
    let versions: VersionList =
        client.json(client.request("GET", &format!("/v1/functions/{name}/versions")).body(())?)?;
    let versions = versions.versions.iter().map(|version| {
        let serving = if version.serving { " (serving)" } else { "" };
        format!("{}{serving}, {}", version.version, Timestamp(version.deployed_unix_ms))
    });
    let mut pairs = about(&info);
    pairs.extend(listed("versions", versions));
    pairs.extend(listed("imports", info.imports.iter().cloned()));
    output::print(&output::pairs(&pairs))
}

fn about(info: &FunctionInfo) -> Vec<(&'static str, String)> {
    let limits = &info.limits;
    let mut pairs = vec![
        ("name", info.name.to_string()),
        ("url", info.urls.join(" ")),
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

/// A name once, and its values below each other.
fn listed(name: &'static str, values: impl Iterator<Item = String>) -> Vec<(&'static str, String)> {
    values.enumerate().map(|(at, value)| (if at == 0 { name } else { "" }, value)).collect()
}
