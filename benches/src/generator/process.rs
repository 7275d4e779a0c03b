//! The generator as a process of its own, on a core of its own: what it is told, and what it says.

use std::env;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum as _;

use super::{Plan, Sample, run};
use crate::server::{load_core, pinned};

/// Makes the load and prints what came of it, as JSON.
pub fn say(plan: &Plan) -> Result<()> {
    println!("{}", serde_json::to_string(&run(plan)?)?);
    Ok(())
}

/// Makes the load from the core for load generators.
pub fn run_pinned(plan: &Plan) -> Result<Sample> {
    let arrivals = plan.arrivals.to_possible_value().context("every kind of arrivals has a name")?;
    let mut command = pinned(&load_core(), &env::current_exe()?);
    command.args(["generate", "--address", &plan.address.to_string(), "--target", &plan.target]);
    command.args(["--targets", &plan.targets.to_string(), "--connections", &plan.connections.to_string()]);
    command.args(["--arrivals", arrivals.get_name(), "--per-second", &plan.per_second.to_string()]);
    command.args(["--seconds", &plan.seconds.to_string()]).args(plan.spin.then_some("--spin"));
    let output = command.output().context("taskset is needed: apt-get install util-linux")?;
    ensure!(output.status.success(), "the load failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
