//! `gust secret`: what only functions see that name it. Values come from a file, a pipe or a prompt, never from the command
//! line, where others could read them.

use std::{
    fs,
    io::{self, IsTerminal as _, Read as _},
    path::Path,
};

use anyhow::{Context as _, Result};
use console::Term;
use gust_core::{
    AppName,
    api::{AppInfo, Value},
};

use super::{app::path, name};
use crate::{
    args::{HostArgs, Secret},
    client::Client,
    output::{self, UsageError},
};

/// Lists names or changes one.
pub fn run(host: &HostArgs, action: &Secret) -> Result<()> {
    let client = Client::new(host)?;
    match action {
        Secret::Ls { app, json } => {
            let info: AppInfo = client.get(&path(&name(app)?))?;
            if *json {
                return output::print(&format!("{}\n", serde_json::to_string(&info.secrets)?));
            }
            let head = vec!["NAME".to_owned()];
            let rows = info.secrets.into_iter().map(|name| vec![name]);
            output::print(&output::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()))
        }
        Secret::Set { key, from_file, app } => {
            let app: AppName = name(app)?;
            let value = Value { value: value(key, from_file.as_deref())? };
            client.send_document("PUT", &format!("{}/secrets/{key}", path(&app)), &value)?;
            output::print(&format!("set the secret {key} of the app {app}\n"))
        }
        Secret::Rm { key, app } => {
            let app: AppName = name(app)?;
            client.delete(&format!("{}/secrets/{key}", path(&app)))?;
            output::print(&format!("removed the secret {key} of the app {app}\n"))
        }
    }
}

/// What a file holds, a pipe brings or somebody types, without the line's end that editors and `echo` add.
fn value(key: &str, file: Option<&Path>) -> Result<String> {
    let mut text = match file {
        Some(path) => fs::read_to_string(path).with_context(|| format!("the secret's file {}", path.display()))?,
        None if io::stdin().is_terminal() => {
            eprint!("{key}: ");
            Term::stderr().read_secure_line()?
        }
        None => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).context("the secret is not text")?;
            if text.is_empty() {
                let error =
                    "nothing came through the pipe, so nothing was set; one that is to be empty is --from-file FILE";
                return Err(UsageError(error.to_owned()).into());
            }
            text
        }
    };
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
