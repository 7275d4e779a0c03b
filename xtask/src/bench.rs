//! `cargo xtask bench`: the measurements, stage by stage, and what became of gust since the committed results.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{
    functions, project,
    steps::{self, cargo},
};

/// What is measured, in this order.
const STAGES: [&str; 13] = [
    "load",
    "offered",
    "instance",
    "refusals",
    "neighbours",
    "reach",
    "access",
    "routes",
    "figures",
    "languages",
    "scale",
    "slow",
    "catalogue",
];

/// Those of them that have a shorter run.
const SHORTENED: [&str; 6] = ["load", "offered", "instance", "routes", "scale", "slow"];

/// What is done with what was measured.
const AFTERWARDS: [&str; 2] = ["compare", "publish"];

/// A shorter run of each stage, for a look.
const QUICK: &str = "--quick";

/// Builds, and runs the stages that are named, or all of them, then compares. `compare` and `publish` alone measure nothing.
pub fn run(arguments: &[String]) -> Result<()> {
    let (flags, stages): (Vec<&str>, Vec<&str>) =
        arguments.iter().map(String::as_str).partition(|argument| argument.starts_with('-'));
    let known = |stage: &&str| STAGES.contains(stage) || AFTERWARDS.contains(stage);
    if let Some(unknown) = flags.iter().find(|flag| **flag != QUICK).or(stages.iter().find(|stage| !known(stage))) {
        bail!("{unknown} is not known; there are {QUICK}, {} and {}", STAGES.join(", "), AFTERWARDS.join(", "));
    }
    let measured: Vec<&str> = STAGES.into_iter().filter(|stage| stages.is_empty() || stages.contains(stage)).collect();
    build(&measured)?;
    for stage in &measured {
        let quick = (!flags.is_empty() && SHORTENED.contains(stage)).then_some(QUICK);
        steps::command(&format!("bench: {stage}"), measure(stage).args(quick))?;
    }
    if !measured.is_empty() || stages.contains(&"compare") {
        steps::command("bench: compare with the committed results", &mut measure("compare"))?;
    }
    if stages.contains(&"publish") {
        steps::command("bench: publish", &mut measure("publish"))?;
    }
    Ok(())
}

fn build(measured: &[&str]) -> Result<()> {
    if !measured.is_empty() {
        functions::build()?;
    }
    let build = ["build", "--release", "-p", "gust", "-p", "gust-benches"];
    steps::command("building gust and the benches", cargo().args(build))?;
    if measured.contains(&"figures") {
        let example = ["build", "--release", "-p", "image", "--example", "photograph"];
        let mut photograph = cargo();
        photograph.args(example).current_dir(project::path("functions"));
        steps::command("building the native picture code", &mut photograph)?;
    }
    Ok(())
}

fn measure(stage: &str) -> Command {
    let mut measure = Command::new(project::path("target/release/measure"));
    measure.arg(stage);
    measure
}
