//! A function's directory: its manifest, its component, and how both come to be.

pub mod component;
pub mod template;

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use gust_core::{Manifest, manifest::ManifestError};

use crate::output::UsageError;

/// The manifest's name in a function's directory.
pub const MANIFEST_FILE: &str = "gust.toml";

/// A manifest and its text, which is what is uploaded.
pub struct ManifestFile {
    /// As written.
    pub text: String,
    /// As read.
    pub manifest: Manifest,
}

/// Reads the manifest at `path`. Its mistakes are told with its place.
pub fn read_manifest(path: &Path) -> Result<ManifestFile> {
    let text = fs::read_to_string(path).with_context(|| format!("the manifest {}", path.display()))?;
    // The error names the file in short.
    let in_full = |error: ManifestError| error.to_string().replacen(MANIFEST_FILE, &path.display().to_string(), 1);
    let manifest = Manifest::parse(&text).map_err(|error| UsageError(in_full(error)))?;
    Ok(ManifestFile { text, manifest })
}

/// The manifest of a function's directory, where there is one.
pub fn manifest_in(dir: &Path) -> Result<Option<ManifestFile>> {
    let path = dir.join(MANIFEST_FILE);
    if path.exists() { read_manifest(&path).map(Some) } else { Ok(None) }
}
