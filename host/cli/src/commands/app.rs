//! `gust app`: functions that belong together.

use std::fs;

use anyhow::{Context as _, Result};
use gust_core::{
    AliasName, AppName, AppSpec, FunctionName, Problem,
    api::{AppInfo, AppList, BindingSpec},
};

use super::name;
use crate::{
    args::{self, HostArgs},
    client::Client,
    output::{self, UsageError},
};

/// Shows them or changes one.
pub fn run(host: &HostArgs, action: &args::App) -> Result<()> {
    let client = Client::new(host)?;
    match action {
        args::App::Ls { json } => list(&client, *json),
        args::App::Show { app, json } => show(&client, &name(app)?, *json),
        args::App::Set { app, file } => {
            let spec = match file {
                Some(path) => {
                    let text =
                        fs::read_to_string(path).with_context(|| format!("the app's document {}", path.display()))?;
                    let wrong = |problem: Problem| UsageError(format!("{}: {}", path.display(), problem.detail));
                    AppSpec::parse(&text).map_err(wrong)?
                }
                None => {
                    let app: AppName = name(app)?;
                    let list: AppList = client.get("/v1/apps")?;
                    if list.apps.iter().any(|present| present.name == app) {
                        let how = "say what it is to be with --file FILE; `gust app show` shows what it is";
                        return Err(UsageError(format!("the app {app} is there already: {how}")).into());
                    }
                    AppSpec::default()
                }
            };
            let info: AppInfo = client.put(&path(&name(app)?), &spec)?;
            output::print(&format!("the app {} is at revision {}\n", info.name, info.revision))
        }
        args::App::Rm { app } => {
            client.delete(&path(&name(app)?))?;
            output::print(&format!("removed the app {app}\n"))
        }
        args::App::Bind { app, function, alias } => {
            let (app, function): (AppName, FunctionName) = (name(app)?, name(function)?);
            let spec = BindingSpec { alias: name::<AliasName>(alias)? };
            client.send_document("PUT", &format!("{}/functions/{function}", path(&app)), &spec)?;
            output::print(&format!("{function} is in the app {app}, through its alias {}\n", spec.alias))
        }
        args::App::Unbind { app, function } => {
            let (app, function): (AppName, FunctionName) = (name(app)?, name(function)?);
            client.delete(&format!("{}/functions/{function}", path(&app)))?;
            output::print(&format!("{function} is not in the app {app} any more\n"))
        }
    }
}

/// Where the API has an app.
pub fn path(app: &AppName) -> String {
    format!("/v1/apps/{app}")
}

fn list(client: &Client, json: bool) -> Result<()> {
    let list: AppList = client.get("/v1/apps")?;
    if json {
        return output::print(&format!("{}\n", serde_json::to_string(&list)?));
    }
    let head = ["NAME", "REVISION", "FUNCTIONS", "STORED", "CPU TODAY", "HOSTS"].map(str::to_owned).to_vec();
    let row = |app: &AppInfo| {
        vec![
            app.name.to_string(),
            app.revision.to_string(),
            app.functions.len().to_string(),
            output::bytes(app.stored_bytes),
            format!("{} ms", app.cpu_ms_today),
            app.spec.hosts.join(" "),
        ]
    };
    output::print(&output::table(&std::iter::once(head).chain(list.apps.iter().map(row)).collect::<Vec<_>>()))
}

fn show(client: &Client, app: &AppName, json: bool) -> Result<()> {
    let info: AppInfo = client.get(&path(app))?;
    if json {
        return output::print(&format!("{}\n", serde_json::to_string(&info)?));
    }
    let mut pairs = vec![("name", info.name.to_string()), ("revision", info.revision.to_string())];
    pairs.extend([
        ("components", output::bytes(info.stored_bytes)),
        ("kept", output::bytes(info.kept_bytes)),
        ("cpu today", format!("{} ms", info.cpu_ms_today)),
    ]);
    let functions = info.functions.iter().map(|(function, alias)| match alias.is_live() {
        true => function.to_string(),
        false => format!("{function} (through {alias})"),
    });
    pairs.extend(output::listed("functions", functions));
    pairs.extend(output::listed("hosts", info.spec.hosts.iter().cloned()));
    let caps = info.spec.limits.by_key().filter_map(|(key, cap)| Some(format!("{key} {}", cap?)));
    pairs.extend(output::listed("limits", caps));
    let quotas = info.spec.quotas.by_key().into_iter().filter_map(|(key, quota)| Some(format!("{key} {}", quota?)));
    pairs.extend(output::listed("quotas", quotas));
    pairs.extend(output::listed("config", info.config.iter().map(|(key, value)| format!("{key} = {value}"))));
    pairs.extend(output::listed("secrets", info.secrets.iter().cloned()));
    let issuers = info.issuers.iter().map(|issuer| format!("{} ({})", issuer.name, issuer.issuer));
    pairs.extend(output::listed("issuers", issuers));
    output::print(&output::pairs(&pairs))
}
