//! The two hosts, each started for one case, on the same terms as far as it has them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Result;

use crate::{
    component, process,
    server::{Gust, Server, all_cores, free_address, pinned},
};

/// The sides.
pub(super) const GUST: &str = "gust";
pub(super) const WASMTIME: &str = "wasmtime serve";

/// What gust is told besides, so that nothing here takes a minute.
const SETTINGS: [(&str, &str); 4] = [
    ("GUST_HEADER_MS", "2000"),
    ("GUST_IDLE_MS", "2000"),
    ("GUST_CONNECTIONS_MAX", "1000"),
    ("GUST_INSTANCES_MAX", "64"),
];

/// What `wasmtime serve` has to protect itself with, at the values of gust's limits.
pub(super) const FLAGS: [&str; 9] = [
    "-Scli",
    "-Sconfig",
    "-Smax-resources=1000",
    "-Smax-random-size=1048576",
    "-Smax-http-fields-size=65536",
    "--max-concurrent-connections",
    "1000",
    "--max-concurrent-requests",
    "64",
];

/// What a case is about, and what it allows.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// The component, which is also the function's name.
    pub(super) component: &'static str,
    /// The longest that a request takes.
    pub(super) wall_ms: u32,
    /// The most memory of an instance.
    pub(super) memory_mib: u32,
    /// Settings of gust's beside [`SETTINGS`].
    pub(super) settings: &'static [(&'static str, &'static str)],
    /// Nobody reads the log.
    pub(super) is_log_blocked: bool,
}

impl Terms {
    /// A second, and 32 MiB.
    pub(super) const fn of(component: &'static str) -> Self {
        Self { component, wall_ms: 1000, memory_mib: 32, settings: &[], is_log_blocked: false }
    }

    /// The same with more time.
    pub(super) const fn within(self, wall_ms: u32) -> Self {
        Self { wall_ms, ..self }
    }
}

/// One of them, running. Its memory, log and files are gone with it.
pub(super) struct Host {
    server: Running,
    /// What stands before a function's paths.
    prefix: String,
    log: PathBuf,
    _dir: tempfile::TempDir,
}

enum Running {
    Gust(Gust),
    Wasmtime(Server),
}

impl Host {
    pub(super) fn gust(terms: &Terms) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let log = dir.path().join("log");
        let settings = [&SETTINGS[..], terms.settings].concat();
        let gust = Gust::start_logging(&all_cores(), &dir.path().join("data"), &settings, stdio(terms, &log)?)?;
        let limits = format!("[limits]\nwall_ms = {}\nmemory_mib = {}\n", terms.wall_ms, terms.memory_mib);
        gust.deploy_as(terms.component, terms.component, &limits)?;
        gust.until_optimised(terms.component)?;
        let prefix = format!("/{}", terms.component);
        Ok(Self { server: Running::Gust(gust), prefix, log, _dir: dir })
    }

    pub(super) fn wasmtime(wasmtime: &Path, terms: &Terms) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (address, log) = (free_address()?, dir.path().join("log"));
        let mut command = pinned(&all_cores(), wasmtime);
        command.args(["serve", "--addr", &address.to_string()]).args(FLAGS);
        command.arg(format!("-Wtimeout={}ms", terms.wall_ms));
        command.arg(format!("-Wmax-memory-size={}", u64::from(terms.memory_mib) << 20)).arg(component(terms.component));
        command.stdout(stdio(terms, &log)?).stderr(Stdio::null()).env("RUST_BACKTRACE", "0");
        let server = Running::Wasmtime(Server::start(address, &mut command)?);
        let host = Self { server, prefix: String::new(), log, _dir: dir };
        host.server().until_ready(&host.harmless())?;
        Ok(host)
    }

    pub(super) fn server(&self) -> &Server {
        match &self.server {
            Running::Gust(gust) => &gust.server,
            Running::Wasmtime(server) => server,
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.server().pid()
    }

    /// Where a path of the function's is.
    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// A request that does no harm.
    pub(super) fn harmless(&self) -> String {
        // Of both components.
        self.at("/state")
    }

    /// What it wrote to its log.
    pub(super) fn log(&self) -> Result<Vec<u8>> {
        Ok(fs::read(&self.log)?)
    }

    /// Whether it has ended. What is left of a process that has not been waited for has no memory.
    pub(super) fn is_gone(&self) -> bool {
        process::usage(self.pid()).resident_mib == 0.0
    }
}

/// Where a host's log goes.
fn stdio(terms: &Terms, log: &Path) -> Result<Stdio> {
    Ok(if terms.is_log_blocked { Stdio::piped() } else { File::create(log)?.into() })
}
