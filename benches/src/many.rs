//! Many functions on one host: what a start costs with ten thousand of them, what a first call of one costs, and what each
//! takes of memory.
//!
//! The data are kept in memory (`/dev/shm`) where there is such a place: ten thousand deploys would otherwise mostly wait for
//! the disk, and none of it is measured here.

use std::{fs, path::Path, time::Instant};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{
    component, process,
    server::{Gust, get},
    statistics::median,
};

/// Functions of the large host.
pub const MANY: usize = 10_000;

/// Functions that are loaded, each of another component.
pub const LOADED: usize = 200;

/// Where data that need not last are quick.
const MEMORY_DIR: &str = "/dev/shm";

/// What was measured.
pub struct Many {
    /// CPU of a start until the first answer, in milliseconds.
    pub restart_cpu_ms: f64,
    /// The time of it.
    pub restart_ms: f64,
    /// A first call of a function that is not loaded, connection included, in milliseconds.
    pub first_hit_ms: f64,
    /// The next call of it.
    pub next_hit_ms: f64,
    /// What a deployed function takes, in KiB.
    pub unloaded_kib: f64,
    /// What it takes more when it is loaded.
    pub loaded_kib: f64,
}

/// Measures all of it, some of it `rounds` times.
pub fn measure(rounds: usize) -> Result<Many> {
    let dir = scratch()?;
    let (restart_cpu_ms, restart_ms, unloaded_kib) = many(dir.path(), rounds)?;
    let (first_hit_ms, next_hit_ms, loaded_kib) = loaded(dir.path())?;
    Ok(Many { restart_cpu_ms, restart_ms, first_hit_ms, next_hit_ms, unloaded_kib, loaded_kib })
}

fn scratch() -> Result<TempDir> {
    let dir = if Path::new(MEMORY_DIR).is_dir() { tempfile::tempdir_in(MEMORY_DIR) } else { tempfile::tempdir() };
    dir.context("no directory for the data")
}

fn name(n: usize) -> String {
    format!("function-{n}")
}

/// CPU and elapsed milliseconds of a restart with many functions, and KiB for each of them.
fn many(dir: &Path, rounds: usize) -> Result<(f64, f64, f64)> {
    let (dir, hello) = (dir.join("many"), fs::read(component("hello"))?);
    let gust = Gust::start(&dir, &[])?;
    gust.put(&name(0), &hello)?;
    gust.until_optimised(&name(0))?;
    drop(gust);
    let with_one = restarted(&dir, rounds)?;
    let gust = Gust::start(&dir, &[])?;
    for n in 1..MANY {
        gust.put(&name(n), &hello)?;
    }
    drop(gust);
    let with_many = restarted(&dir, rounds)?;
    let kib = (with_many.resident_kib - with_one.resident_kib) / (MANY - 1) as f64;
    Ok((with_many.cpu_ms, with_many.ms, kib))
}

struct Restart {
    cpu_ms: f64,
    ms: f64,
    resident_kib: f64,
}

fn restarted(dir: &Path, rounds: usize) -> Result<Restart> {
    let (mut cpu_ms, mut ms, mut resident_kib) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let began = Instant::now();
        let gust = Gust::start(dir, &[])?;
        ensure!(get(gust.server.address, "/function-0")?.is_success(), "it does not answer");
        ms.push(began.elapsed().as_secs_f64() * 1e3);
        cpu_ms.push(process::cpu_ms(gust.server.pid()));
        resident_kib.push(process::usage(gust.server.pid()).resident_mib * 1024.0);
    }
    Ok(Restart { cpu_ms: median(cpu_ms), ms: median(ms), resident_kib: median(resident_kib) })
}

/// Milliseconds of the first and of the next call of a function, and KiB of a loaded one that no instance was made of.
fn loaded(dir: &Path) -> Result<(f64, f64, f64)> {
    let dir = dir.join("loaded");
    let gust = Gust::start(&dir, &[])?;
    for n in 0..LOADED {
        gust.put(&name(n), &hello_with(n)?)?;
    }
    for n in 0..LOADED {
        gust.until_optimised(&name(n))?;
    }
    drop(gust);
    let gust = Gust::start(&dir, &[])?;
    let (mut first, mut next) = (Vec::new(), Vec::new());
    for n in 0..LOADED {
        for times in [&mut first, &mut next] {
            let began = Instant::now();
            ensure!(get(gust.server.address, &format!("/{}", name(n)))?.is_success(), "it does not answer");
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    drop(gust);
    let gust = Gust::start(&dir, &[])?;
    let resident_kib = || process::usage(gust.server.pid()).resident_mib * 1024.0;
    gust.info(&name(0))?;
    let before = resident_kib();
    for n in 1..LOADED {
        gust.info(&name(n))?;
    }
    Ok((median(first), median(next), (resident_kib() - before) / (LOADED - 1) as f64))
}

/// A component like hello, but another one: with a custom section of its own.
fn hello_with(n: usize) -> Result<Vec<u8>> {
    let mut bytes = fs::read(component("hello"))?;
    // Its id, its size, its name's size, its name.
    bytes.extend([0, 10, 1, b'n']);
    bytes.extend(n.to_le_bytes());
    Ok(bytes)
}
