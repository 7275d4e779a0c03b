//! `gust rm`: away with a function.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Result;
use gust_core::FunctionName;

use super::name;
use crate::{
    args::{HostArgs, Rm},
    client::Client,
    output::{self, UsageError},
};

/// Removes it, after asking where nobody said yes yet.
pub fn run(host: &HostArgs, options: &Rm) -> Result<()> {
    let name: FunctionName = name(&options.name)?;
    let client = Client::new(host)?;
    client.function(&name)?;
    if !options.yes && !confirmed(name.as_str())? {
        return output::print("nothing was changed\n");
    }
    client.send(client.request("DELETE", &format!("/v1/functions/{name}")).body(())?)?;
    output::print(&format!("removed {name}\n"))
}

fn confirmed(name: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(UsageError(format!("removing {name} cannot be undone; say --yes")).into());
    }
    eprint!("Remove {name} and all its versions? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
