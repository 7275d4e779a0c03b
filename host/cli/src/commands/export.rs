//! `gust export`: a function's component, and what another host needs to run it.

use std::{
    fs::{self, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use console::style;
use gust_core::{
    FunctionName, Manifest,
    component::{Granted, HostInfo},
};

use super::{as_file, inspected, name, read_component};
use crate::{
    args::{Export, ForHost, HostArgs},
    client::{self, Client},
    export::{COMPONENT, Exported, FILES, Files},
    output::{self, UsageError},
    project,
};

/// Tells a directory that an export made from others.
const MARK: &str = ".gust-export";

/// The largest component that is fetched, in bytes.
const COMPONENT_BYTES_MAX: u64 = 1 << 30;

/// Writes the directory.
pub fn run(host: &HostArgs, options: &Export) -> Result<()> {
    let (name, manifest, bytes) = match as_file(&options.name) {
        Some(file) => of_file(file, options)?,
        None => of_function(host, options)?,
    };
    let component = inspected(&bytes, &options.name)?.under(&Granted::from(&manifest));
    let command = command(&component.hosts, options.host)?;
    let dir = options.to.clone().unwrap_or_else(|| PathBuf::from(format!("{name}-{}", options.host.short())));
    let exported = Exported { name, manifest, component, command };
    let files = options.host.files(&exported)?;
    make(&dir)?;
    write(&dir.join(COMPONENT), &bytes, false)?;
    write(&dir.join(files.name), files.text.as_bytes(), files.is_program)?;
    output::print(&told(&exported.name, &dir, &files, options.host))
}

/// The command line that runs it there, or why none does.
fn command(hosts: &[HostInfo], wanted: ForHost) -> Result<String> {
    let about = hosts.iter().find(|host| host.host == wanted.name()).context("nothing is known of that host")?;
    match &about.command {
        Some(command) => Ok(command.clone()),
        None => bail!("{} {} cannot run it: {}", about.host, about.version, about.why_not.join("; ")),
    }
}

fn of_file(file: &Path, options: &Export) -> Result<(FunctionName, Manifest, Vec<u8>)> {
    let manifest = match &options.manifest {
        Some(path) => Some(project::read_manifest(path)?),
        None => project::manifest_in(file.parent().unwrap_or(Path::new(".")))?,
    };
    let manifest = manifest.map(|file| file.manifest).unwrap_or_default();
    let bytes = read_component(file)?;
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().replace('_', "-");
    let name = manifest.name.clone().map_or_else(|| name(&stem), Ok);
    Ok((name.context("the file is called as no function may be; give its manifest a name")?, manifest, bytes))
}

fn of_function(host: &HostArgs, options: &Export) -> Result<(FunctionName, Manifest, Vec<u8>)> {
    if options.manifest.is_some() {
        return Err(UsageError("--manifest is for a component in a file; a function has its own".to_owned()).into());
    }
    let name: FunctionName = name(&options.name)?;
    let client = Client::new(host)?;
    // Of one version, whatever is deployed meanwhile.
    let version = client.function(&name)?.version;
    let manifest: Manifest = client.get(&format!("/v1/functions/{name}/manifest?version={version}"))?;
    Ok((name.clone(), manifest, fetched(&client, &format!("/v1/functions/{name}/component?version={version}"))?))
}

fn fetched(client: &Client, path: &str) -> Result<Vec<u8>> {
    let mut response = client.send(client.request("GET", path).body(())?)?;
    let length = response.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let length = length.context(client::OTHER_VERSION)?;
    let bar = output::transfer_bar("fetching", length);
    let mut bytes = Vec::new();
    let read =
        bar.wrap_read(response.body_mut().with_config().limit(COMPONENT_BYTES_MAX).reader()).read_to_end(&mut bytes);
    bar.finish_and_clear();
    let read = read.context("the component broke off")?;
    ensure!(read as u64 == length, "the component broke off; the host's log may have the cause");
    Ok(bytes)
}

/// Has the directory ready: a new one, an empty one, or one of an earlier export, without its files.
fn make(dir: &Path) -> Result<()> {
    let shown = || format!("the directory {}", dir.display());
    fs::create_dir_all(dir).with_context(shown)?;
    let is_own = dir.join(MARK).is_file();
    if !is_own && fs::read_dir(dir).with_context(shown)?.next().is_some() {
        let message = format!("{} is not empty, and no export made it; choose another with --to DIR", dir.display());
        return Err(UsageError(message).into());
    }
    for file in FILES.iter().chain(&[COMPONENT]).filter(|_| is_own) {
        match fs::remove_file(dir.join(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).with_context(shown),
            _ => {}
        }
    }
    fs::write(dir.join(MARK), "Made by gust export, which may write it anew.\n").with_context(shown)
}

/// Writes a file that is not there.
fn write(path: &Path, bytes: &[u8], is_program: bool) -> Result<()> {
    let mode = if is_program { 0o755 } else { 0o644 };
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(bytes));
    written.with_context(|| format!("writing {}", path.display()))
}

fn told(name: &FunctionName, dir: &Path, files: &Files, host: ForHost) -> String {
    let mut text = format!("exported {name} for {} to {}\n\n", host.name(), dir.display());
    text.push_str(&format!("  cd {} && {}\n\n", dir.display(), files.next));
    for note in &files.notes {
        text.push_str(&format!("{} {note}\n", style("not as here:").yellow()));
    }
    text
}
