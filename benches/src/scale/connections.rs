//! Against the number of connections that are open at the same time, all of them asking.

use anyhow::Result;
use rustix::process::{Resource, getrlimit};

use super::{HELLO, Load, TARGET, bare_hyper, cost};
use crate::{
    load::{BARE_HYPER, GUST},
    record::{Record, Run},
    report::Table,
    server::{Gust, SERVER_CORE},
};

pub(super) const STAGE: &str = "scale-connections";

const CONNECTIONS: [usize; 4] = [1, 32, 1000, 10_000];

/// Descriptors that a server has beside those of its connections.
const OTHER_DESCRIPTORS: u64 = 200;

/// More than all connections, and as many requests of one function.
const CONNECTIONS_MAX: &str = "20000";
const MANIFEST: &str = "[limits]\nconcurrency = 20000\n";

pub(super) fn run(quick: bool) -> Result<()> {
    let (rounds, seconds) = if quick { (1, 1.0) } else { (3, 3.0) };
    let how = format!("server on core 0, load from another core; medians of {rounds} rounds in turns of {seconds} s.");
    let mut run = Run::new(STAGE, how, quick);
    let dir = tempfile::tempdir()?;
    let variables = [("GUST_CONNECTIONS_MAX", CONNECTIONS_MAX)];
    let gust = Gust::start(&dir.path().join("gust"), &variables)?;
    gust.deploy_as(HELLO, HELLO, MANIFEST)?;
    let bare = bare_hyper(SERVER_CORE, &gust)?;
    let target = format!("/{HELLO}{TARGET}");
    for connections in CONNECTIONS.into_iter().filter(|connections| can_open(*connections)) {
        eprintln!("    {connections} connections");
        let load = |target| Load { target, targets: 1, connections, seconds };
        for _ in 0..rounds {
            for (side, server, target) in [(BARE_HYPER, &bare, TARGET), (GUST, &gust.server, &target)] {
                let figures = cost(server, &load(target))?;
                run.records.push(Record::new(side, Some(connections as f64), &figures));
            }
        }
    }
    run.save()?;
    show(&run)
}

pub(super) fn show(run: &Run) -> Result<()> {
    table(run).publish(run)
}

/// Whether this process, and a server that it starts, may have so many. Says what it takes where not.
pub(crate) fn can_open(connections: usize) -> bool {
    let needed = connections as u64 + OTHER_DESCRIPTORS;
    let can = getrlimit(Resource::Nofile).current.is_none_or(|most| most >= needed);
    if !can {
        eprintln!("    {connections} connections are left out; to have them: ulimit -n {needed}");
    }
    can
}

fn table(run: &Run) -> Table {
    let mut table = Table::new(&[
        "connections",
        "bare hyper, requests/s",
        "gust, requests/s",
        "of bare hyper",
        "gust: p50 us",
        "p99 us",
        "CPU us",
        "RSS MiB",
    ]);
    for connections in run.points(GUST) {
        let of = |side, figure| run.median(side, Some(connections), figure);
        let (bare, ours) = (of(BARE_HYPER, "per_second"), of(GUST, "per_second"));
        table.row(&[
            format!("{connections}"),
            format!("{bare:.0}"),
            format!("{ours:.0}"),
            format!("{:.2}", ours / bare),
            format!("{:.0}", of(GUST, "p50_us")),
            format!("{:.0}", of(GUST, "p99_us")),
            format!("{:.1}", of(GUST, "cpu_us")),
            format!("{:.0}", of(GUST, "resident_mib")),
        ]);
    }
    table
}
