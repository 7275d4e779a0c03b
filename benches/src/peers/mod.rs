//! Servers of others that are compared with, where they are at hand, and how to get those that are not.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{
    machine::version,
    project,
    server::{SERVER_CORE, Server, free_address, pinned},
};

/// What `wasmtime serve` needs to be at its best with an instance for each request.
pub const BEST_FLAGS: [&str; 8] = [
    "-O",
    "pooling-memory-keep-resident=1048576",
    "-O",
    "pooling-table-keep-resident=1048576",
    "-O",
    "pooling-async-stack-keep-resident=1048576",
    "-O",
    "pooling-pagemap-scan=y",
];

/// And these to use each instance for many.
pub const REUSE_FLAGS: [&str; 2] = ["--max-instance-reuse-count", "128"];

/// Which there are.
#[derive(Debug, Clone, Default, Args)]
pub struct Peers {
    /// The wasmtime to compare with; the one in PATH if there is one
    #[arg(long, env = "BENCH_WASMTIME")]
    pub wasmtime: Option<PathBuf>,
    /// The workerd to compare with; the one in PATH if there is one
    #[arg(long, env = "BENCH_WORKERD")]
    pub workerd: Option<PathBuf>,
}

impl Peers {
    /// Looks for those that are not named. Says how to get what there is not.
    pub fn find(self) -> Self {
        let wasmtime = self.wasmtime.or_else(|| in_path("wasmtime"));
        let workerd = self.workerd.or_else(|| in_path("workerd")).map(|path| native(&path).unwrap_or(path));
        let hints = [
            (&wasmtime, "wasmtime", "cargo install wasmtime-cli --version 48.0.8, or BENCH_WASMTIME=its path"),
            (&workerd, "workerd", "npm install workerd, and its node_modules/.bin in PATH, or BENCH_WORKERD=its path"),
        ];
        for (_, name, hint) in hints.iter().filter(|(found, ..)| found.is_none()) {
            eprintln!("    {name} is not here and is left out; to have it: {hint}");
        }
        Self { wasmtime, workerd }
    }

    /// Their versions, in a few words.
    pub fn versions(&self) -> String {
        let found = [&self.wasmtime, &self.workerd].into_iter().flatten();
        let versions: Vec<_> = found.map(|program| version(program)).collect();
        if versions.is_empty() { "no other server".to_owned() } else { versions.join(", ") }
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// npm puts a script in front of workerd, which would be the process that is measured: the program that it starts.
fn native(workerd: &Path) -> Option<PathBuf> {
    let script = fs::canonicalize(workerd).ok()?;
    if !fs::read(&script).ok()?.starts_with(b"#!") {
        return None;
    }
    let modules = script.ancestors().find(|dir| dir.ends_with("node_modules"))?;
    let candidates = ["64", "arm64"].map(|cpu| modules.join(format!("@cloudflare/workerd-linux-{cpu}/bin/workerd")));
    candidates.into_iter().find(|path| path.is_file())
}

/// `wasmtime serve` with a component.
pub fn wasmtime_serve(wasmtime: &Path, component: &Path, target: &str, flags: &[&str]) -> Result<Server> {
    let address = free_address()?;
    let mut command = pinned(SERVER_CORE, wasmtime);
    command.args(["serve", "-Scli", "--addr", &address.to_string()]).args(flags).arg(component);
    // Backtraces would cost it a fifth of its speed.
    command.env("RUST_BACKTRACE", "0").stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server::start(address, &mut command)?;
    server.until_ready(target)?;
    Ok(server)
}

/// workerd with the same function in JavaScript, in the one isolate that it has for all requests.
pub fn workerd(workerd: &Path, target: &str) -> Result<Server> {
    let address = free_address()?;
    let mut command = pinned(SERVER_CORE, workerd);
    command.arg("serve").arg(project("benches/src/peers/workerd.capnp"));
    command.args(["--socket-addr", &format!("http={address}")]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server::start(address, &mut command)?;
    server.until_ready(target).context("workerd")?;
    Ok(server)
}
