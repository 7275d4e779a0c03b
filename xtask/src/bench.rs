//! `cargo xtask bench`: the microbenchmarks, then the measurements against other servers.

use std::process::Command;

use anyhow::Result;

use crate::{
    functions, project,
    steps::{self, cargo},
};

/// Builds and measures. `flags` are the load bench's; `--load-only` leaves the rest out.
pub fn run(flags: &[String]) -> Result<()> {
    let (load_only, flags): (Vec<&String>, Vec<&String>) = flags.iter().partition(|flag| *flag == "--load-only");
    functions::build()?;
    let build = ["build", "--release", "-p", "gust", "-p", "gust-benches"];
    steps::command("building gust and the benches", cargo().args(build))?;
    steps::command("load bench", measure().arg("load").args(flags))?;
    if !load_only.is_empty() {
        return Ok(());
    }
    let example = ["build", "--release", "-p", "image", "--example", "photograph"];
    let photograph = &mut cargo();
    steps::command(
        "building the native picture code",
        photograph.args(example).current_dir(project::path("functions")),
    )?;
    steps::command("other figures", measure().arg("figures"))?;
    steps::command(
        "microbenchmarks",
        cargo().args(["bench", "-p", "gust", "-p", "gust-benches", "--bench", "instance"]),
    )
}

fn measure() -> Command {
    Command::new(project::path("target/release/measure"))
}
