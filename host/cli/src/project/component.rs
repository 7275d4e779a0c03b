//! Building a function's directory into one component.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use gust_toolchain::{TARGET, Toolchain};
use serde::Deserialize;

use super::manifest_in;

/// What begins WebAssembly, a component or a core module: the host makes a component of that, where it can.
const WASM_MAGIC: &[u8] = b"\0asm";

/// Builds as the manifest says, or with cargo. Gives the component's path.
pub fn build(dir: &Path) -> Result<PathBuf> {
    let manifest = manifest_in(dir)?.map(|file| file.manifest).unwrap_or_default();
    let component = match (manifest.build.command, manifest.build.component) {
        (Some(command), Some(component)) => {
            run(&command, dir)?;
            dir.join(component)
        }
        _ => cargo(dir)?,
    };
    let bytes =
        fs::read(&component).with_context(|| format!("the build left no component at {}", component.display()))?;
    ensure!(bytes.starts_with(WASM_MAGIC), "{} is not WebAssembly; build for the target {TARGET}", component.display());
    Ok(component)
}

fn run(command: &[String], dir: &Path) -> Result<()> {
    let [program, arguments @ ..] = command else { bail!("build.command is empty") };
    // Standard output is the command line's own, for JSON.
    let status = Command::new(program).args(arguments).current_dir(dir).stdout(Stdio::null()).status();
    let status = status.with_context(|| format!("build.command: {program} cannot be run"))?;
    ensure!(status.success(), "build.command failed: {}", command.join(" "));
    Ok(())
}

/// One of cargo's messages, as far as it matters here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

fn cargo(dir: &Path) -> Result<PathBuf> {
    ensure!(
        dir.join("Cargo.toml").exists(),
        "{} holds no Cargo.toml; begin with `gust new NAME`, or say how to build in gust.toml's [build]",
        dir.display()
    );
    let mut command = Toolchain::find_or_add()?.cargo();
    command.args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    let mut child = command.current_dir(dir).stdout(Stdio::piped()).spawn().context("cargo cannot be run")?;
    let mut component = None;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            component = built(&line?).or(component);
        }
    }
    ensure!(child.wait()?.success(), "the build failed; its errors are above");
    component.context("cargo built no component; Cargo.toml needs [lib] crate-type = [\"cdylib\"]")
}

/// The component that a line of cargo's output tells of. The last one is the function's own.
fn built(line: &str) -> Option<PathBuf> {
    let message: Message = serde_json::from_str(line).ok()?;
    let is_component = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wasm");
    (message.reason == "compiler-artifact").then(|| message.filenames.into_iter().find(is_component)).flatten()
}
