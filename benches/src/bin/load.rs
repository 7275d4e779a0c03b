//! The load bench as a program: `cargo xtask bench` runs it.

use std::{env, net::SocketAddr, path::PathBuf};

use anyhow::Result;
use clap::{Parser, Subcommand};
use gust_benches::load::{Canned, Plan, run, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Loads gust, a bare hyper server and `wasmtime serve` in turns, and writes a table to target/bench/load.md.
#[derive(Parser)]
struct Args {
    /// Turns of every server.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load in a turn.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Connections open at the same time.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// The wasmtime to compare with; the one in PATH if there is one.
    #[arg(long)]
    wasmtime: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// The ceiling: answers every request with the same bytes.
    #[command(hide = true)]
    BareHyper {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long = "header")]
        headers: Vec<String>,
        #[arg(long)]
        body: String,
    },
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(Command::BareHyper { listen, headers, body }) = args.command {
        return serve(listen, Canned::new(&headers, body)?);
    }
    let wasmtime = args.wasmtime.or_else(wasmtime_in_path);
    run(&Plan { rounds: args.rounds, seconds: args.seconds, connections: args.connections, wasmtime })
}

fn wasmtime_in_path() -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join("wasmtime")).find(|path| path.is_file())
}
