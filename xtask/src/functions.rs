//! Building the example functions, with a toolchain that is found or installed.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use gust_toolchain::{FALLBACK, TARGET, Toolchain, debian};

use crate::{
    project,
    steps::{self, step},
};

/// Finds a toolchain for components; where there is none, has rustup add the target; where that cannot be, makes one out of
/// Debian's packages.
pub fn toolchain() -> Result<Toolchain> {
    if let Some(found) = Toolchain::find() {
        return Ok(found);
    }
    step("getting a toolchain for wasm32-wasip2", || match Toolchain::find_or_add() {
        Ok(added) => Ok(added),
        Err(error) => {
            eprintln!("    rustup cannot add the target; trying Debian's packages");
            debian().map_err(|why| anyhow::Error::from(error).context(format!("Debian's packages do not help: {why}")))
        }
    })
}

/// Makes the toolchain of last resort.
pub fn debian() -> Result<Toolchain> {
    Ok(debian::install(&prefix()?, |step| eprintln!("    {step}"))?)
}

/// Where the toolchain of last resort is kept: with what else can be made anew (XDG Base Directory Specification).
fn prefix() -> Result<PathBuf> {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).context("HOME is not set")?;
    Ok(cache.join("gust").join(FALLBACK))
}

/// Builds every example to one component each, in `target/functions`.
pub fn build() -> Result<Toolchain> {
    let toolchain = toolchain()?;
    let mut cargo = toolchain.cargo();
    cargo.args(["build", "--release", "--target", TARGET]).current_dir(project::path("functions"));
    steps::command(&format!("building the functions with {}", toolchain.describe()), &mut cargo)?;
    fs::create_dir_all(project::path("target/functions"))?;
    for function in project::FUNCTIONS.iter().chain(&project::TEST_GUESTS) {
        // rustc names libraries so.
        let library = function.replace('-', "_");
        let built = project::path(&format!("functions/target/{TARGET}/release/{library}.wasm"));
        fs::copy(&built, project::component(function)).with_context(|| format!("{}", built.display()))?;
    }
    Ok(toolchain)
}
