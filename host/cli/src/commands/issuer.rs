//! `gust issuer`: whose JSON Web Tokens an app believes.

use std::fs;

use anyhow::{Context as _, Result};
use gust_core::{
    AppName, TokenName,
    api::{AppInfo, IssuerInfo, IssuerSpec},
};

use super::{app::path, name};
use crate::{
    args::{HostArgs, Issuer},
    client::Client,
    output,
};

/// Lists or changes them.
pub fn run(host: &HostArgs, action: &Issuer) -> Result<()> {
    let client = Client::new(host)?;
    match action {
        Issuer::Ls { app, json } => {
            let info: AppInfo = client.get(&path(&name(app)?))?;
            if *json {
                return output::print(&format!("{}\n", serde_json::to_string(&info.issuers)?));
            }
            let head = ["NAME", "ISSUER", "AUDIENCES", "KEYS"].map(str::to_owned).to_vec();
            let rows = std::iter::once(head).chain(info.issuers.iter().map(row));
            output::print(&output::table(&rows.collect::<Vec<_>>()))
        }
        Issuer::Set { name: called, issuer, audiences, jwks, app } => {
            let (app, called): (AppName, TokenName) = (name(app)?, name(called)?);
            let shown = jwks.display();
            let text = fs::read_to_string(jwks).with_context(|| format!("the key set {shown}"))?;
            let jwks = serde_json::from_str(&text).with_context(|| format!("the key set {shown} is no JSON"))?;
            let spec = IssuerSpec { issuer: issuer.clone(), audiences: audiences.clone(), jwks };
            client.send_document("PUT", &format!("{}/issuers/{called}", path(&app)), &spec)?;
            output::print(&format!("the app {app} believes the tokens of {issuer}\n"))
        }
        Issuer::Rm { name: called, app } => {
            let (app, called): (AppName, TokenName) = (name(app)?, name(called)?);
            client.delete(&format!("{}/issuers/{called}", path(&app)))?;
            output::print(&format!("the app {app} believes the tokens of {called} no longer\n"))
        }
    }
}

fn row(issuer: &IssuerInfo) -> Vec<String> {
    vec![issuer.name.clone(), issuer.issuer.clone(), issuer.audiences.join(" "), issuer.keys.to_string()]
}
