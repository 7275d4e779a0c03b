//! `gust backup`: all that a host holds, in one file.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal as _, Read, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::{
    args::{Backup, HostArgs},
    client::Client,
    output::{self, UsageError},
};

/// For its owner alone: it holds what functions are configured with.
const MODE: u32 = 0o600;

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
    let written =
        if is_piped { copy(&mut body, &mut io::stdout().lock(), length) } else { keep(&mut body, file, length) };
    bar.finish_and_clear();
    written?;
    if is_piped {
        return Ok(());
    }
    output::print(&format!("backed up to {} ({})\n", file.display(), output::bytes(length)))
}

/// Writes a file that is whole or not there: under another name until it is on the disk.
fn keep(body: &mut impl Read, file: &Path, length: u64) -> Result<()> {
    let part = part(file);
    let shown = || format!("keeping {}", file.display());
    let written = write(body, &part, length).and_then(|()| {
        fs::rename(&part, file).with_context(shown)?;
        // The name is on the disk too, before it is said to be.
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).with_context(shown)
    });
    if written.is_err() {
        // What went wrong is told already.
        let _ = fs::remove_file(&part);
    }
    written
}

fn part(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".part");
    name.into()
}

fn write(body: &mut impl Read, part: &Path, length: u64) -> Result<()> {
    let shown = || format!("writing {}", part.display());
    // Of one that was interrupted.
    let _ = fs::remove_file(part);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(MODE).open(part).with_context(shown)?;
    copy(body, &mut out, length)?;
    out.sync_all().with_context(shown)
}

fn copy(body: &mut impl Read, out: &mut impl Write, length: u64) -> Result<()> {
    // A reader that goes away is no reason to end well here: somebody counts on the backup.
    let broken_off = |error: io::Error| anyhow!("the backup broke off: {error}");
    let copied = io::copy(body, out).map_err(broken_off)?;
    ensure!(copied == length, "the backup broke off; the host's log may have the cause");
    out.flush().map_err(broken_off)
}
