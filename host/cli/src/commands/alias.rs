//! `gust alias`: where a function's aliases point.

use anyhow::Result;
use gust_core::{
    AliasName, FunctionName, Timestamp, Traffic,
    api::{AliasChange, AliasInfo},
    traffic,
};
use ureq::http::HeaderValue;

use super::name;
use crate::{
    args::{Alias, HostArgs, Sticky},
    client::Client,
    output,
};

/// Shows them or changes one.
pub fn run(host: &HostArgs, action: &Alias) -> Result<()> {
    let client = Client::new(host)?;
    match action {
        Alias::Ls { name: function, json } => list(&client, &name(function)?, *json),
        Alias::History { name: function, alias, json } => history(&client, &name(function)?, &name(alias)?, *json),
        Alias::Set { name: function, alias, version, and, weight, sticky } => {
            let traffic = match (and, weight) {
                (Some(and), Some(weight)) => Traffic::split(*version, *and, *weight, kept_by(sticky)),
                _ => Traffic::all_to(*version),
            };
            set(&client, &name(function)?, &name(alias)?, &traffic, None)
        }
        Alias::Rm { name: function, alias } => {
            let (function, alias): (FunctionName, AliasName) = (name(function)?, name(alias)?);
            client.delete(&path(&function, &alias))?;
            output::print(&format!("removed the alias {alias} of {function}\n"))
        }
    }
}

/// Where the API has an alias.
pub fn path(function: &FunctionName, alias: &AliasName) -> String {
    format!("/v1/functions/{function}/aliases/{alias}")
}

fn kept_by(sticky: &Sticky) -> Option<traffic::Sticky> {
    let header = sticky.sticky_header.clone().map(traffic::Sticky::Header);
    header.or_else(|| sticky.sticky_cookie.clone().map(traffic::Sticky::Cookie))
}

fn list(client: &Client, function: &FunctionName, json: bool) -> Result<()> {
    let aliases = client.function(function)?.aliases;
    if json {
        return output::print(&format!("{}\n", serde_json::to_string(&aliases)?));
    }
    let head = ["ALIAS", "VERSION", "WATCHED", "URL"].map(str::to_owned).to_vec();
    let row = |(alias, info): (&AliasName, &AliasInfo)| {
        let until = info.watched.as_ref().map(|watch| format!("until {}", Timestamp(watch.until_unix_ms)));
        vec![alias.to_string(), self::traffic(&info.traffic), until.unwrap_or_default(), info.url.clone()]
    };
    output::print(&output::table(&std::iter::once(head).chain(aliases.iter().map(row)).collect::<Vec<_>>()))
}

fn history(client: &Client, function: &FunctionName, alias: &AliasName, json: bool) -> Result<()> {
    let info: AliasInfo = client.get(&path(function, alias))?;
    if json {
        return output::print(&format!("{}\n", serde_json::to_string(&info.changes)?));
    }
    let head = ["WHEN", "FROM", "TO", "WHY"].map(str::to_owned).to_vec();
    let row = |change: &AliasChange| {
        let shown = |traffic: &Option<Traffic>| traffic.as_ref().map_or_else(|| "-".to_owned(), self::traffic);
        vec![Timestamp(change.unix_ms).to_string(), shown(&change.before), shown(&change.after), change.why.clone()]
    };
    output::print(&output::table(&std::iter::once(head).chain(info.changes.iter().map(row)).collect::<Vec<_>>()))
}

/// Has an alias point somewhere, and says so. Where a tag is given, only if the function is still as it was told with that.
pub fn set(
    client: &Client,
    function: &FunctionName,
    alias: &AliasName,
    to: &Traffic,
    seen: Option<HeaderValue>,
) -> Result<()> {
    let mut request = client.request("PUT", &path(function, alias)).header("content-type", "application/json");
    if let Some(tag) = seen {
        request = request.header("if-match", tag);
    }
    let info: AliasInfo = client.json(request.body(serde_json::to_vec(to)?)?)?;
    let url = client.reachable(&info.url);
    output::print(&format!("{alias} of {function} is version {}\n\n  curl {url}\n", traffic(&info.traffic)))
}

/// Where an alias points, in short: `7`, or `7 (90 %), 8 (10 %)`.
pub fn traffic(traffic: &Traffic) -> String {
    match &*traffic.targets {
        [only] => only.version.to_string(),
        several => {
            let told = several.iter().map(|target| format!("{} ({} %)", target.version, target.weight));
            told.collect::<Vec<_>>().join(", ")
        }
    }
}
