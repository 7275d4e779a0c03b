//! As much load as each server takes: `wrk`, which waits for an answer before it asks again.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};
use clap::Args;

use super::{
    sides::{self, BARE_HYPER, COMPARED, Running},
    wrk,
};
use crate::{
    peers::Peers,
    plot,
    process::{self, Usage},
    record::{Record, Run},
    report::Table,
    statistics::median,
    undisturbed::undisturbed,
};

/// How the load is made.
#[derive(Debug, Args)]
pub struct Plan {
    /// Turns of every server [default: 7, quick: 3]
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Seconds of load in a turn [default: 2, quick: 1]
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Connections open at the same time
    #[arg(long, default_value_t = 32)]
    pub connections: usize,
    /// Fewer and shorter turns: for a look, not for publishing
    #[arg(long)]
    pub quick: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it")]
    pub peers: Peers,
}

/// Runs it, and shows what came of it.
pub fn run(plan: Plan) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let peers = plan.peers.find();
    let (rounds, seconds) = if plan.quick { (3, 1) } else { (7, 2) };
    let (rounds, seconds) = (plan.rounds.unwrap_or(rounds), plan.seconds.unwrap_or(seconds));
    let how = format!(
        "server on core 0, `wrk -t1 -c{}` on core 1; medians of {rounds} rounds in turns of {seconds} s, each of a \
         server that was started for it and asked for a second over one connection before; {}. CPU, faults and switches are for each request.",
        plan.connections,
        peers.versions()
    );
    let mut run = Run::new("load", how, plan.quick);
    let sides = sides::all(&peers, dir.path())?;
    for round in 0..rounds {
        eprintln!("    round {} of {rounds}", round + 1);
        for side in &sides {
            let turn = side
                .start()
                .and_then(|server| undisturbed(server.server.pid(), || turn(&server, plan.connections, seconds)));
            let (figures, is_disturbed) = turn.context(side.name)?;
            let record = Record::new(side.name, None, &figures);
            run.records.push(record.in_round(round).disturbed(is_disturbed));
        }
    }
    run.save()?;
    show(&run)
}

/// Writes the table and the plot to `target/bench`.
pub fn show(run: &Run) -> Result<()> {
    plot::throughput(run)?;
    table(run).publish(run)
}

fn turn(side: &Running, connections: usize, seconds: u64) -> Result<Vec<(&'static str, f64)>> {
    let (url, pid) = (side.url(), side.server.pid());
    // It also brings the server to a steady state: pools filled, pages touched.
    let alone = wrk::run(&url, 1, 1)?;
    let before = process::usage(pid);
    let loaded = wrk::run(&url, connections, seconds)?;
    // What a server puts off is part of what a request costs it.
    thread::sleep(Duration::from_millis(20));
    let after = process::usage(pid);
    let requests = loaded.requests as f64;
    let each = |count: fn(&Usage) -> f64| (count(&after) - count(&before)) / requests;
    Ok(vec![
        ("per_second", loaded.per_second()),
        ("p50_us", loaded.p50_us),
        ("p90_us", loaded.p90_us),
        ("p99_us", loaded.p99_us),
        ("p999_us", loaded.p999_us),
        ("alone_p50_us", alone.p50_us),
        ("cpu_us", each(|usage| usage.cpu_seconds * 1e6)),
        ("minor_faults", each(|usage| usage.minor_faults as f64)),
        ("context_switches", each(|usage| usage.switches as f64)),
        ("resident_mib", after.resident_mib),
    ])
}

/// Columns, the figures in them, and their decimal places.
const COLUMNS: [(&str, &str, usize); 8] = [
    ("p50 us", "p50_us", 0),
    ("p99 us", "p99_us", 0),
    ("p50 us, 1 connection", "alone_p50_us", 0),
    ("CPU us", "cpu_us", 1),
    ("minor faults", "minor_faults", 3),
    ("context switches", "context_switches", 3),
    ("RSS MiB", "resident_mib", 0),
    ("range %", "", 0),
];

fn table(run: &Run) -> Table {
    let mut columns = vec!["server", "requests/s", "of bare hyper"];
    columns.extend(COLUMNS.iter().map(|(column, ..)| *column));
    let mut table = Table::new(&columns);
    for side in run.sides() {
        let mut cells = vec![
            side.to_owned(),
            format!("{:.0}", run.median(side, None, "per_second")),
            format!("{:.3}", ratio(run, side, BARE_HYPER)),
        ];
        cells.extend(COLUMNS.iter().map(|(_, figure, places)| match *figure {
            "" => format!("{:.0}", spread(&run.rounds(side, None, "per_second")) * 100.0),
            figure => format!("{:.places$}", run.median(side, None, figure)),
        }));
        table.row(&cells);
    }
    for note in notes(run) {
        table.note(note);
    }
    table
}

/// From the slowest round to the fastest, as a share of the middle one.
fn spread(rounds: &[f64]) -> f64 {
    let ends = rounds.iter().fold((f64::MAX, f64::MIN), |(low, high), round| (low.min(*round), high.max(*round)));
    (ends.1 - ends.0) / median(rounds.to_vec())
}

/// How many times as many requests one side answered as another, in the same round.
fn ratio(run: &Run, side: &str, other: &str) -> f64 {
    median(run.ratios(side, other, "per_second"))
}

/// What the table shows of gust's sides, in sentences.
fn notes(run: &Run) -> Vec<String> {
    let here = run.sides();
    let sentence = |(side, others): &(&str, &[&str])| {
        let others = others.iter().filter(|other| here.contains(other));
        let told = others.map(|other| format!("{:.2} of {other}", ratio(run, side, other)));
        format!("{side}, as a multiple of others: {}.", told.collect::<Vec<_>>().join("; "))
    };
    COMPARED.iter().map(sentence).collect()
}
