//! `gust versions`: what is kept of a function.

use anyhow::Result;
use gust_core::{
    AliasName, FunctionName, Timestamp,
    api::{VersionInfo, VersionList},
};

use super::name;
use crate::{
    args::{HostArgs, Versions},
    client::Client,
    output,
};

/// Lists them, the newest first.
pub fn run(host: &HostArgs, options: &Versions) -> Result<()> {
    let name: FunctionName = name(&options.name)?;
    let list: VersionList = Client::new(host)?.get(&format!("/v1/functions/{name}/versions"))?;
    if options.json {
        return output::print(&format!("{}\n", serde_json::to_string(&list)?));
    }
    let head = ["VERSION", "ALIASES", "SIZE", "DIGEST", "DEPLOYED", "URL"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(head).chain(list.versions.iter().map(row)).collect();
    output::print(&output::table(&rows))
}

fn row(version: &VersionInfo) -> Vec<String> {
    vec![
        version.version.to_string(),
        version.aliases.iter().map(AliasName::as_str).collect::<Vec<_>>().join(" "),
        output::bytes(version.size_bytes),
        version.digest.to_string().chars().take(12).collect(),
        Timestamp(version.deployed_unix_ms).to_string(),
        version.url.clone(),
    ]
}
