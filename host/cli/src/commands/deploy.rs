//! `gust deploy`: the component and its manifest to a host.

use std::{
    fs::{self, File},
    io::{Cursor, Read},
    path::Path,
};

use anyhow::{Context as _, Result};
use console::style;
use gust_core::{
    Access, AliasName, AppName, FunctionName,
    api::Deployed,
    component::{ComponentInfo, Reach},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::SendBody;

use super::name;
use crate::{
    args::{Condition, Deploy, HostArgs, Release, Sticky},
    client::{self, Client},
    output::{self, UsageError},
    project::{self, ManifestFile, component},
};

/// Parts the form. Components are binary and could hold anything, so it is long and random enough never to be in one.
const BOUNDARY: &str = "gust-7d4f1be2c06a4f0f9d51a3e8b7c92e64";

/// The status of a deploy that made a new version.
const CREATED: u16 = 201;

/// Uploads, building first where no component is named.
pub fn run(host: &HostArgs, options: &Deploy) -> Result<()> {
    let manifest = match &options.manifest {
        Some(path) => Some(project::read_manifest(path)?),
        None => project::manifest_in(&options.path)?,
    };
    let client = Client::new(host)?;
    let component = match &options.component {
        Some(path) => path.clone(),
        None => component::build(&options.path)?,
    };
    let name = function_name(options, manifest.as_ref(), &component)?;
    let (info, is_new) = upload(&client, &name, &component, manifest.as_ref(), &query(&options.release)?)?;
    if options.json {
        return output::print(&format!("{}\n", serde_json::to_string(&info)?));
    }
    output::print(&client.reachable(&told(&info, is_new, !options.release.rollback_if.is_empty())))
}

/// The release as the API's query.
fn query(release: &Release) -> Result<String> {
    let mut pairs = Vec::new();
    if let Some(app) = &release.app {
        pairs.push(("app", name::<AppName>(app)?.to_string()));
    }
    if let Some(alias) = &release.alias {
        pairs.push(("alias", name::<AliasName>(alias)?.to_string()));
    }
    pairs.extend(release.weight.map(|weight| ("weight", weight.to_string())));
    let Sticky { sticky_header, sticky_cookie } = &release.sticky;
    pairs.extend(sticky_header.clone().map(|header| ("sticky_header", header)));
    pairs.extend(sticky_cookie.clone().map(|cookie| ("sticky_cookie", cookie)));
    for condition in &release.rollback_if {
        let (what, key, value) = match condition {
            Condition::ErrorsPercent(percent) => ("errors", "errors_percent_max", percent),
            Condition::P99Factor(factor) => ("p99", "p99_factor_max", factor),
        };
        if pairs.iter().any(|(present, _)| *present == key) {
            return Err(UsageError(format!("--rollback-if says {what} twice; say it once")).into());
        }
        pairs.push((key, value.to_string()));
    }
    pairs.extend(release.window.map(|seconds| ("window_s", seconds.to_string())));
    pairs.extend(release.min_requests.map(|requests| ("requests_min", requests.to_string())));
    // Names of headers and cookies may hold what means something in a query.
    let encoded = |(key, value): &(&str, String)| format!("{key}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    let pairs: Vec<_> = pairs.iter().map(encoded).collect();
    Ok(if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) })
}

/// As said, else as the manifest says, else as the file or directory is called.
fn function_name(options: &Deploy, manifest: Option<&ManifestFile>, component: &Path) -> Result<FunctionName> {
    if let Some(text) = &options.name {
        return name(text);
    }
    if let Some(named) = manifest.and_then(|file| file.manifest.name.clone()) {
        return Ok(named);
    }
    // Of a file the name without its extension; a directory's name has none.
    let dir = if options.component.is_some() { None } else { Some(fs::canonicalize(&options.path)?) };
    let stem = dir.as_ref().map_or_else(|| component.file_stem(), |dir| dir.file_name());
    let stem = stem.and_then(|stem| stem.to_str()).unwrap_or_default();
    name(&stem.replace('_', "-")).context("what it is called is no function's name; give one with --name")
}

/// The function, and whether this made a new version of it.
fn upload(
    client: &Client,
    name: &FunctionName,
    component: &Path,
    manifest: Option<&ManifestFile>,
    query: &str,
) -> Result<(Deployed, bool)> {
    let (form, length) = form(component, manifest.map(|file| file.text.as_str()))?;
    let bar = output::transfer_bar("uploading", length);
    let mut body = bar.wrap_read(form);
    let request = client
        .request("PUT", &format!("/v1/functions/{name}{query}"))
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .header("content-length", length)
        // A host that would refuse it says so before all of it is sent.
        .header("expect", "100-continue")
        .body(SendBody::from_reader(&mut body))?;
    let response = client.send(request);
    bar.finish_and_clear();
    let response = response?;
    let is_new = response.status().as_u16() == CREATED;
    Ok((client::parsed(response)?, is_new))
}

/// The form as a stream, and its length.
fn form(component: &Path, manifest: Option<&str>) -> Result<(impl Read + use<>, u64)> {
    let file = File::open(component).with_context(|| format!("the component {}", component.display()))?;
    let size_bytes = file.metadata()?.len();
    let part = |name: &str, kind: &str| {
        let disposition = format!("Content-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"");
        format!("--{BOUNDARY}\r\n{disposition}\r\nContent-Type: {kind}\r\n\r\n")
    };
    let mut head = String::new();
    if let Some(text) = manifest {
        head = format!("{}{text}\r\n", part("manifest", "application/toml"));
    }
    head.push_str(&part("component", "application/wasm"));
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let length = head.len() as u64 + size_bytes + tail.len() as u64;
    Ok((Cursor::new(head).chain(file).chain(Cursor::new(tail)), length))
}

fn told(answer: &Deployed, is_new: bool, has_conditions: bool) -> String {
    let Deployed { deployed, function, .. } = answer;
    let of_version =
        |alias: &&AliasName| function.aliases.get(*alias).is_some_and(|info| info.traffic.first() == *deployed);
    let aliases: Vec<_> = function.aliases.keys().filter(of_version).map(AliasName::as_str).collect();
    let live = function.aliases.get(&AliasName::live());
    let share = live.and_then(|live| live.traffic.second()).filter(|second| second.version == *deployed);
    let state = match (share, is_new) {
        (Some(share), _) => format!("gets {} % of live's requests", share.weight),
        (None, true) => format!("is {}", aliases.join(" and ")),
        (None, false) => format!("was there already, and is {}", aliases.join(" and ")),
    };
    let mut text = format!("{} version {deployed} {state}\n\n", function.name);
    if aliases.contains(&"live") {
        let digest: String = function.digest.to_string().chars().take(12).collect();
        let size = output::bytes(function.size_bytes);
        text = format!("{} version {deployed} ({size}, {digest}) {state}\n\n", function.name);
    }
    let alias = aliases.iter().find_map(|alias| function.aliases.get(*alias));
    text.push_str(&match alias {
        _ if function.access == Access::Private => format!("  {}\n", super::PRIVATE),
        Some(alias) => format!("  curl {}\n", alias.url),
        // It takes a key, which this sends.
        None => format!("  gust invoke {}@{deployed}\n", function.name),
    });
    let watched = function.aliases.iter().filter_map(|(name, alias)| Some((name, alias.watched.as_ref()?)));
    let watched: Vec<_> = watched.filter(|(_, watch)| watch.version == *deployed).collect();
    for (alias, watch) in &watched {
        let seconds = watch.conditions.window_s;
        text.push_str(&format!("\nwatched for {seconds} s: {alias} goes back by itself if a condition is broken\n"));
    }
    if let Some(component) = &function.component {
        text.push_str(&about(component));
    }
    if has_conditions && watched.is_empty() {
        text.push_str("\nnot watched: it takes the place of no other version, so there is nothing to go back to\n");
    }
    text
}

/// Which of its exports is called, and what its manifest keeps from it.
fn about(component: &ComponentInfo) -> String {
    let mut text = String::new();
    if let Some(world) = component.world() {
        text.push_str(&format!("\ncalled through {}\n", world.as_str()));
    }
    for import in component.that_are(Reach::Denied) {
        let keys = import.decided_by.as_deref().unwrap_or_default();
        let warning = style("warning:").yellow().bold();
        text.push_str(&format!(
            "{warning} it imports {}, of which its manifest allows nothing ({keys})\n",
            import.name
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_as_long_as_it_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.wasm");
        fs::write(&path, b"\0asm").unwrap();
        for manifest in [None, Some("name = \"a\"")] {
            let (mut form, length) = form(&path, manifest).unwrap();
            let mut bytes = Vec::new();
            form.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, length);
            assert!(bytes.ends_with(format!("\0asm\r\n--{BOUNDARY}--\r\n").as_bytes()));
        }
    }
}
