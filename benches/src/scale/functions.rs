//! Against the number of functions that are deployed.

use std::{fs, time::Instant};

use anyhow::Result;

use super::{HELLO, Load, TARGET, cost};
use crate::{
    component,
    record::{Record, Run},
    report::Table,
    server::Gust,
};

pub(super) const STAGE: &str = "scale-functions";

/// One function is asked, or each in turn.
const ONE: &str = "one is asked";
const EACH: &str = "each is asked in turn";

/// The host's own figures.
const HOST: &str = "host";

pub(super) fn run(counts: &[usize], quick: bool) -> Result<()> {
    let how = "server on core 0, 32 connections from another core; every function is the component hello.".to_owned();
    let mut run = Run::new(STAGE, how, quick);
    let (temporary, bytes) = (tempfile::tempdir()?, fs::read(component(HELLO))?);
    let dir = temporary.path().join("functions");
    let mut deployed = 0;
    for count in counts.iter().copied() {
        eprintln!("    {count} functions");
        let gust = Gust::start(&dir, &[])?;
        let began = Instant::now();
        for number in deployed..count {
            gust.put(&format!("f{number}"), &bytes)?;
        }
        let deploy_ms = began.elapsed().as_secs_f64() * 1e3 / (count - deployed) as f64;
        deployed = count;
        drop(gust);
        run.records.extend(point(&dir, count, deploy_ms, quick)?);
    }
    run.save()?;
    show(&run)
}

pub(super) fn show(run: &Run) -> Result<()> {
    table(run).publish(run)
}

fn point(dir: &std::path::Path, count: usize, deploy_ms: f64, quick: bool) -> Result<Vec<Record>> {
    let began = Instant::now();
    let gust = Gust::start(dir, &[])?;
    let start_ms = began.elapsed().as_secs_f64() * 1e3;
    let resident_mib = crate::process::usage(gust.server.pid()).resident_mib;
    let figures = [("deploy_ms", deploy_ms), ("start_ms", start_ms), ("resident_mib", resident_mib)];
    let (at, target) = (Some(count as f64), format!("/f{{}}{TARGET}"));
    let mut records = vec![Record::new(HOST, at, &figures)];
    for (side, targets) in [(ONE, 1), (EACH, count)] {
        let seconds = if quick { 1.0 } else { 4.0 };
        let load = Load { target: &target, targets, connections: 32, seconds };
        records.push(Record::new(side, at, &cost(&gust.server, &load)?));
    }
    Ok(records)
}

fn table(run: &Run) -> Table {
    let mut table = Table::new(&[
        "functions",
        "deploying one, ms",
        "start, ms",
        "RSS after it, MiB",
        "one asked: requests/s",
        "CPU us",
        "each in turn: requests/s",
        "CPU us",
        "RSS then, MiB",
    ]);
    for count in run.points(HOST) {
        let figure = |side, figure| run.median(side, Some(count), figure);
        table.row(&[
            format!("{count}"),
            format!("{:.1}", figure(HOST, "deploy_ms")),
            format!("{:.0}", figure(HOST, "start_ms")),
            format!("{:.0}", figure(HOST, "resident_mib")),
            format!("{:.0}", figure(ONE, "per_second")),
            format!("{:.1}", figure(ONE, "cpu_us")),
            format!("{:.0}", figure(EACH, "per_second")),
            format!("{:.1}", figure(EACH, "cpu_us")),
            format!("{:.0}", figure(EACH, "resident_mib")),
        ]);
    }
    table
}
