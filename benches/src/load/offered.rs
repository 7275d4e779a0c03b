//! Latency against the load that is offered: shares of what each server can take, at random instants, as from many clients.

use anyhow::{Context as _, Result};

use super::sides::{self, OFFERED, Running};
use crate::{
    generator::{Arrivals, PERCENTS, Plan, Sample, run_pinned},
    peers::Peers,
    plot,
    record::{Record, Run},
    report::Table,
    undisturbed::undisturbed,
};

/// Shares of what a server answers at most.
const SHARES: [f64; 6] = [0.1, 0.3, 0.5, 0.7, 0.8, 0.9];

/// Those that the table shows.
const TOLD: [f64; 3] = [0.3, 0.7, 0.9];

/// The share whose whole distribution is plotted.
pub const TYPICAL_SHARE: f64 = 0.7;

/// Samples of each share in a round. They are short, for a virtual machine stands still for some milliseconds a few times in
/// a second, and then none is without it.
const SAMPLES: usize = 5;

/// Connections open at the same time. A request that finds none free waits, and that counts.
const CONNECTIONS: usize = 64;

/// Runs it, and shows what came of it.
pub fn run(peers: Peers, quick: bool) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let peers = peers.find();
    let (rounds, seconds) = if quick { (1, 0.2) } else { (3, 0.3) };
    let how = format!(
        "server on core 0, our open-loop generator with {CONNECTIONS} connections on core 1, requests due at random \
         (Poisson) instants and timed from those; medians of {rounds} rounds of {SAMPLES} samples of {seconds} s; {}.",
        peers.versions()
    );
    let mut run = Run::new("offered", how, quick);
    let sides = sides::all(&peers, dir.path())?;
    for round in 1..=rounds {
        eprintln!("    round {round} of {rounds}");
        for side in sides.iter().filter(|side| OFFERED.contains(&side.name)) {
            let records = side.start().and_then(|server| turn(side.name, &server, seconds));
            run.records.extend(records.context(side.name)?);
        }
    }
    run.save()?;
    show(&run)
}

/// Writes the table and the plots to `target/bench`.
pub fn show(run: &Run) -> Result<()> {
    plot::distribution(run)?;
    plot::offered(run)?;
    table(run).publish(run)
}

fn turn(name: &str, side: &Running, seconds: f64) -> Result<Vec<Record>> {
    let plan = |arrivals, per_second, seconds| Plan {
        address: side.server.address,
        target: side.target.clone(),
        targets: 1,
        connections: CONNECTIONS,
        arrivals,
        per_second,
        seconds,
        spin: true,
    };
    run_pinned(&plan(Arrivals::AsAnswered, 0.0, 0.7))?;
    let most = plan(Arrivals::AsAnswered, 0.0, 1.0);
    let capacity = undisturbed(side.server.pid(), || run_pinned(&most))?.0.per_second;
    let mut records = Vec::new();
    for share in SHARES {
        let plan = plan(Arrivals::Poisson, share * capacity, seconds);
        let sample = || (0..SAMPLES).map(|_| run_pinned(&plan)).collect::<Result<Vec<Sample>>>();
        let (samples, is_disturbed) = undisturbed(side.server.pid(), sample)?;
        let sampled = samples.iter().map(|sample| record(name, share, capacity, sample));
        records.extend(sampled.map(|record| record.disturbed(is_disturbed)));
    }
    Ok(records)
}

fn record(name: &str, share: f64, capacity: f64, sample: &Sample) -> Record {
    let mut record = Record::new(name, Some(share), &[("capacity", capacity), ("offered", share * capacity)]);
    record.figures.insert("answered".to_owned(), sample.per_second);
    record.figures.extend(PERCENTS.iter().map(|percent| (figure(*percent), sample.at(*percent))));
    record
}

/// The name of a percentile of the latency.
pub fn figure(percent: f64) -> String {
    format!("p{percent}_us")
}

fn table(run: &Run) -> Table {
    let mut columns = vec!["server".to_owned(), "at most, requests/s".to_owned()];
    for share in TOLD {
        let percent = share * 100.0;
        columns.extend([format!("{percent:.0} %: p50 us"), "p99 us".to_owned(), "p99 to p50".to_owned()]);
    }
    let mut table = Table::new(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    for side in run.sides() {
        let capacity = run.median(side, Some(TYPICAL_SHARE), "capacity");
        let mut cells = vec![side.to_owned(), format!("{capacity:.0}")];
        for share in TOLD {
            let at = |percent| run.median(side, Some(share), &figure(percent));
            let (p50, p99) = (at(50.0), at(99.0));
            cells.extend([format!("{p50:.0}"), format!("{p99:.0}"), format!("{:.1}", p99 / p50)]);
        }
        table.row(&cells);
    }
    table
}
