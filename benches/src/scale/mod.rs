//! What a request costs as things grow: functions, connections, bodies, cores, pages that the guest writes to.

mod bodies;
mod connections;
mod cores;
mod functions;
mod pages;

use anyhow::Result;
use clap::{Args, ValueEnum};
pub(crate) use connections::can_open;

use crate::{
    bare_hyper::Canned,
    generator::{Arrivals, Plan, run_pinned},
    process::{self, Usage},
    record::Run,
    server::{Gust, Server, free_address, get, pinned},
    undisturbed::undisturbed,
};

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scale {
    /// Functions that are deployed
    Functions,
    /// Connections open at the same time
    Connections,
    /// Bytes of a body
    Bodies,
    /// Cores that serve
    Cores,
    /// Pages of memory that a request writes to
    Pages,
}

/// How it is measured.
#[derive(Debug, Args)]
pub struct Flags {
    /// What grows; all of it unless said otherwise
    #[arg(value_enum)]
    which: Vec<Scale>,
    /// How many functions there are, ascending
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 10_000])]
    functions: Vec<usize>,
    /// Fewer and shorter turns: for a look, not for publishing
    #[arg(long)]
    quick: bool,
}

/// Measures, and writes records and tables to `target/bench`.
pub fn run(flags: Flags) -> Result<()> {
    let Flags { which, mut functions, quick } = flags;
    if quick {
        functions.retain(|count| *count <= 100);
    }
    let all = Scale::value_variants();
    for scale in if which.is_empty() { all } else { &which } {
        match scale {
            Scale::Functions => functions::run(&functions, quick)?,
            Scale::Connections => connections::run(quick)?,
            Scale::Bodies => bodies::run(quick)?,
            Scale::Cores => cores::run(quick)?,
            Scale::Pages => pages::run(quick)?,
        }
    }
    Ok(())
}

/// What shows the records of a stage, its table and its plots in `target/bench`.
pub type Show = fn(&Run) -> Result<()>;

/// Its stages.
pub const STAGES: [(&str, Show); 5] = [
    (functions::STAGE, functions::show),
    (connections::STAGE, connections::show),
    (bodies::STAGE, bodies::show),
    (cores::STAGE, cores::show),
    (pages::STAGE, pages::show),
];

/// The function that is asked, and what.
const HELLO: &str = "hello";
const TARGET: &str = "/?name=Ada";

/// As much load as the server takes.
struct Load<'a> {
    target: &'a str,
    targets: usize,
    connections: usize,
    seconds: f64,
}

/// Loads a server in a steady state; what a request costs it then.
fn cost(server: &Server, load: &Load) -> Result<Vec<(&'static str, f64)>> {
    Ok(undisturbed(server.pid(), || cost_once(server, load))?.0)
}

fn cost_once(server: &Server, load: &Load) -> Result<Vec<(&'static str, f64)>> {
    let plan = |seconds| Plan {
        address: server.address,
        target: load.target.to_owned(),
        targets: load.targets,
        connections: load.connections,
        arrivals: Arrivals::AsAnswered,
        per_second: 0.0,
        seconds,
        spin: false,
    };
    run_pinned(&plan(load.seconds / 2.0))?;
    let before = process::usage(server.pid());
    let sample = run_pinned(&plan(load.seconds))?;
    let after = process::usage(server.pid());
    let each = |count: fn(&Usage) -> f64| (count(&after) - count(&before)) / sample.answered as f64;
    Ok(vec![
        ("per_second", sample.per_second),
        ("p50_us", sample.at(50.0)),
        ("p99_us", sample.at(99.0)),
        ("cpu_us", each(|usage| usage.cpu_seconds * 1e6)),
        ("resident_mib", after.resident_mib),
    ])
}

/// A bare hyper server on these cores, which answers what gust answers.
fn bare_hyper(cores: &str, gust: &Gust) -> Result<Server> {
    let answer = get(gust.server.address, &format!("/{HELLO}{TARGET}"))?;
    let address = free_address()?;
    let mut command = pinned(cores, &std::env::current_exe()?);
    command.args(["bare-hyper", "--listen", &address.to_string()]).args(Canned::arguments(&answer)?);
    let server = Server::start(address, &mut command)?;
    server.until_ready(TARGET)?;
    Ok(server)
}
