//! What functions do beside answering: they read and write key-values, call each other, and may be of WASI 0.3. Each figure beside what it is
//! to be compared with, in turns.

use std::time::Instant;

use anyhow::{Result, ensure};
use gust_core::InstanceMode;

use crate::{
    Side as _, component,
    generator::{Arrivals, Plan, run_pinned},
    hosted::Hosted,
    machine::Machine,
    peers::{self, BEST_FLAGS, Peers},
    report::Table,
    server::{Gust, Server, get},
    statistics::median,
};

/// The stage's name.
pub const STAGE: &str = "reach";

const ROUNDS: usize = 9;

/// How long a turn is, in seconds.
const TURN_S: f64 = 1.0;

/// Reads in one request.
const READS: u64 = 20_000;

/// Requests of an instance without HTTP, in a turn.
const INSTANCE_REQUESTS: u64 = 20_000;

/// What is set, in bytes.
const VALUE_BYTES: usize = 100;

/// Clients that set at the same time.
const WRITERS: [usize; 3] = [1, 64, 256];

/// What `wasmtime serve` is told for WASI 0.3.
const ASYNC_FLAGS: [&str; 2] = ["-Sp3=y", "-Wcomponent-model-async=y"];

/// And that each request gets an instance of its own: it would use each for 128, 16 of them at the same time.
const FRESH_FLAGS: [&str; 2] = ["--max-instance-reuse-count=1", "--max-instance-concurrent-reuse-count=1"];

const LIMITS: &str = "[limits]\nconcurrency = 512\ncpu_ms = 60000\nwall_ms = 60000\n";

/// Writes the table to `target/bench`.
pub fn run(peers: Peers) -> Result<()> {
    let peers = peers.find();
    let dir = tempfile::tempdir_in(crate::project("target"))?;
    let gust = Gust::start(&dir.path().join("data"), &[])?;
    let mut table = Table::new(&["", "", "beside", "", "ratio"]);
    key_values(&gust, &mut table)?;
    calls(&gust, &mut table)?;
    if let Some(wasmtime) = &peers.wasmtime {
        let flags = [&ASYNC_FLAGS[..], &FRESH_FLAGS, &BEST_FLAGS].concat();
        let theirs = peers::wasmtime_serve(wasmtime, &component("raw3"), "/hello", &flags)?;
        services(&gust, &theirs, &mut table)?;
    }
    let heading = format!(
        "{}; {}; the host on core 0, the load from the last one; medians of {ROUNDS} rounds in turns of {TURN_S} s. Made by \
         `cargo xtask bench reach`.",
        Machine::here(),
        peers.versions()
    );
    table.write(STAGE, &heading)
}

fn row(table: &mut Table, what: &str, figure: String, beside: &str, other: String, ratio: f64) {
    table.row(&[what.to_owned(), figure, beside.to_owned(), other, format!("{ratio:.2}")]);
}

/// Reads within a guest, and writes of many guests that each wait until theirs is on the disk.
fn key_values(gust: &Gust, table: &mut Table) -> Result<()> {
    let allow = format!("{LIMITS}[allow]\nkv = [\"carts\"]\n");
    gust.deploy_as("state", "state", &allow)?;
    gust.until_optimised("state")?;
    let address = gust.server.address;
    let ask = |target: &str| -> Result<f64> {
        let began = Instant::now();
        ensure!(get(address, target)?.is_success(), "{target} was not answered");
        Ok(began.elapsed().as_secs_f64() * 1e6)
    };
    ask(&format!("/state/kv/set?n={VALUE_BYTES}"))?;
    let (mut read, mut set) = (Vec::new(), WRITERS.map(|_| Vec::new()));
    for _ in 0..ROUNDS {
        let (none, all) = (ask("/state/kv/many?n=0")?, ask(&format!("/state/kv/many?n={READS}"))?);
        read.push((all - none) / READS as f64);
        for (connections, set) in WRITERS.iter().zip(&mut set) {
            let target = format!("/state/kv/set?n={VALUE_BYTES}&key=k{{}}");
            set.push(closed(&gust.server, &target, 10_000, *connections)?);
        }
    }
    let read = median(read);
    row(table, "a value that a guest reads", format!("{read:.2} us"), "to reach", "10 us".to_owned(), read / 10.0);
    for (connections, set) in WRITERS.iter().zip(set) {
        let (what, set) = (format!("durable sets, {connections} at a time"), median(set));
        row(table, &what, format!("{set:.0} a second"), "to reach", "20000 a second".to_owned(), set / 20_000.0);
    }
    Ok(())
}

/// A call of a typed function from another, beside one that nobody but the benchmark calls, without HTTP.
fn calls(gust: &Gust, table: &mut Table) -> Result<()> {
    gust.deploy("hello")?;
    gust.deploy_as("raw", "raw", &format!("{LIMITS}[allow]\nfunctions = [\"hello\"]\n"))?;
    gust.until_optimised("raw")?;
    let mut typed = Hosted::new("typed", "hello", "/?name=Ada", InstanceMode::Rewind);
    let calling = "/raw/call?url=http://hello.gust.internal/?name=Ada";
    let (mut call, mut own) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let us = |target: &str| Ok::<f64, anyhow::Error>(1e6 / closed(&gust.server, target, 1, 64)?);
        call.push(us(calling)? - us("/raw/")?);
        let began = Instant::now();
        typed.answer(INSTANCE_REQUESTS);
        own.push(began.elapsed().as_secs_f64() * 1e6 / INSTANCE_REQUESTS as f64);
    }
    let (call, own) = (median(call), median(own));
    let (what, beside) =
        ("a call of a typed function, all that it adds to its caller's request", "the function itself");
    row(table, what, format!("{call:.1} us"), beside, format!("{own:.1} us"), call / own);
    Ok(())
}

/// `Hello` of WASI 0.3 over HTTP, each request in a new instance on both sides.
fn services(gust: &Gust, theirs: &Server, table: &mut Table) -> Result<()> {
    gust.deploy_as("raw3", "raw3", LIMITS)?;
    gust.until_optimised("raw3")?;
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(closed(&gust.server, "/raw3/hello", 1, 64)?);
        others.push(closed(theirs, "/hello", 1, 64)?);
    }
    let (ours, others) = (median(ours), median(others));
    let (what, beside) = ("WASI 0.3, hello", "wasmtime serve, fresh, best flags");
    row(table, what, format!("{ours:.0} a second"), beside, format!("{others:.0} a second"), ours / others);
    Ok(())
}

/// Answers a second, of so many clients that each wait for one before they ask for the next.
fn closed(server: &Server, target: &str, targets: usize, connections: usize) -> Result<f64> {
    let (address, target) = (server.address, target.to_owned());
    let (arrivals, per_second, seconds, spin) = (Arrivals::AsAnswered, 0.0, TURN_S, true);
    Ok(run_pinned(&Plan { address, target, targets, connections, arrivals, per_second, seconds, spin })?.per_second)
}
