//! `gust config`: what an app's functions see.

use anyhow::Result;
use gust_core::{
    AppName,
    api::{AppInfo, Value},
};

use super::{app::path, name};
use crate::{
    args::{Config, HostArgs},
    client::Client,
    output,
};

/// Shows it or changes a value.
pub fn run(host: &HostArgs, action: &Config) -> Result<()> {
    let client = Client::new(host)?;
    match action {
        Config::Ls { app, json } => {
            let info: AppInfo = client.get(&path(&name(app)?))?;
            if *json {
                return output::print(&format!("{}\n", serde_json::to_string(&info.config)?));
            }
            let head = ["NAME", "VALUE"].map(str::to_owned).to_vec();
            let rows = info.config.into_iter().map(|(key, value)| vec![key, value]);
            output::print(&output::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()))
        }
        Config::Set { key, value, app } => {
            let app: AppName = name(app)?;
            let value = Value { value: value.clone() };
            client.send_document("PUT", &format!("{}/config/{key}", path(&app)), &value)?;
            output::print(&format!("set {key} of the app {app}\n"))
        }
        Config::Rm { key, app } => {
            let app: AppName = name(app)?;
            client.delete(&format!("{}/config/{key}", path(&app)))?;
            output::print(&format!("removed {key} of the app {app}\n"))
        }
    }
}
