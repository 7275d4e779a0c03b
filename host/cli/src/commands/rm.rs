//! `gust rm`: away with a function.

use anyhow::Result;
use gust_core::FunctionName;

use super::name;
use crate::{
    args::{HostArgs, Rm},
    client::Client,
    output,
};

/// Removes it, after asking where nobody said yes yet.
pub fn run(host: &HostArgs, options: &Rm) -> Result<()> {
    let name: FunctionName = name(&options.name)?;
    let client = Client::new(host)?;
    client.function(&name)?;
    let (question, refusal) =
        (format!("Remove {name} and all its versions?"), format!("removing {name} cannot be undone; say --yes"));
    if !options.yes && !output::confirmed(&question, &refusal)? {
        return output::print("nothing was changed\n");
    }
    client.send(client.request("DELETE", &format!("/v1/functions/{name}")).body(())?)?;
    output::print(&format!("removed {name}\n"))
}
