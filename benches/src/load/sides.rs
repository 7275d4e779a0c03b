//! What is compared under load: the same hello, served in different ways.

use std::{env, path::Path, process::Stdio};

use anyhow::Result;

use super::Plan;
use crate::{
    component,
    server::{Gust, Server, free_address, get, pinned},
};

/// A component, and what is asked of it.
#[derive(Clone, Copy)]
struct Guest {
    component: &'static str,
    target: &'static str,
}

/// With both exports: gust calls it through the typed one, others through `wasi:http`.
const TYPED: Guest = Guest { component: "hello", target: "/?name=Ada" };

/// With `wasi:http` 0.2 alone, written without the SDK.
const WASI_HTTP: Guest = Guest { component: "raw", target: "/" };

/// What `wasmtime serve` needs to be at its best with an instance for each request.
const BEST_FLAGS: [&str; 8] = [
    "-O",
    "pooling-memory-keep-resident=1048576",
    "-O",
    "pooling-table-keep-resident=1048576",
    "-O",
    "pooling-async-stack-keep-resident=1048576",
    "-O",
    "pooling-pagemap-scan=y",
];

/// A server with its name in the table and the URL that is loaded.
pub(super) struct Side {
    pub(super) name: String,
    pub(super) url: String,
    server: Server,
}

impl Side {
    pub(super) fn pid(&self) -> u32 {
        self.server.pid()
    }
}

/// All that can be compared here. The first is the ceiling.
pub(super) fn all(plan: &Plan, dir: &Path) -> Result<Vec<Side>> {
    let hosted = gust("gust", &dir.join("gust"), TYPED, &[])?;
    let silent = [("GUST_LOG_REQUESTS", "false")];
    let fresh = [("GUST_REWIND", "off")];
    let mut sides = vec![
        bare_hyper(&hosted.server)?,
        hosted,
        gust("gust, no line for each request", &dir.join("silent"), TYPED, &silent)?,
        gust("gust, a new instance each", &dir.join("fresh"), TYPED, &fresh)?,
    ];
    let reused = [&BEST_FLAGS[..], &["--max-instance-reuse-count", "128"]].concat();
    if let Some(wasmtime) = &plan.wasmtime {
        sides.push(wasmtime_serve("wasmtime serve, fresh, defaults", wasmtime, TYPED, &[])?);
        sides.push(wasmtime_serve("wasmtime serve, fresh, best flags", wasmtime, TYPED, &BEST_FLAGS)?);
        sides.push(wasmtime_serve("wasmtime serve, reused 128 times, best flags", wasmtime, TYPED, &reused)?);
    }
    sides.push(gust("gust, wasi:http 0.2", &dir.join("wasi"), WASI_HTTP, &[])?);
    if let Some(wasmtime) = &plan.wasmtime {
        sides.push(wasmtime_serve("wasmtime serve, the same, fresh, best flags", wasmtime, WASI_HTTP, &BEST_FLAGS)?);
        sides.push(wasmtime_serve("wasmtime serve, the same, reused, best flags", wasmtime, WASI_HTTP, &reused)?);
    }
    Ok(sides)
}

fn gust(name: &str, dir: &Path, guest: Guest, variables: &[(&str, &str)]) -> Result<Side> {
    let gust = Gust::start(dir, variables)?;
    gust.deploy(guest.component)?;
    Ok(Side {
        name: name.to_owned(),
        url: format!("http://{}/{}{}", gust.server.address, guest.component, guest.target),
        server: gust.server,
    })
}

/// Answers what gust answers.
fn bare_hyper(gust: &Server) -> Result<Side> {
    let address = free_address()?;
    let answer = get(gust.address, &format!("/{}{}", TYPED.component, TYPED.target))?;
    let mut command = pinned(&env::current_exe()?);
    command.args(["bare-hyper", "--listen", &address.to_string(), "--body", &String::from_utf8(answer.body.clone())?]);
    for header in answer.headers().filter(|header| !is_hypers_own(header)) {
        command.args(["--header", header]);
    }
    let server = Server::start(address, &mut command)?;
    server.until_ready("/")?;
    Ok(Side { name: "bare hyper".to_owned(), url: format!("http://{address}{}", TYPED.target), server })
}

/// What hyper writes by itself.
fn is_hypers_own(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    ["connection:", "date:", "content-length:"].iter().any(|name| header.starts_with(name))
}

fn wasmtime_serve(name: &str, wasmtime: &Path, guest: Guest, flags: &[&str]) -> Result<Side> {
    let address = free_address()?;
    let mut command = pinned(wasmtime);
    command.args(["serve", "-Scli", "--addr", &address.to_string()]).args(flags);
    command.arg(component(guest.component));
    // Backtraces would cost it a fifth of its speed.
    command.env("RUST_BACKTRACE", "0").stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server::start(address, &mut command)?;
    server.until_ready(guest.target)?;
    Ok(Side { name: name.to_owned(), url: format!("http://{address}{}", guest.target), server })
}
