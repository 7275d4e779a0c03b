//! The measurements against other servers, as a program: `cargo xtask bench` runs it.

use std::{env, net::SocketAddr, path::PathBuf};

use anyhow::Result;
use clap::{Args, Parser};
use gust_benches::{
    figures,
    load::{self, Canned, Plan},
    refusals,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Measures gust beside other servers, and writes tables to target/bench/")]
enum Command {
    /// Loads gust, a bare hyper server and `wasmtime serve` in turns
    Load(Load),
    /// Pictures, deploys, restarts, sizes
    Figures,
    /// Guests that cannot be put back, or not cheaply
    Refusals,
    /// The ceiling: answers every request with the same bytes
    #[command(hide = true)]
    BareHyper(BareHyper),
}

#[derive(Args)]
struct Load {
    /// Turns of every server
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of load in a turn
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Connections open at the same time
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// The wasmtime to compare with; the one in PATH if there is one
    #[arg(long)]
    wasmtime: Option<PathBuf>,
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
        Command::Load(Load { rounds, seconds, connections, wasmtime }) => {
            let wasmtime = wasmtime.or_else(wasmtime_in_path);
            load::run(&Plan { rounds, seconds, connections, wasmtime })
        }
        Command::Figures => figures::run(&figures::photograph()),
        Command::Refusals => refusals::run(),
        Command::BareHyper(BareHyper { listen, headers, body }) => load::serve(listen, Canned::new(&headers, body)?),
    }
}

fn wasmtime_in_path() -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join("wasmtime")).find(|path| path.is_file())
}
