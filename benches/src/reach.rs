//! What functions do beside answering: they read and write key-values, call each other, stream, and may be of WASI 0.3. Each figure beside
//! what it is to be compared with, in turns.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::Instant,
};

use anyhow::{Result, anyhow, ensure};
use gust_core::InstanceMode;

use crate::{
    Side as _, component,
    generator::{Arrivals, Plan, run_pinned},
    hosted::Hosted,
    machine::Machine,
    peers::{self, BEST_FLAGS, Peers},
    process,
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

/// Calls in one request: so few that it is over before it is one that goes on for long.
const CALLS: u32 = 10;

/// How often a GiB goes through.
const STREAMS: usize = 3;

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
    streams(&gust, &mut table)?;
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

/// A call of a typed function from another: one of several in a request, and the only one, whose caller passes the answer on. Beside the
/// function called by nobody but the benchmark, without HTTP, and with.
fn calls(gust: &Gust, table: &mut Table) -> Result<()> {
    gust.deploy("hello")?;
    gust.deploy_as("hostile", "hostile", &format!("{LIMITS}[allow]\nfunctions = [\"hello\"]\n"))?;
    gust.until_optimised("hostile")?;
    let mut typed = Hosted::new("typed", "hello", "/?name=Ada", InstanceMode::Rewind);
    let called = |n: u32| format!("/hostile/calls?n={n}&url=http://hello.gust.internal/?name=Ada");
    let only = "/hostile/call?url=http://hello.gust.internal/?name=Ada";
    let (mut call, mut first, mut own, mut served) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let us = |target: &str| Ok::<f64, anyhow::Error>(1e6 / closed(&gust.server, target, 1, 64)?);
        let none = us(&called(0))?;
        call.push((us(&called(CALLS))? - none) / f64::from(CALLS));
        first.push(us(only)? - none);
        served.push(us("/hello/?name=Ada")?);
        let began = Instant::now();
        typed.answer(INSTANCE_REQUESTS);
        own.push(began.elapsed().as_secs_f64() * 1e6 / INSTANCE_REQUESTS as f64);
    }
    let [call, first, own, served] = [call, first, own, served].map(median);
    let mut beside = |what, figure: f64, beside, other: f64| {
        row(table, what, format!("{figure:.1} us"), beside, format!("{other:.1} us"), figure / other);
    };
    beside("a call of a typed function", call, "the function itself, without HTTP", own);
    beside("the same", call, "the function, over HTTP", served);
    beside("a request's only call, passed on", first, "the function itself, without HTTP", own);
    Ok(())
}

/// What the host holds more than before while a GiB goes into a guest and out of it again.
fn streams(gust: &Gust, table: &mut Table) -> Result<()> {
    let limits = format!("{LIMITS}request_body_mib = 2048\nresponse_body_mib = 2048\n");
    for (guest, what) in [("raw", "a GiB through a guest of WASI 0.2"), ("raw3", "a GiB through a guest of WASI 0.3")] {
        gust.deploy_as(guest, guest, &limits)?;
        gust.until_optimised(guest)?;
        let target = format!("/{guest}/echo");
        echoed(gust.server.address, &target, 1 << 20)?;
        let (pid, mut grown) = (gust.server.pid(), Vec::new());
        for _ in 0..STREAMS {
            let before = process::usage(pid).resident_mib;
            process::forget_peak(pid)?;
            echoed(gust.server.address, &target, 1 << 30)?;
            grown.push(process::peak_mib(pid) - before);
        }
        let most = grown.into_iter().fold(0.0, f64::max);
        row(table, what, format!("{most:.1} MiB more"), "to reach", "8 MiB".to_owned(), most / 8.0);
    }
    Ok(())
}

/// Sends that many bytes, and takes as many back meanwhile.
fn echoed(address: SocketAddr, target: &str, bytes: usize) -> Result<()> {
    let mut sending = TcpStream::connect(address)?;
    let mut taking = sending.try_clone()?;
    let target = target.to_owned();
    let sender = thread::spawn(move || {
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n"
        );
        sending.write_all(head.as_bytes())?;
        io::copy(&mut io::repeat(b'x').take(bytes as u64), &mut sending)
    });
    let mut taken = 0;
    let mut piece = vec![0; 1 << 16];
    loop {
        match taking.read(&mut piece)? {
            0 => break,
            read => taken += read,
        }
    }
    let sent = sender.join().map_err(|_| anyhow!("whoever sends panicked"))??;
    ensure!(sent == bytes as u64 && taken > bytes, "of {bytes} bytes {taken} came back");
    Ok(())
}

/// `Hello` of WASI 0.3 over HTTP, each request in a new instance on both sides: for clients that sleep until there is an answer, whom a server
/// has to wake, as nearly all do; and for those that never sleep.
fn services(gust: &Gust, theirs: &Server, table: &mut Table) -> Result<()> {
    gust.deploy_as("raw3", "raw3", LIMITS)?;
    gust.until_optimised("raw3")?;
    for (spin, what) in [(false, "WASI 0.3, hello"), (true, "the same, for clients that never sleep")] {
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(answers(&gust.server, "/raw3/hello", 1, 64, spin)?);
            others.push(answers(theirs, "/hello", 1, 64, spin)?);
        }
        let (ours, others) = (median(ours), median(others));
        let beside = "wasmtime serve, fresh, best flags";
        row(table, what, format!("{ours:.0} a second"), beside, format!("{others:.0} a second"), ours / others);
    }
    Ok(())
}

/// Answers a second, of so many clients that each wait for one before they ask for the next, and never sleep.
fn closed(server: &Server, target: &str, targets: usize, connections: usize) -> Result<f64> {
    answers(server, target, targets, connections, true)
}

/// The same, of clients that sleep or do not.
fn answers(server: &Server, target: &str, targets: usize, connections: usize, spin: bool) -> Result<f64> {
    let (address, target) = (server.address, target.to_owned());
    let (arrivals, per_second, seconds) = (Arrivals::AsAnswered, 0.0, TURN_S);
    Ok(run_pinned(&Plan { address, target, targets, connections, arrivals, per_second, seconds, spin })?.per_second)
}
