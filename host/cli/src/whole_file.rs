//! Files that are whole or not there: what comes is written under another name, beside the file's own, until all of it is on the disk.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, ensure};

/// Writes what comes, which has `length` bytes, to a file of this mode. Where it fails, what was there before is there still. `what` it
/// is stands in the error.
pub fn keep(body: &mut impl Read, file: &Path, length: u64, (what, mode): (&str, u32)) -> Result<()> {
    let shown = || format!("keeping {}", file.display());
    // Where a link leads to is what is meant, and not the link.
    let file = &fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    if fs::metadata(file).is_ok_and(|metadata| !metadata.is_file()) {
        // A device or a pipe is what it is, and takes what comes.
        let mut out = OpenOptions::new().write(true).open(file).with_context(shown)?;
        return copy(body, &mut out, length, what);
    }
    let part = part(file);
    let written = write(body, &part, length, (what, mode)).and_then(|()| {
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

/// Copies what comes, which has `length` bytes. A reader that goes away is no reason to end well: somebody counts on it.
pub fn copy(body: &mut impl Read, out: &mut impl Write, length: u64, what: &str) -> Result<()> {
    let broken_off = |error: io::Error| anyhow!("{what} broke off: {error}");
    let copied = io::copy(body, out).map_err(broken_off)?;
    ensure!(copied == length, "{what} broke off; the host's log may have the cause");
    out.flush().map_err(broken_off)
}

fn part(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".part");
    name.into()
}

fn write(body: &mut impl Read, part: &Path, length: u64, (what, mode): (&str, u32)) -> Result<()> {
    let shown = || format!("writing {}", part.display());
    // Of one that was interrupted.
    let _ = fs::remove_file(part);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(mode).open(part).with_context(shown)?;
    copy(body, &mut out, length, what)?;
    out.sync_all().with_context(shown)
}
