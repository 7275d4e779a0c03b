//! What is compared under load: the same hello, served in different ways. Each side is started for its turn and ends with
//! it, so that none takes time from another, and what differs from start to start is in the spread of the rounds.

use std::{env, path::Path};

use anyhow::Result;

use crate::{
    bare_hyper::Canned,
    component,
    peers::{self, BEST_FLAGS, Peers, REUSE_FLAGS},
    server::{Answer, Gust, SERVER_CORE, Server, free_address, get, pinned},
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

/// The ceiling, which the others are compared with.
pub const BARE_HYPER: &str = "bare hyper";

/// gust as it is by default.
pub const GUST: &str = "gust";

/// The sides whose latency is shown against the load that is offered.
pub(super) const OFFERED: [&str; 7] = [BARE_HYPER, GUST, GUST_FRESH, GUST_RAW, FRESH_BEST, REUSED, WORKERD];

const GUST_SILENT: &str = "gust, no line for each request";
const GUST_FRESH: &str = "gust, a new instance each";
const GUST_RAW: &str = "gust, raw (wasi:http 0.2)";
const FRESH: &str = "wasmtime serve, fresh, defaults";
const FRESH_BEST: &str = "wasmtime serve, fresh, best flags";
const REUSED: &str = "wasmtime serve, reused 128 times, best flags";
const RAW_FRESH: &str = "wasmtime serve, raw, fresh, best flags";
const RAW_REUSED: &str = "wasmtime serve, raw, reused, best flags";
const WORKERD: &str = "workerd, one isolate for all requests";

/// What is told of each of gust's sides: the others that it is compared with.
pub(super) const COMPARED: [(&str, &[&str]); 3] = [
    (GUST, &[BARE_HYPER, FRESH, FRESH_BEST, REUSED, WORKERD]),
    (GUST_FRESH, &[BARE_HYPER, FRESH, FRESH_BEST, REUSED]),
    (GUST_RAW, &[BARE_HYPER, RAW_FRESH, RAW_REUSED]),
];

/// A running server, and what is asked of it.
pub(super) struct Running {
    pub(super) server: Server,
    pub(super) target: String,
}

impl Running {
    pub(super) fn url(&self) -> String {
        format!("http://{}{}", self.server.address, self.target)
    }
}

type Launch<'a> = Box<dyn Fn() -> Result<Running> + 'a>;

/// A server with its name in the table.
pub(super) struct Side<'a> {
    pub(super) name: &'static str,
    launch: Launch<'a>,
}

impl Side<'_> {
    /// Starts it and waits until it answers.
    pub(super) fn start(&self) -> Result<Running> {
        (self.launch)()
    }
}

/// All that can be compared here. The first is the ceiling.
pub(super) fn all<'a>(peers: &'a Peers, dir: &Path) -> Result<Vec<Side<'a>>> {
    let (hosted, canned) = gust(GUST, &dir.join("gust"), TYPED, &[])?;
    let mut sides = vec![
        bare_hyper(&canned)?,
        hosted,
        gust(GUST_SILENT, &dir.join("silent"), TYPED, &[("GUST_LOG_REQUESTS", "false")])?.0,
        gust(GUST_FRESH, &dir.join("fresh"), TYPED, &[("GUST_REWIND", "off")])?.0,
        gust(GUST_RAW, &dir.join("raw"), WASI_HTTP, &[])?.0,
    ];
    let reused = [&BEST_FLAGS[..], &REUSE_FLAGS].concat();
    if let Some(wasmtime) = &peers.wasmtime {
        sides.push(wasmtime_serve(FRESH, wasmtime, TYPED, &[]));
        sides.push(wasmtime_serve(FRESH_BEST, wasmtime, TYPED, &BEST_FLAGS));
        sides.push(wasmtime_serve(REUSED, wasmtime, TYPED, &reused));
        sides.push(wasmtime_serve(RAW_FRESH, wasmtime, WASI_HTTP, &BEST_FLAGS));
        sides.push(wasmtime_serve(RAW_REUSED, wasmtime, WASI_HTTP, &reused));
    }
    if let Some(workerd) = &peers.workerd {
        let target = TYPED.target;
        let launch = move || Ok(Running { server: peers::workerd(workerd, target)?, target: target.to_owned() });
        sides.push(Side { name: WORKERD, launch: Box::new(launch) });
    }
    Ok(sides)
}

/// Deploys, and says what the function answers. Each start finds it deployed.
fn gust<'a>(
    name: &'static str,
    dir: &Path,
    guest: Guest,
    variables: &'static [(&str, &str)],
) -> Result<(Side<'a>, Answer)> {
    let target = format!("/{}{}", guest.component, guest.target);
    let gust = Gust::start(dir, variables)?;
    gust.deploy(guest.component)?;
    let answer = get(gust.server.address, &target)?;
    let dir = dir.to_owned();
    let launch = move || Ok(Running { server: Gust::start(&dir, variables)?.server, target: target.clone() });
    Ok((Side { name, launch: Box::new(launch) }, answer))
}

/// Answers what gust answers.
fn bare_hyper<'a>(answer: &Answer) -> Result<Side<'a>> {
    let arguments = Canned::arguments(answer)?;
    let launch = move || {
        let address = free_address()?;
        let mut command = pinned(SERVER_CORE, &env::current_exe()?);
        command.args(["bare-hyper", "--listen", &address.to_string()]).args(&arguments);
        let server = Server::start(address, &mut command)?;
        server.until_ready(TYPED.target)?;
        Ok(Running { server, target: TYPED.target.to_owned() })
    };
    Ok(Side { name: BARE_HYPER, launch: Box::new(launch) })
}

fn wasmtime_serve<'a>(name: &'static str, wasmtime: &'a Path, guest: Guest, flags: &[&'static str]) -> Side<'a> {
    let flags = flags.to_vec();
    let launch = move || {
        let server = peers::wasmtime_serve(wasmtime, &component(guest.component), guest.target, &flags)?;
        Ok(Running { server, target: guest.target.to_owned() })
    };
    Side { name, launch: Box::new(launch) }
}
