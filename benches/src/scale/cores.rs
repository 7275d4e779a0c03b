//! Against the number of cores that serve.

use anyhow::Result;

use super::{HELLO, Load, TARGET, bare_hyper, cost};
use crate::{
    load::{BARE_HYPER, GUST},
    machine::Machine,
    record::{Record, Run},
    report::Table,
    server::{Gust, load_core},
};

pub(super) const STAGE: &str = "scale-cores";

/// Numbers of cores, and which.
const CORES: [(u32, &str); 2] = [(1, "0"), (2, "0,1")];

pub(super) fn run(quick: bool) -> Result<()> {
    let (rounds, seconds) = if quick { (1, 1.0) } else { (5, 2.0) };
    let shares = if load_core() == "1" { ", which is one of the two that serve" } else { "" };
    let how = format!(
        "load over 32 connections from core {}{shares}; medians of {rounds} rounds in turns of {seconds} s.",
        load_core()
    );
    let mut run = Run::new(STAGE, how, quick);
    let dir = tempfile::tempdir()?;
    for _ in 0..rounds {
        for (count, cores) in CORES.into_iter().filter(|(count, _)| *count as usize <= Machine::here().cores) {
            let gust = Gust::start_on(cores, &dir.path().join(format!("gust-{count}")), &[])?;
            gust.deploy(HELLO)?;
            let bare = bare_hyper(cores, &gust)?;
            for (side, server, target) in
                [(BARE_HYPER, &bare, TARGET), (GUST, &gust.server, &format!("/{HELLO}{TARGET}"))]
            {
                let figures = cost(server, &Load { target, targets: 1, connections: 32, seconds })?;
                run.records.push(Record::new(side, Some(f64::from(count)), &figures));
            }
        }
    }
    run.save()?;
    show(&run)
}

pub(super) fn show(run: &Run) -> Result<()> {
    table(run).publish(run)
}

fn table(run: &Run) -> Table {
    let mut table = Table::new(&["server", "cores", "requests/s", "of one core", "p99 us", "CPU us", "RSS MiB"]);
    for side in run.sides() {
        for cores in run.points(side) {
            let of = |figure| run.median(side, Some(cores), figure);
            table.row(&[
                side.to_owned(),
                format!("{cores}"),
                format!("{:.0}", of("per_second")),
                format!("{:.2}", of("per_second") / run.median(side, Some(1.0), "per_second")),
                format!("{:.0}", of("p99_us")),
                format!("{:.1}", of("cpu_us")),
                format!("{:.0}", of("resident_mib")),
            ]);
        }
    }
    table
}
