//! `gust backup`: all that a host holds, in one file.

use std::{
    io::{self, IsTerminal as _},
    path::Path,
};

use anyhow::{Context as _, Result};

use crate::{
    args::{Backup, HostArgs},
    client::Client,
    output::{self, UsageError},
    whole_file,
};

/// For its owner alone: it holds what functions are configured with.
const MODE: u32 = 0o600;

/// What it is called in an error.
const WHAT: &str = "the backup";

/// Writes it.
pub fn run(host: &HostArgs, options: &Backup) -> Result<()> {
    let file = &options.file;
    let is_piped = file == Path::new("-");
    if is_piped && io::stdout().is_terminal() {
        return Err(UsageError("a backup is nothing to look at; give a file, or a pipe for -".to_owned()).into());
    }
    let client = Client::new(host)?;
    let mut response = client.send(client.request("GET", "/v1/backup").body(())?)?;
    let length = response.body().content_length().context("the host does not say how large the backup is")?;
    let bar = output::transfer_bar("backing up", length);
    let mut body = bar.wrap_read(response.body_mut().as_reader());
    let written = if is_piped {
        whole_file::copy(&mut body, &mut io::stdout().lock(), length, WHAT)
    } else {
        whole_file::keep(&mut body, file, length, (WHAT, MODE))
    };
    bar.finish_and_clear();
    written?;
    if is_piped {
        return Ok(());
    }
    output::print(&format!("backed up to {} ({})\n", file.display(), output::bytes(length)))
}
