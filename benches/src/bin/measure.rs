//! The measurements as a program: `cargo xtask bench` runs it.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Result;
use clap::{Args, Parser};
use gust_benches::{
    access,
    bare_hyper::{self, Canned},
    catalogue,
    counted::Counted,
    figures, generator, instance, languages, load, neighbours,
    peers::Peers,
    picture, publish, reach, refusals, regression, routes, scale, slow,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Measures gust beside other servers, and writes records, tables and plots to target/bench/")]
enum Command {
    /// As much load as gust, a bare hyper server, `wasmtime serve` and workerd take, in turns
    Load(load::Plan),
    /// Latency of the same against the load that is offered
    Offered(Offered),
    /// One request without HTTP, on gust and on bare wasmtime
    Instance(Quick),
    /// Pictures, deploys, restarts, sizes
    Figures(Figures),
    /// Python and JavaScript, on gust and on `wasmtime serve`
    Languages,
    /// Guests that cannot be put back, or not cheaply
    Refusals,
    /// What a small function feels of others that compute without end
    Neighbours,
    /// What functions reach: key-values and each other; and functions of WASI 0.3
    Reach(Peers),
    /// What it takes to know who calls: API tokens and JSON Web Tokens
    Access,
    /// Finding a request's route among ten thousand
    Routes(Quick),
    /// What a request costs as functions, connections, bodies, cores and written pages grow
    Scale(scale::Flags),
    /// What hostile clients and guests do to gust, and to `wasmtime serve`
    Catalogue(catalogue::Flags),
    /// What thousands of slow clients cost, and what a quick one feels of them
    Slow(Quick),
    /// Compares what was measured with the committed results; fails where gust has become slower
    Compare,
    /// Writes what was measured to docs/ and benches/results/
    Publish,
    /// Makes a load and prints what came of it
    Generate(generator::Plan),
    /// Slow clients, until they are ended
    #[command(hide = true)]
    Crowd(slow::Crowd),
    /// Answers requests without HTTP, for whoever counts their instructions
    #[command(hide = true)]
    Answer(Answer),
    /// The ceiling: answers every request with the same bytes
    #[command(hide = true)]
    BareHyper(BareHyper),
}

#[derive(Args)]
struct Quick {
    /// Fewer turns: for a look, not for publishing
    #[arg(long)]
    quick: bool,
}

#[derive(Args)]
struct Figures {
    /// npm's `sharp` to compare with: its directory, or a node_modules that has it; target/peers is looked at too
    #[arg(long, env = "SHARP")]
    sharp: Option<PathBuf>,
}

#[derive(Args)]
struct Offered {
    #[command(flatten)]
    peers: Peers,
    #[command(flatten)]
    quick: Quick,
}

#[derive(Args)]
struct Answer {
    side: Counted,
    #[arg(long)]
    requests: u64,
    /// Where what is compiled is kept
    #[arg(long)]
    artifacts: PathBuf,
}

#[derive(Args)]
struct BareHyper {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long = "header")]
    headers: Vec<String>,
    #[arg(long)]
    body: String,
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Load(plan) => load::run(plan),
        Command::Offered(Offered { peers, quick }) => load::run_offered(peers, quick.quick),
        Command::Instance(Quick { quick }) => instance::run(quick),
        Command::Figures(Figures { sharp }) => {
            picture::run(&picture::photograph(), sharp).and_then(|()| figures::run())
        }
        Command::Languages => languages::run(),
        Command::Refusals => refusals::run(),
        Command::Neighbours => neighbours::run(),
        Command::Reach(peers) => reach::run(peers),
        Command::Access => access::run(),
        Command::Routes(Quick { quick }) => routes::run(quick),
        Command::Scale(flags) => scale::run(flags),
        Command::Catalogue(flags) => catalogue::run(flags),
        Command::Slow(Quick { quick }) => slow::run(quick),
        Command::Crowd(crowd) => crowd.run(),
        Command::Compare => regression::check(),
        Command::Publish => publish::run(),
        Command::Generate(plan) => generator::say(&plan),
        Command::Answer(Answer { side, requests, artifacts }) => {
            side.answer(requests, &artifacts);
            Ok(())
        }
        Command::BareHyper(BareHyper { listen, headers, body }) => {
            bare_hyper::serve(listen, Canned::new(&headers, body)?)
        }
    }
}
