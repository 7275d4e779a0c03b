//! Long work in steps: each is named when it begins and timed when it ends.

use std::{
    io::{IsTerminal as _, stderr},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};

/// Runs a command as a step. What it prints is shown as it comes.
pub fn command(what: &str, command: &mut Command) -> Result<()> {
    step(what, || {
        let status = command.status().with_context(|| format!("{:?} cannot be run", command.get_program()))?;
        ensure!(status.success(), "{what} failed ({status})");
        Ok(())
    })
}

/// Does a step.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    let (bold, plain) = if stderr().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    eprintln!("{bold}==> {what}{plain}");
    let outcome = work();
    let word = if outcome.is_ok() { "done" } else { "failed" };
    eprintln!("{bold}<== {what}: {word} in {:.1} s{plain}", began.elapsed().as_secs_f64());
    outcome
}

/// cargo of the active toolchain, in the project's root.
pub fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(crate::project::path(""));
    cargo
}

/// Builds the command as it is shipped.
pub fn build_gust() -> Result<()> {
    command(
        "building gust (the first time takes about ten minutes)",
        cargo().args(["build", "--release", "-p", "gust"]),
    )
}
