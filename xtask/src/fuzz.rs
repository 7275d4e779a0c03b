//! `cargo xtask fuzz`: the targets of `fuzz/` in libFuzzer, each for so much time of the processor.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{project, steps};

/// Minutes of CPU time for each target, where nothing is said.
const MINUTES: u64 = 30;

/// Clock ticks in a second, as `/proc` counts them for programs (proc_pid_stat(5)).
const TICKS: u64 = 100;

/// With what libFuzzer ends when it is interrupted.
const INTERRUPTED: i32 = 72;

/// One input may take so many seconds, by the clock on the wall and on a busy machine, and a target so many MiB.
const LIMITS: [&str; 3] = ["-timeout=300", "-report_slow_units=300", "-rss_limit_mb=4096"];

/// What became of a target.
struct Outcome {
    target: String,
    cpu_s: u64,
    executions: u64,
    corpus: usize,
    findings: Vec<PathBuf>,
    has_failed: bool,
}

/// Runs the targets that are named, or all of them.
pub fn run(arguments: &[String]) -> Result<()> {
    let (targets, minutes) = asked(arguments)?;
    ensure!(is_there(), "cargo-fuzz is not here; cargo install cargo-fuzz");
    build()?;
    let mut outcomes = Vec::new();
    for target in targets {
        let what = format!("fuzz: {target}, {minutes} minutes of CPU time");
        outcomes.push(steps::step(&what, || fuzz(target, minutes * 60))?);
    }
    print(&outcomes);
    ensure!(outcomes.iter().all(|outcome| !outcome.has_failed), "something was found");
    Ok(())
}

/// Whether cargo-fuzz is here.
pub fn is_there() -> bool {
    let version =
        Command::new("cargo").args(["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

fn asked(arguments: &[String]) -> Result<(Vec<String>, u64)> {
    let (mut targets, mut minutes) = (Vec::new(), MINUTES);
    let known = targets_known()?;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--minutes" => {
                let given = arguments.next().context("--minutes needs a number")?;
                minutes = given.parse().with_context(|| format!("--minutes {given}"))?;
            }
            target if known.iter().any(|known| known == target) => targets.push(target.to_owned()),
            other => bail!("{other} is not known; there are --minutes N, {}", known.join(", ")),
        }
    }
    Ok((if targets.is_empty() { known } else { targets }, minutes))
}

fn targets_known() -> Result<Vec<String>> {
    let names = files(&project::path("fuzz/targets"))?;
    let mut names: Vec<String> = names.iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// Without a sanitizer the toolchain of the project will do, and what is written in Rust needs none.
fn build() -> Result<()> {
    let as_shipped = ["fuzz", "build", "--dev", "--sanitizer", "none", "--no-cfg-fuzzing", "--features", "libfuzzer"];
    let mut build = steps::cargo();
    build.args(as_shipped).args(["--target", &triple(), "--target-dir", "target/fuzz"]);
    steps::command("building the fuzz targets (the first time takes about twenty minutes)", &mut build)
}

fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

fn program(target: &str) -> PathBuf {
    project::path(&format!("target/fuzz/{}/debug/{target}", triple()))
}

fn fuzz(target: String, cpu_s_max: u64) -> Result<Outcome> {
    let dir = |what: &str| made(project::path(&format!("target/fuzz/{what}/{target}")));
    let (corpus, findings) = (dir("corpus")?, dir("findings")?);
    for seed in files(&project::path(&format!("fuzz/seeds/{target}")))? {
        fs::copy(&seed, corpus.join(seed.file_name().unwrap_or_default()))?;
    }
    let before = files(&findings)?;
    let log = made(project::path("target/fuzz/log"))?.join(format!("{target}.txt"));
    let mut running = Command::new(program(&target))
        .arg(&corpus)
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .arg("-print_final_stats=1")
        .args(LIMITS)
        .stdout(Stdio::null())
        .stderr(File::create(&log)?)
        .spawn()
        .with_context(|| format!("{} cannot be run", program(&target).display()))?;
    let (status, cpu_s) = ended(&mut running, cpu_s_max)?;
    let mut found = files(&findings)?;
    found.retain(|path| !before.contains(path));
    Ok(Outcome {
        cpu_s,
        executions: executions(&fs::read_to_string(&log).unwrap_or_default()),
        corpus: files(&corpus)?.len(),
        has_failed: !(status.success() || status.code() == Some(INTERRUPTED)),
        findings: found,
        target,
    })
}

/// Waits until it ends, which it is told to when it has had its time. Says how much that was.
fn ended(running: &mut Child, cpu_s_max: u64) -> Result<(ExitStatus, u64)> {
    let mut cpu_s = 0;
    loop {
        if let Some(status) = running.try_wait()? {
            return Ok((status, cpu_s));
        }
        cpu_s = cpu_seconds(running.id()).unwrap_or(cpu_s);
        if cpu_s >= cpu_s_max {
            Command::new("kill").args(["-INT", &running.id().to_string()]).status()?;
        }
        thread::sleep(Duration::from_secs(1));
    }
}

/// The time that a process has had (proc_pid_stat(5)).
fn cpu_seconds(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, behind_name) = text.rsplit_once(')')?;
    let ticks = behind_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap_or_default());
    Some(ticks.sum::<u64>() / TICKS)
}

/// How many inputs were tried, as libFuzzer says at its end or else now and then.
fn executions(log: &str) -> u64 {
    let counted = |line: &str| {
        let number = line.strip_prefix("stat::number_of_executed_units:").or_else(|| line.strip_prefix('#'))?;
        number.split_whitespace().next()?.trim_end_matches(':').parse().ok()
    };
    log.lines().filter_map(counted).max().unwrap_or_default()
}

fn print(outcomes: &[Outcome]) {
    println!("{:12} {:>11} {:>12} {:>8} {:>9}", "target", "CPU minutes", "executions", "corpus", "findings");
    for Outcome { target, cpu_s, executions, corpus, findings, .. } in outcomes {
        let minutes = *cpu_s as f64 / 60.0;
        println!("{target:12} {minutes:>11.1} {executions:>12} {corpus:>8} {:>9}", findings.len());
    }
    for Outcome { target, findings, .. } in outcomes.iter().filter(|outcome| outcome.has_failed) {
        println!("\n{target}: what it said is in target/fuzz/log/{target}.txt; again, with:");
        for finding in findings {
            println!("  {} {}", program(target).display(), finding.display());
        }
    }
}

fn made(dir: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    Ok(dir)
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
    Ok(entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?)
}
