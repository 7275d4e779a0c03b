//! `gust restore`: what a backup holds in the place of all that a host holds.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context as _, Result};
use console::style;
use gust_core::{
    Timestamp,
    api::{AppList, FunctionList, RestoreInfo, RestoredState},
};
use ureq::SendBody;

use crate::{
    args::{HostArgs, Restore},
    client::{self, Client},
    output,
};

/// Restores it, after asking where nobody said yes yet.
pub fn run(host: &HostArgs, options: &Restore) -> Result<()> {
    let shown = options.file.display();
    let file = File::open(&options.file).with_context(|| format!("the backup {shown}"))?;
    let length = file.metadata()?.len();
    let client = Client::new(host)?;
    if !options.yes && !confirmed(&client, &options.file)? {
        return output::print("nothing was changed\n");
    }
    let restored = upload(&client, file, length)?;
    output::print(&told(&restored))?;
    if let Some(warning) = warning(&restored) {
        eprintln!("{} {warning}", style("warning:").for_stderr().yellow().bold());
    }
    Ok(())
}

fn confirmed(client: &Client, file: &Path) -> Result<bool> {
    let (functions, apps): (FunctionList, AppList) = (client.get("/v1/functions")?, client.get("/v1/apps")?);
    let what = format!(
        "all that {} holds ({}, {}, with their versions, configuration, secrets and what they keep, and all tokens but its own)",
        client.base(),
        output::count(functions.functions.len() as u64, "function"),
        output::count(apps.apps.len() as u64, "app"),
    );
    output::confirmed(
        &format!("Replace {what} by {}?", file.display()),
        "restoring replaces all that the host holds; say --yes",
    )
}

fn upload(client: &Client, file: impl Read, length: u64) -> Result<RestoreInfo> {
    let bar = output::transfer_bar("restoring", length);
    let mut body = bar.wrap_read(file.take(length));
    let request = client
        .request("PUT", "/v1/restore")
        .header("content-type", "application/x-tar")
        .header("content-length", length)
        // A host that would refuse it says so before all of it is sent.
        .header("expect", "100-continue")
        .body(SendBody::from_reader(&mut body))?;
    let response = client.send(request);
    bar.finish_and_clear();
    client::parsed(response?)
}

fn told(restored: &RestoreInfo) -> String {
    let RestoreInfo { backup, functions, versions, apps, tokens, state, .. } = restored;
    let mut counts = vec![(functions, "function"), (versions, "version"), (apps, "app"), (tokens, "token")];
    if let Some(RestoredState { key_values, blobs }) = state {
        counts.extend([(key_values, "key-value"), (blobs, "blob")]);
    }
    let counts = counts.into_iter().map(|(count, of)| output::count(*count, of)).collect::<Vec<_>>().join(", ");
    let kept = if state.is_none() { "; what functions keep is not in it, and is as it was" } else { "" };
    format!("restored the backup of {} (gust {}): {counts}{kept}\n", Timestamp(backup.unix_ms), backup.gust)
}

/// What keeps some of the functions from being served.
fn warning(restored: &RestoreInfo) -> Option<String> {
    let apps = &restored.secrets_unreadable;
    let first = apps.first()?;
    let all = apps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Some(format!(
        "secrets of {all} were sealed with another key than this host's; functions that name one answer 503. \
         Start the host with that key (secrets.key of the data directory that the backup is of, or secrets_key_file), \
         or set all of them again: gust secret ls --app {first}, gust secret set NAME --app {first}"
    ))
}
