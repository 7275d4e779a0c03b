//! The load generator: wrk, and what it prints.

use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

/// The core that makes the load.
const CORE: &str = "1";

/// What it saw.
pub(super) struct Load {
    pub(super) requests: u64,
    pub(super) per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// Loads `url` over this many connections, each waiting for its answer before it asks again.
pub(super) fn run(url: &str, connections: usize, seconds: u64) -> Result<Load> {
    let mut wrk = Command::new("taskset");
    wrk.args(["-c", CORE, "wrk", "-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--latency", url]);
    let output = wrk.output().context("wrk and taskset are needed: apt-get install wrk util-linux")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "wrk failed (is it installed?): {said}{text}");
    if let Some(errors) = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors")) {
        bail!("not every request was answered well: {errors}");
    }
    parse(&text).with_context(|| format!("wrk printed what is not understood: {text}"))
}

fn parse(text: &str) -> Option<Load> {
    let after = |label: &str| text.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim);
    let requests = text.lines().find(|line| line.contains(" requests in "))?;
    Some(Load {
        requests: requests.split_whitespace().next()?.parse().ok()?,
        per_second: after("Requests/sec:")?.parse().ok()?,
        p50_us: micros(after("50%")?)?,
        p99_us: micros(after("99%")?)?,
    })
}

fn micros(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number, factor)))?;
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_understood() {
        let text = "Running 1s test @ http://127.0.0.1:1/\n  Latency Distribution\n     50%  910.00us\n     \
                    99%    1.23ms\n  36500 requests in 1.00s, 5.17MB read\nRequests/sec:  36412.50\n";
        let load = parse(text).unwrap();
        assert_eq!((load.requests, load.per_second), (36500, 36412.5));
        assert_eq!((load.p50_us, load.p99_us), (910.0, 1230.0));
        assert!(parse("unable to connect").is_none());
    }
}
