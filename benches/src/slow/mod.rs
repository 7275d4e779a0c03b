//! What thousands of slow clients cost a host, and what a quick one feels of them: before, while they are there, and after.

mod crowd;

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
pub use crowd::Crowd;
use crowd::Slow;

use crate::{
    generator::Sample,
    machine::Machine,
    neighbours::small,
    process,
    report::Table,
    scale::can_open,
    server::{Gust, get},
    statistics::median,
};

pub(crate) const STAGE: &str = "slow";

const ROUNDS: usize = 5;

/// Nobody is ended meanwhile, and nobody kept out.
const SETTINGS: [(&str, &str); 3] =
    [("GUST_CONNECTIONS_MAX", "19000"), ("GUST_HEADER_MS", "600000"), ("GUST_IDLE_MS", "600000")];
const MANIFEST: &str = "[limits]\nconcurrency = 19000\nwall_ms = 600000\n";

/// How much more memory is as much as before, and how long is waited for that.
const SETTLED_MIB: f64 = 16.0;
const SETTLING: Duration = Duration::from_secs(60);

struct Kind {
    what: &'static str,
    slow: Slow,
    count: usize,
    answer_bytes: usize,
}

const KINDS: [Kind; 4] = [
    Kind { what: "heads that come byte by byte", slow: Slow::Head, count: 10_000, answer_bytes: 0 },
    Kind { what: "bodies that come byte by byte", slow: Slow::Body, count: 10_000, answer_bytes: 0 },
    Kind { what: "answers of 16 KiB that are not read", slow: Slow::Answer, count: 10_000, answer_bytes: 16 << 10 },
    Kind { what: "answers of 1 MiB that are not read", slow: Slow::Answer, count: 1000, answer_bytes: 1 << 20 },
];

/// A moment of a round.
struct Moment {
    sample: Sample,
    resident_mib: f64,
}

/// Writes the table to `target/bench`.
pub fn run(quick: bool) -> Result<()> {
    let rounds = if quick { 1 } else { ROUNDS };
    let mut table = Table::new(&[
        "slow clients",
        "memory before, MiB",
        "more of it meanwhile",
        "KiB each",
        "more a minute later",
        "p50 us before, meanwhile, after",
        "p99 us before, meanwhile, after",
        "p99 meanwhile to before",
    ]);
    let kinds = KINDS.iter().filter(|kind| can_open(kind.count));
    let mut measured: Vec<(&Kind, Vec<[Moment; 3]>)> = kinds.map(|kind| (kind, Vec::new())).collect();
    for _ in 0..rounds {
        for (kind, rounds) in &mut measured {
            rounds.push(round(kind)?);
        }
    }
    for (kind, rounds) in &measured {
        table.row(&row(kind, rounds));
    }
    let heading = format!(
        "{}; the host on core 0, all clients on the last one; slow clients move a byte every ten seconds, a quick one asks 500 times a \
         second at random over 8 connections; medians of {rounds} rounds, each with a host that was just started. Made by \
         `cargo xtask bench {STAGE}`.",
        Machine::here()
    );
    table.write(STAGE, &heading)
}

fn round(kind: &Kind) -> Result<[Moment; 3]> {
    let dir = tempfile::tempdir()?;
    let gust = Gust::start(&dir.path().join("data"), &SETTINGS)?;
    for function in ["hello", "hostile"] {
        gust.deploy_as(function, function, MANIFEST)?;
        gust.until_optimised(function)?;
    }
    let address = gust.server.address;
    // What it takes to serve at all is no growth.
    small(address)?;
    let moment = || Ok::<_, anyhow::Error>(Moment { sample: small(address)?, resident_mib: resident_mib(&gust) });
    let (before, few) = (moment()?, descriptors(&gust));
    let mut crowd = Crowd::of(kind.slow, address, kind.count, kind.answer_bytes).start()?;
    until("all are open", || descriptors(&gust) >= few + kind.count)?;
    // Behind what all of them asked at once.
    get(address, "/hello")?;
    let meanwhile = moment()?;
    crowd.are_all_there()?;
    ensure!(descriptors(&gust) >= kind.count, "{} did not stay open", kind.what);
    drop(crowd);
    // The quick one's connections come and go.
    until("they are gone", || descriptors(&gust) < few + kind.count / 100)?;
    let mut after = moment()?;
    after.resident_mib = settled_mib(&gust, before.resident_mib);
    Ok([before, meanwhile, after])
}

/// Its memory when it is what it was, or after a minute: an allocator gives back later what is freed all at once.
fn settled_mib(gust: &Gust, before: f64) -> f64 {
    let began = Instant::now();
    while resident_mib(gust) > before + SETTLED_MIB && began.elapsed() < SETTLING {
        // It gives back while it works.
        let _ = get(gust.server.address, "/hello");
        thread::sleep(Duration::from_millis(100));
    }
    resident_mib(gust)
}

fn resident_mib(gust: &Gust) -> f64 {
    process::usage(gust.server.pid()).resident_mib
}

fn descriptors(gust: &Gust) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", gust.server.pid())).map_or(0, Iterator::count)
}

/// Waits until the host has noticed.
fn until(what: &str, mut is: impl FnMut() -> bool) -> Result<()> {
    let began = Instant::now();
    while !is() {
        ensure!(began.elapsed() < Duration::from_secs(30), "it does not come to this: {what}");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn row(kind: &Kind, rounds: &[[Moment; 3]]) -> Vec<String> {
    let of = |at: usize, figure: fn(&Moment) -> f64| median(rounds.iter().map(|round| figure(&round[at])).collect());
    let growth = |at: usize| median(rounds.iter().map(|r| r[at].resident_mib - r[0].resident_mib).collect());
    let three = |figure: fn(&Moment) -> f64| [0, 1, 2].map(|at| format!("{:.0}", of(at, figure))).join(", ");
    let p99: fn(&Moment) -> f64 = |moment| moment.sample.at(99.0);
    let ratio = median(rounds.iter().map(|round| p99(&round[1]) / p99(&round[0])).collect());
    vec![
        format!("{} {}", kind.count, kind.what),
        format!("{:.0}", of(0, |moment| moment.resident_mib)),
        format!("{:.0}", growth(1)),
        format!("{:.1}", growth(1) * 1024.0 / kind.count as f64),
        format!("{:.0}", growth(2)),
        three(|moment| moment.sample.at(50.0)),
        three(p99),
        format!("{ratio:.2}"),
    ]
}
