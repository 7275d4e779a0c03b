//! The load bench: the same hello on gust, on a bare hyper server that answers the same bytes, and on `wasmtime serve`.
//!
//! Every server has one core to itself, the load generator has another, and the servers take turns.

mod bare_hyper;
mod sides;
mod wrk;

use std::{path::PathBuf, thread, time::Duration};

use anyhow::{Context as _, Result};
pub use bare_hyper::{Canned, serve};
use sides::Side;

use crate::{
    median,
    process::{self, Usage},
    report::{Table, machine, version},
};

/// How the load is made.
pub struct Plan {
    /// Turns of every server.
    pub rounds: usize,
    /// Seconds of load in a turn.
    pub seconds: u64,
    /// Connections kept open at the same time.
    pub connections: usize,
    /// `wasmtime`, where there is one.
    pub wasmtime: Option<PathBuf>,
}

/// What one turn showed.
#[derive(Default)]
struct Turn {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    alone_p50_us: f64,
    cpu_us: f64,
    faults: f64,
    switches: f64,
    resident_mib: f64,
}

/// Runs it and writes the table to `target/bench/load.md`.
pub fn run(plan: &Plan) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let servers = sides::all(plan, dir.path())?;
    let mut turns: Vec<Vec<Turn>> = servers.iter().map(|_| Vec::new()).collect();
    for server in &servers {
        // To a steady state: pools filled, pages touched.
        wrk::run(&server.url, plan.connections, 1)?;
    }
    for round in 1..=plan.rounds {
        eprintln!("    round {round} of {}", plan.rounds);
        for (server, turns) in servers.iter().zip(&mut turns) {
            turns.push(turn(server, plan).with_context(|| server.name.clone())?);
        }
    }
    publish(plan, &servers, &turns)
}

fn turn(server: &Side, plan: &Plan) -> Result<Turn> {
    let before = process::usage(server.pid());
    let loaded = wrk::run(&server.url, plan.connections, plan.seconds)?;
    // What a server puts off is part of what a request costs it.
    thread::sleep(Duration::from_millis(20));
    let after = process::usage(server.pid());
    let alone = wrk::run(&server.url, 1, 1)?;
    let requests = loaded.requests as f64;
    let each = |count: fn(&Usage) -> f64| (count(&after) - count(&before)) / requests;
    Ok(Turn {
        per_second: loaded.per_second,
        p50_us: loaded.p50_us,
        p99_us: loaded.p99_us,
        alone_p50_us: alone.p50_us,
        cpu_us: each(|usage| usage.cpu_seconds * 1e6),
        faults: each(|usage| usage.minor_faults as f64),
        switches: each(|usage| usage.switches as f64),
        resident_mib: after.resident_mib,
    })
}

fn publish(plan: &Plan, servers: &[Side], turns: &[Vec<Turn>]) -> Result<()> {
    let columns = [
        "server",
        "requests/s",
        "of bare hyper",
        "p50 us",
        "p99 us",
        "p50 us, 1 connection",
        "CPU us",
        "minor faults",
        "context switches",
        "RSS MiB",
    ];
    let mut table = Table::new(&columns);
    let middle = |turns: &[Turn], what: fn(&Turn) -> f64| median(turns.iter().map(what).collect());
    let bare = turns.first().map_or(1.0, |turns| middle(turns, |turn| turn.per_second));
    for (server, turns) in servers.iter().zip(turns) {
        let per_second = middle(turns, |turn| turn.per_second);
        table.row(&[
            server.name.clone(),
            format!("{per_second:.0}"),
            format!("{:.3}", per_second / bare),
            format!("{:.0}", middle(turns, |turn| turn.p50_us)),
            format!("{:.0}", middle(turns, |turn| turn.p99_us)),
            format!("{:.0}", middle(turns, |turn| turn.alone_p50_us)),
            format!("{:.1}", middle(turns, |turn| turn.cpu_us)),
            format!("{:.3}", middle(turns, |turn| turn.faults)),
            format!("{:.3}", middle(turns, |turn| turn.switches)),
            format!("{:.0}", middle(turns, |turn| turn.resident_mib)),
        ]);
    }
    let against = plan.wasmtime.as_ref().map_or("no wasmtime at hand".to_owned(), |wasmtime| {
        version(std::process::Command::new(wasmtime).arg("--version"))
    });
    let heading = format!(
        "{}; server on core 0, `wrk -t1 -c{}` on core 1; medians of {} rounds in turns of {} s; {against}. \
         CPU, faults and switches are for each request. Made by `cargo xtask bench`.",
        machine(),
        plan.connections,
        plan.rounds,
        plan.seconds
    );
    table.publish("load.md", &heading)?;
    Ok(())
}
