//! Whether anything else ran on the cores that measure. What was measured beside something else is measured again.

use std::{fs, time::Instant};

use anyhow::Result;

use crate::{
    process,
    server::{SERVER_CORE, load_core},
};

/// What others may take of a core, as a share.
const OTHERS_MAX: f64 = 0.05;

/// How often it is tried before what came of it is taken as it is.
const TRIES: usize = 4;

/// Measures something of the server `pid`, again where something else ran meanwhile on its core or the load's. Says whether
/// something did to the end.
pub fn undisturbed<T>(pid: u32, mut measure: impl FnMut() -> Result<T>) -> Result<(T, bool)> {
    let mut tries = 1;
    loop {
        let (began, before) = (Instant::now(), others_seconds(pid));
        let measured = measure()?;
        let share = (others_seconds(pid) - before) / began.elapsed().as_secs_f64();
        if share <= OTHERS_MAX {
            return Ok((measured, false));
        }
        let percent = share * 100.0;
        if tries == TRIES {
            eprintln!("    something else took {percent:.0} % of a core all the time: this machine is not quiet");
            return Ok((measured, true));
        }
        eprintln!("    something else took {percent:.0} % of a core; measuring that again");
        tries += 1;
    }
}

/// CPU time of the two cores that was neither the server's nor the load's nor this process's, in seconds.
fn others_seconds(server: u32) -> f64 {
    let ours = process::usage(server).cpu_seconds + process::own_and_childrens_cpu_seconds();
    core_seconds(SERVER_CORE) + core_seconds(&load_core()) - ours
}

/// CPU time of a core in processes, and what other machines on the same processor took of it.
fn core_seconds(core: &str) -> f64 {
    process_seconds(&fs::read_to_string("/proc/stat").unwrap_or_default(), core)
}

/// From `cpu0 user nice system idle iowait irq softirq steal`, in ticks (proc(5)). Interrupts are nobody's.
fn process_seconds(stat: &str, core: &str) -> f64 {
    let label = format!("cpu{core} ");
    let fields: Vec<f64> = stat
        .lines()
        .find_map(|line| line.strip_prefix(&label))
        .map_or("", str::trim)
        .split_whitespace()
        .map(|field| field.parse().unwrap_or_default())
        .collect();
    let ticks: f64 = [0, 1, 2, 7].iter().filter_map(|at| fields.get(*at)).sum();
    ticks / rustix::param::clock_ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_processes_took_is_added_up() {
        let stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 100 20 30 4000 5 6 7 50 0 0\ncpu10 1 1 1 1 1 1 1 1 0 0\n";
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(process_seconds(stat, "0"), 200.0 / ticks);
        assert_eq!(process_seconds(stat, "10"), 4.0 / ticks);
        assert_eq!(process_seconds(stat, "7"), 0.0);
    }
}
