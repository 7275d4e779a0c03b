//! The text of WASI's interfaces, for tools that read it. It comes with wasmtime's crates.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    made::{self, File},
    steps,
};

/// The crate that brings it along, and where.
const CRATE: &str = "wasmtime-wasi-http";
const BELOW: &str = "wit/deps";

/// The version that componentize-js knows. Hosts of a later one link it all the same.
const VERSION: &str = "0.2.10";

/// The packages that `wasi:http` is made of, as files below `wit/deps`, of one version.
pub fn texts() -> Result<Vec<File>> {
    let files = made::files(&directory()?)?;
    let http = files.iter().find(|(path, _)| path.as_os_str() == OsStr::new("http.wit"));
    let (_, http) = http.context("wasi:http has no text")?;
    let version = version(&String::from_utf8_lossy(http)).context("wasi:http has no version")?.to_owned();
    let of_one_version = |(path, content): File| {
        let content = String::from_utf8_lossy(&content).replace(&version, VERSION);
        (Path::new(BELOW).join(path), content.into_bytes())
    };
    Ok(files.into_iter().map(of_one_version).collect())
}

/// What a text says that its package's version is.
fn version(text: &str) -> Option<&str> {
    text.split_once("package wasi:http@")?.1.split(';').next()
}

/// Where cargo keeps it.
fn directory() -> Result<PathBuf> {
    let output = steps::cargo().args(["metadata", "--format-version", "1"]).output().context("cargo cannot be run")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let mut packages = metadata.get("packages").and_then(Value::as_array).into_iter().flatten();
    let text = |package: &Value, key: &str| package.get(key).and_then(Value::as_str).map(str::to_owned);
    let package = packages.find(|package| text(package, "name").as_deref() == Some(CRATE));
    let manifest = package.and_then(|package| text(package, "manifest_path"));
    let manifest = PathBuf::from(manifest.with_context(|| format!("{CRATE} is not depended on"))?);
    Ok(manifest.with_file_name(BELOW))
}
