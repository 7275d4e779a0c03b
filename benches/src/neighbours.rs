//! What a small function's clients feel of others that compute without end: its latency with and without them, in turns.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::{
    generator::{Arrivals, PERCENTS, Plan, Sample, run_pinned},
    machine::Machine,
    report::Table,
    server::Gust,
    statistics::median,
};

const ROUNDS: usize = 7;

/// How long a turn is measured, in seconds.
const TURN_S: f64 = 2.0;

/// How often the small function is asked in a second.
const PER_SECOND: f64 = 500.0;

/// What its neighbour is to bear: so many requests at the same time, each computing for so long.
struct Beside {
    what: &'static str,
    target: &'static str,
    connections: usize,
}

const BESIDE: [Beside; 3] = [
    Beside { what: "4 guests that loop", target: "/hostile/loop", connections: 4 },
    Beside { what: "64 clients of a function that computes 4 ms", target: "/hostile/spin?n=4", connections: 64 },
    Beside { what: "64 clients of one that computes 40 ms", target: "/hostile/spin?n=40", connections: 64 },
];

/// Writes the table to `target/bench`.
pub fn run() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let gust = Gust::start(&dir.path().join("data"), &[])?;
    gust.deploy_as("hostile", "hostile", "[limits]\nwall_ms = 600000\ncpu_ms = 600000")?;
    gust.until_optimised("hostile")?;
    gust.deploy("hello")?;
    let mut table =
        Table::new(&["beside", "p50 us", "p99 us", "alone: p50", "p99", "p99 to alone", "their requests/s"]);
    for beside in BESIDE {
        table.row(&row(gust.server.address, &beside)?);
    }
    let heading = format!(
        "{}; the host on core 0, the load from the last one; {PER_SECOND} requests/s at random over 8 connections; medians of {ROUNDS} \
         rounds in turns of {TURN_S} s. Made by `cargo xtask bench neighbours`.",
        Machine::here()
    );
    table.write("neighbours", &heading)
}

fn row(address: SocketAddr, beside: &Beside) -> Result<Vec<String>> {
    let (mut with, mut alone, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(small(address)?);
        let (sample, answered) = among(address, beside)?;
        with.push(sample);
        theirs.push(answered);
    }
    let middle = |samples: &[Sample], percent| median(samples.iter().map(|sample| at(sample, percent)).collect());
    let [p50, p99] = [50.0, 99.0].map(|percent| middle(&with, percent));
    let [alone_p50, alone_p99] = [50.0, 99.0].map(|percent| middle(&alone, percent));
    let times = [p50, p99, alone_p50, alone_p99].map(|us| format!("{us:.0}"));
    let rest = [format!("{:.2}", p99 / alone_p99), format!("{:.0}", median(theirs))];
    Ok([beside.what.to_owned()].into_iter().chain(times).chain(rest).collect())
}

/// The small function's latency while the others are at it, and how many of theirs were answered in a second.
fn among(address: SocketAddr, beside: &Beside) -> Result<(Sample, f64)> {
    if beside.target.ends_with("loop") {
        let held: Vec<_> = (0..beside.connections).map(|_| begin(address, beside.target)).collect::<Result<_>>()?;
        // Until each has been found to go on for long.
        thread::sleep(Duration::from_millis(200));
        let sample = small(address);
        drop(held);
        return Ok((sample?, 0.0));
    }
    let (stop, answered, began) = (AtomicBool::new(false), AtomicU64::new(0), Instant::now());
    thread::scope(|scope| {
        for _ in 0..beside.connections {
            scope.spawn(|| ask(address, beside.target, &stop, &answered));
        }
        thread::sleep(Duration::from_millis(500));
        let sample = small(address);
        stop.store(true, Relaxed);
        Ok((sample?, answered.load(Relaxed) as f64 / began.elapsed().as_secs_f64()))
    })
}

/// Asks again and again, over one connection, and waits for each answer.
fn ask(address: SocketAddr, target: &str, stop: &AtomicBool, answered: &AtomicU64) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let mut answer = [0; 4096];
    while !stop.load(Relaxed) {
        request(&mut stream, target)?;
        // An answer is one write.
        ensure!(stream.read(&mut answer)? > 0, "the host ended a connection");
        answered.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// The small function's latency, as its clients see it.
pub(crate) fn small(address: SocketAddr) -> Result<Sample> {
    run_pinned(&Plan {
        address,
        target: "/hello?name=Ada".to_owned(),
        targets: 1,
        connections: 8,
        arrivals: Arrivals::Poisson,
        per_second: PER_SECOND,
        seconds: TURN_S,
        spin: true,
    })
}

fn begin(address: SocketAddr, target: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    request(&mut stream, target)?;
    Ok(stream)
}

fn request(stream: &mut TcpStream, target: &str) -> Result<()> {
    Ok(stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())?)
}

fn at(sample: &Sample, percent: f64) -> f64 {
    let place = PERCENTS.iter().position(|known| *known == percent);
    place.and_then(|place| sample.latency_us.get(place)).copied().unwrap_or(f64::NAN)
}
