//! `gust inspect`: all about one function, or about a component in a file.

use std::path::Path;

use anyhow::Result;
use gust_core::{
    Access, AppName, FunctionName, InstanceState, StateName, Timestamp,
    api::FunctionInfo,
    component::{ComponentInfo, Granted, HostInfo, ImportInfo, Reach},
};

use super::{alias::traffic, as_file, inspected, name, read_component};
use crate::{
    args::{HostArgs, Inspect},
    client::Client,
    output::{self, UsageError},
    project,
};

/// Shows it.
pub fn run(host: &HostArgs, options: &Inspect) -> Result<()> {
    if let Some(file) = as_file(&options.name) {
        return of_file(file, options);
    }
    if options.manifest.is_some() {
        return Err(UsageError("--manifest is for a component in a file; a function has its own".to_owned()).into());
    }
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
    pairs.extend(output::listed("goes through", info.middleware.iter().map(FunctionName::to_string)));
    pairs.extend(output::listed("may call", info.calls.iter().map(FunctionName::to_string)));
    pairs.extend(output::listed("may send to", info.outbound.iter().cloned()));
    pairs.extend(output::listed("key-values", info.kv.iter().map(StateName::to_string)));
    pairs.extend(output::listed("blobs", info.blob.iter().map(StateName::to_string)));
    let component = info.component.as_ref().map_or_else(String::new, |component| sections(component));
    output::print(&format!("{}{component}", output::pairs(&pairs)))
}

fn of_file(file: &Path, options: &Inspect) -> Result<()> {
    let mut info = inspected(&read_component(file)?, &options.name)?;
    if let Some(path) = &options.manifest {
        info = info.under(&Granted::from(&project::read_manifest(path)?.manifest));
    }
    if options.json {
        return output::print(&format!("{}\n", serde_json::to_string(&info)?));
    }
    let called = info.world().map_or_else(String::new, |world| format!("called through {}\n", world.as_str()));
    output::print(format!("{called}{}", sections(&info)).trim_start_matches('\n'))
}

fn about(info: &FunctionInfo) -> Vec<(&'static str, String)> {
    let limits = &info.limits;
    let mut pairs = vec![
        ("name", info.name.to_string()),
        ("url", if info.access == Access::Private { super::PRIVATE.to_owned() } else { info.urls.join(" ") }),
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

/// All about a component.
fn sections(info: &ComponentInfo) -> String {
    let exports = info.exports.iter().map(|name| {
        let is_called = if info.handlers.contains(name) { "a handler" } else { "" };
        vec![name.clone(), is_called.to_owned()]
    });
    let imports = info.imports.iter().map(|import| vec![import.name.clone(), reach(import)]);
    let producers = info.producers.iter();
    let producers = producers.map(|made| vec![made.kind.clone(), format!("{} {}", made.name, made.version)]);
    let hosts = info.hosts.iter().map(|host| vec![host.host.clone(), host.version.clone(), whether(host)]);
    let mut text = [
        output::section("exports", &exports.collect::<Vec<_>>()),
        output::section("imports", &imports.collect::<Vec<_>>()),
        output::section("made by", &producers.collect::<Vec<_>>()),
        output::section("holds", &holds(info)),
        output::section("runs on", &hosts.collect::<Vec<_>>()),
    ]
    .concat();
    if info.shortened {
        text.push_str("\nthere is more of it than is listed\n");
    }
    text
}

fn reach(import: &ImportInfo) -> String {
    let by = import.decided_by.as_deref().unwrap_or_default();
    match import.reach {
        Reach::Offered => "offered".to_owned(),
        Reach::Manifest => format!("offered; the manifest decides ({by})"),
        Reach::Allowed => format!("offered, and allowed ({by})"),
        Reach::Denied => format!("offered, but the manifest allows nothing ({by})"),
        Reach::Empty if by.is_empty() => "offered, with nothing to open".to_owned(),
        Reach::Empty => format!("offered, with nothing to read ({by})"),
        Reach::Missing => match &import.nearest {
            Some(nearest) => format!("not offered; the nearest is {nearest}"),
            None => "not offered".to_owned(),
        },
    }
}

fn holds(info: &ComponentInfo) -> Vec<Vec<String>> {
    let sizes = &info.sizes;
    let bytes = [
        ("code", sizes.code_bytes),
        ("data", sizes.data_bytes),
        ("types", sizes.types_bytes),
        ("names and debug", sizes.debug_bytes),
        ("other custom", sizes.custom_bytes),
        ("other", sizes.other_bytes),
    ];
    let counts = [("core modules", info.core_modules), ("memories", info.memories)];
    let bytes = bytes.iter().map(|(kind, count)| vec![(*kind).to_owned(), output::bytes(*count)]);
    bytes.chain(counts.iter().map(|(kind, count)| vec![(*kind).to_owned(), count.to_string()])).collect()
}

fn whether(host: &HostInfo) -> String {
    match &host.command {
        Some(command) if host.runs => format!("yes: {command}"),
        _ => format!("no: {}", host.why_not.join("; ")),
    }
}
