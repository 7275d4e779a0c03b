//! One request without HTTP: a pristine instance, a call, and the instance is pristine again or gone. On gust's engine in
//! both worlds, and on bare wasmtime with the same settings and with pooling defaults.

use std::time::Instant;

use anyhow::Result;
use gust_core::InstanceMode;

use crate::{
    Side,
    bare::{Bare, Settings, World},
    hosted::Hosted,
    process::thread_faults,
    record::{Record, Run},
    report::Table,
};

/// What others are compared with: the same component, the same settings.
pub const BASELINE: &str = "typed, bare wasmtime, same settings";

const REQUESTS_PER_ROUND: u64 = 2000;

/// The first is what the others are compared with in the table.
fn sides() -> Vec<Box<dyn Side>> {
    use Settings::{PoolingDefaults, SameAsGust};
    let bare = |name, function, path, world, settings| Box::new(Bare::new(name, function, path, world, settings));
    vec![
        Box::new(Hosted::new("typed, gust, rewound", "hello", "/?name=Ada", InstanceMode::Rewind)),
        Box::new(Hosted::new("typed, gust, fresh", "hello", "/?name=Ada", InstanceMode::Fresh)),
        bare(BASELINE, "hello", "/?name=Ada", World::Typed, SameAsGust),
        Box::new(Hosted::new("wasi:http, gust, rewound", "raw", "/", InstanceMode::Rewind)),
        Box::new(Hosted::new("wasi:http, gust, fresh", "raw", "/", InstanceMode::Fresh)),
        bare("wasi:http, bare wasmtime, same settings", "raw", "/", World::WasiHttp, SameAsGust),
        bare(
            "wasi:http, bare wasmtime, same settings, the typed row's component",
            "hello",
            "/?name=Ada",
            World::WasiHttp,
            SameAsGust,
        ),
        bare(
            "wasi:http, bare wasmtime, pooling defaults, the typed row's component",
            "hello",
            "/?name=Ada",
            World::WasiHttp,
            PoolingDefaults,
        ),
    ]
}

/// Runs it, and shows what came of it.
pub fn run(quick: bool) -> Result<()> {
    let rounds = if quick { 11 } else { 41 };
    let how = format!("one thread; medians of {rounds} rounds in turns of {REQUESTS_PER_ROUND} requests.");
    let mut run = Run::new("instance", how, quick);
    let mut sides = sides();
    for side in &mut sides {
        side.answer(REQUESTS_PER_ROUND);
    }
    for round in 0..rounds {
        for side in &mut sides {
            let (began, before) = (Instant::now(), thread_faults());
            side.answer(REQUESTS_PER_ROUND);
            let us = began.elapsed().as_secs_f64() * 1e6 / REQUESTS_PER_ROUND as f64;
            let faults = (thread_faults() - before) as f64 / REQUESTS_PER_ROUND as f64;
            run.records.push(Record::new(side.name(), None, &[("us", us), ("faults", faults)]).in_round(round));
        }
    }
    run.save()?;
    show(&run)
}

/// Writes the table to `target/bench`.
pub fn show(run: &Run) -> Result<()> {
    table(run).publish(run)
}

fn table(run: &Run) -> Table {
    let mut table = Table::new(&["side", "us a request", "of the first", "page faults a request"]);
    let us = |side| run.median(side, None, "us");
    let sides = run.sides();
    for side in &sides {
        let of_first = us(side) / us(sides[0]);
        let faults = run.median(side, None, "faults");
        table.row(&[(*side).to_owned(), format!("{:.2}", us(side)), format!("{of_first:.2}"), format!("{faults:.3}")]);
    }
    table
}
