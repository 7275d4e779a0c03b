//! `gust ls`: the functions of a host.

use anyhow::Result;
use gust_core::{
    Access, AliasName, Tier, Timestamp,
    api::{FunctionInfo, FunctionList},
};

use super::alias;
use crate::{
    args::{HostArgs, Ls},
    client::Client,
    output,
};

/// Lists them.
pub fn run(host: &HostArgs, options: Ls) -> Result<()> {
    let client = Client::new(host)?;
    let list: FunctionList = client.json(client.request("GET", "/v1/functions").body(())?)?;
    if options.json {
        return output::print(&format!("{}\n", serde_json::to_string(&list)?));
    }
    if list.functions.is_empty() {
        return output::print("nothing is deployed that this token may see; `gust new hello` begins a function\n");
    }
    let head = ["NAME", "VERSION", "SIZE", "CODE", "DEPLOYED", "URL"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(head).chain(list.functions.iter().map(row)).collect();
    output::print(&output::table(&rows))
}

fn row(function: &FunctionInfo) -> Vec<String> {
    let place = match &function.unavailable {
        Some(why) => format!("unavailable: {why}"),
        None if function.access == Access::Private => super::PRIVATE.to_owned(),
        None => function.urls.first().cloned().unwrap_or_default(),
    };
    let live = function.aliases.get(&AliasName::live());
    vec![
        function.name.to_string(),
        live.map_or_else(|| function.version.to_string(), |live| alias::traffic(&live.traffic)),
        output::bytes(function.size_bytes),
        function.tier.map_or("unloaded", Tier::as_str).to_owned(),
        Timestamp(function.deployed_unix_ms).to_string(),
        place,
    ]
}
