//! `gust blob`: blobs that functions keep, to be put there and fetched.

use std::{
    fs::{self, File},
    io::{self, IsTerminal as _, Read, Write as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use gust_core::{AppName, StateName, api::BlobList, one_line};
use ureq::SendBody;

use super::{
    app::path,
    name,
    pages::{self, encoded},
};
use crate::{
    args::{Blob, HostArgs},
    client::Client,
    output::{self, UsageError},
    whole_file,
};

/// As any program's new files, but for what the user's mask takes away.
const MODE: u32 = 0o666;

/// Lists blobs, or writes, reads or removes one.
pub fn run(host: &HostArgs, action: &Blob) -> Result<()> {
    let client = Client::new(host)?;
    match action {
        Blob::Ls { container: Some(container), prefix, app, json } => {
            let blobs = pages::all(&client, &place(app, container)?, prefix, |page: BlobList| (page.blobs, page.next))?;
            pages::print(blobs, *json, &["NAME", "SIZE"], |blob| vec![blob.name, output::bytes(blob.size_bytes)])
        }
        Blob::Ls { container: None, prefix, app, json } => {
            pages::print_places(&client, &format!("{}/blobs", path(&name(app)?)), prefix, *json, "CONTAINER")
        }
        Blob::Put { container, file, name, app } => {
            let name = name.as_deref().or_else(|| file.file_name()?.to_str()).filter(|name| *name != "-");
            let name = name.ok_or_else(|| UsageError("say what the blob is to be called".to_owned()))?;
            let bytes = put(&client, &of_name(app, container, name)?, file)?;
            let shown = output::bytes(bytes);
            output::print(&format!("put {} into {container} of the app {app} ({shown})\n", one_line(name)))
        }
        Blob::Get { container, name, output, app } => get(&client, &of_name(app, container, name)?, output.as_deref()),
        Blob::Rm { container, name, app } => {
            client.delete(&of_name(app, container, name)?)?;
            output::print(&format!("removed {} from {container} of the app {app}\n", one_line(name)))
        }
    }
}

/// Writes a file, or what comes through the pipe. Gives how many bytes that were.
fn put(client: &Client, url: &str, file: &Path) -> Result<u64> {
    let request = client.request("PUT", url).header("content-type", "application/octet-stream");
    if file == Path::new("-") {
        let mut counted = Counted { from: io::stdin().lock(), bytes: 0 };
        client.send(request.body(SendBody::from_reader(&mut counted))?)?;
        return Ok(counted.bytes);
    }
    let opened = File::open(file).with_context(|| format!("the file {}", file.display()))?;
    let length = opened.metadata()?.len();
    let bar = output::transfer_bar("putting", length);
    let mut body = bar.wrap_read(opened);
    let request = request.header("content-length", length);
    // A host that would refuse it says so before all of it is sent.
    let sent = client.send(request.header("expect", "100-continue").body(SendBody::from_reader(&mut body))?);
    bar.finish_and_clear();
    sent?;
    Ok(length)
}

fn get(client: &Client, url: &str, output: Option<&Path>) -> Result<()> {
    if output.is_none() && io::stdout().is_terminal() {
        return Err(UsageError("a blob may be anything; give --output FILE, or a pipe".to_owned()).into());
    }
    let mut response = client.send(client.request("GET", url).body(())?)?;
    let length = response.body().content_length().context("the host does not say how large the blob is")?;
    let bar = output::transfer_bar("getting", length);
    let mut body = bar.wrap_read(response.body_mut().as_reader());
    let copied = match output {
        Some(file) => whole_file::keep(&mut body, file, length, ("the blob", mode_of(file))).map(|()| length),
        None => io::copy(&mut body, &mut io::stdout().lock()).map_err(Into::into),
    };
    bar.finish_and_clear();
    ensure!(copied? == length, "the blob broke off; the host's log may have the cause");
    Ok(io::stdout().flush()?)
}

/// The mode that a file has, where it is there, so that one that nobody else may read stays so.
fn mode_of(file: &Path) -> u32 {
    fs::metadata(file).map_or(MODE, |metadata| metadata.mode() & MODE)
}

/// Counts what is read.
struct Counted<R> {
    from: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

fn place(app: &str, container: &str) -> Result<String> {
    let (app, container): (AppName, StateName) = (name(app)?, name(container)?);
    Ok(format!("{}/blobs/{container}", path(&app)))
}

fn of_name(app: &str, container: &str, name: &str) -> Result<String> {
    Ok(format!("{}/{}", place(app, container)?, encoded(name)))
}
