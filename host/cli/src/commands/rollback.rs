//! `gust rollback`: back to an earlier version.

use anyhow::Result;
use gust_core::{
    AliasName, FunctionName,
    api::{self, AliasInfo},
};

use super::{alias::traffic, name};
use crate::{
    args::{HostArgs, Rollback},
    client::{self, Client},
    output,
};

/// Has the alias go back.
pub fn run(host: &HostArgs, options: &Rollback) -> Result<()> {
    let (function, alias): (FunctionName, AliasName) = (name(&options.name)?, name(&options.alias)?);
    let client = Client::new(host)?;
    let mut request = client.request("POST", &format!("/v1/functions/{function}/rollback"));
    if options.to.is_none() {
        // The version before is meant as seen from the present one, whatever others do meanwhile.
        let (_, seen) = client.tagged_function(&function)?;
        request = request.header("if-match", seen);
    }
    let document = api::Rollback { alias: Some(alias.clone()), to: options.to };
    let request = request.header("content-type", "application/json").body(serde_json::to_vec(&document)?)?;
    let info: AliasInfo = client::parsed(client.send(request)?)?;
    output::print(&format!(
        "{alias} of {function} is version {} again\n\n  curl {}\n",
        traffic(&info.traffic),
        info.url
    ))
}
