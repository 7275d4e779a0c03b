//! The other figures: from an upload to its first answer, a restart, sizes.

use std::{path::Path, time::Instant};

use anyhow::{Result, ensure};

use crate::{
    component,
    machine::Machine,
    many, process,
    report::Table,
    server::{Gust, get, program, size_bytes},
    statistics::median,
};

/// Rounds of each figure.
const ROUNDS: usize = 7;

/// Measures all of them and writes the table to `target/bench/figures.md`.
pub fn run() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut table = Table::new(&["what", "figure"]);
    let mut add = |what: &str, figure: String| table.row(&[what.to_owned(), figure]);
    for function in ["raw", "hello", "image"] {
        let what = format!("{function}, from the upload's beginning to its first answer, all cores");
        add(&what, format!("{:.0} ms", first_answer(dir.path(), function)?));
    }
    let (cpu_ms, wall_ms) = restart(dir.path())?;
    add("restart with 4 functions to the first answer, CPU", format!("{cpu_ms:.0} ms"));
    add("the same, time", format!("{wall_ms:.0} ms"));
    let many = many::measure(ROUNDS)?;
    add("restart with 10,000 functions to the first answer, CPU", format!("{:.0} ms", many.restart_cpu_ms));
    add("the same, time", format!("{:.0} ms", many.restart_ms));
    add("first call of a function that is not loaded", format!("{:.2} ms", many.first_hit_ms));
    add("the next call of it", format!("{:.2} ms", many.next_hit_ms));
    add("memory of a deployed function", format!("{:.2} KiB", many.unloaded_kib));
    add("more when it is loaded", format!("{:.0} KiB", many.loaded_kib));
    add("the gust binary", mib(size_bytes(&program())?));
    for function in ["hello", "image", "markdown", "auth"] {
        add(&format!("the component {function}"), mib(size_bytes(&component(function))?));
    }
    let heading =
        format!("{}; one core, medians of {ROUNDS} rounds. Made by `cargo xtask bench figures`.", Machine::here());
    table.write("figures", &heading)
}

fn mib(bytes: u64) -> String {
    format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20))
}

fn first_answer(dir: &Path, function: &str) -> Result<f64> {
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let gust = Gust::start(&dir.join(format!("first-{function}-{round}")), &[])?;
        gust.unpin()?;
        let began = Instant::now();
        gust.upload(function)?;
        // What it answers to a request without a body is its own affair.
        let answer = get(gust.server.address, &format!("/{function}"))?;
        ensure!(answer.headers().any(|header| header.starts_with("server-timing:")), "{}", answer.head);
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(times))
}

/// CPU and elapsed milliseconds.
fn restart(dir: &Path) -> Result<(f64, f64)> {
    let dir = dir.join("restart");
    let gust = Gust::start(&dir, &[])?;
    for function in ["hello", "image", "markdown", "auth"] {
        gust.deploy(function)?;
    }
    drop(gust);
    let (mut cpu, mut wall) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let gust = Gust::start(&dir, &[])?;
        ensure!(get(gust.server.address, "/hello")?.is_success(), "hello does not answer");
        wall.push(began.elapsed().as_secs_f64() * 1e3);
        cpu.push(process::cpu_ms(gust.server.pid()));
    }
    Ok((median(cpu), median(wall)))
}
