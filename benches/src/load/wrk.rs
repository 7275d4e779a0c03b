//! The load generator of others, which waits for an answer before it asks again: wrk, and what its script prints.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::{
    project,
    server::{load_core, pinned},
};

/// What it saw.
#[derive(Debug, Deserialize)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    seconds: f64,
    errors: u64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
}

impl Load {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// Loads `url` over this many connections.
pub(crate) fn run(url: &str, connections: usize, seconds: u64) -> Result<Load> {
    let mut wrk = pinned(&load_core(), "wrk".as_ref());
    wrk.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "-s"]);
    let output = wrk.arg(project("benches/src/load/wrk.lua")).arg(url).output();
    let output = output.context("taskset is needed: apt-get install util-linux")?;
    let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "wrk failed (to have it: apt-get install wrk): {said}{text}");
    let load = parse(&text).with_context(|| format!("wrk printed what is not understood: {text}"))?;
    ensure!(load.errors == 0 && load.requests > 0, "not every request was answered well: {load:?}");
    Ok(load)
}

fn parse(text: &str) -> Option<Load> {
    serde_json::from_str(text.lines().find(|line| line.starts_with('{'))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_script_prints_is_understood() {
        let text = "Running 1s test @ http://127.0.0.1:1/\n36500 requests in 1.00s, 5.17MB read\n\
                    {\"requests\":36500,\"seconds\":1.25,\"errors\":0,\"p50_us\":910.0,\"p90_us\":1000.0,\
                    \"p99_us\":1230.0,\"p999_us\":1300.0}\n";
        let load = parse(text).unwrap();
        assert_eq!((load.per_second(), load.p50_us, load.p99_us), (29200.0, 910.0, 1230.0));
        assert!(parse("unable to connect").is_none());
    }
}
