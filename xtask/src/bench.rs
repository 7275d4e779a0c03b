//! `cargo xtask bench`: the microbenchmarks, then the side-by-side load bench.

use std::process::Command;

use anyhow::Result;

use crate::{functions, project, steps};

/// Builds and measures. `flags` are the load bench's; `--load-only` leaves the microbenchmarks out.
pub fn run(flags: &[String]) -> Result<()> {
    functions::build()?;
    steps::build_host()?;
    let (only, flags): (Vec<&String>, Vec<&String>) = flags.iter().partition(|flag| *flag == "--load-only");
    if only.is_empty() {
        steps::command("microbenchmarks", steps::cargo().args(["bench", "--workspace", "--bench", "instance"]))?;
    }
    let mut load = Command::new(project::path("target/release/load"));
    steps::command("load bench", load.args(flags).current_dir(project::path("")))
}
