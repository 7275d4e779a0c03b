//! How many instructions a request takes in user space, without HTTP, counted by `valgrind`. It is the same on a busy machine
//! and on a quiet one, so it is held to a bound where the time that a request takes cannot be.
//!
//! The count is the difference of a long run and a short one, so that starting cancels out. It depends on the compiler, on
//! valgrind and on the processor's features: the bounds name those they were made with, and are compared with nothing else.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    env, fs,
    io::{Write as _, stderr},
    path::{Path, PathBuf},
    process::Command,
};

use clap::ValueEnum as _;
use gust_benches::{counted::Counted, machine::version};
use gust_engine::Reset;
use serde::{Deserialize, Serialize};

/// Requests of the two runs.
const FEW: u64 = 200;
const MANY: u64 = 1200;

/// The share by which a count may grow before it is a failure.
const GROWTH_MAX: f64 = 0.03;

/// Makes the counts the bounds.
const BLESS: &str = "GUST_BLESS";
const HOW_TO_BLESS: &str = "GUST_BLESS=1 cargo test -p gust-benches --test instructions";

/// The committed counts.
#[derive(Serialize, Deserialize)]
struct Bounds {
    /// What they depend on.
    made_with: String,
    /// Instructions a request, by name.
    instructions: BTreeMap<String, u64>,
}

/// What the counts depend on.
fn made_with() -> String {
    #[cfg(target_arch = "x86_64")]
    let features = if std::is_x86_feature_detected!("avx2") { "+avx2" } else { "" };
    #[cfg(not(target_arch = "x86_64"))]
    let features = "";
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let tools = [version(Path::new("rustc")), version(Path::new("valgrind"))].join(", ");
    format!("{tools}, {}{features}, {profile}, {:?}", env::consts::ARCH, Reset::choose())
}

fn bounds_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("results/instructions.json")
}

/// Past the test's capture: whoever reads the log of the tests should know.
fn say(text: &str) {
    stderr().write_all(format!("instructions: {text}\n").as_bytes()).unwrap();
}

/// Instructions of a run of this many requests.
fn run(counted: Counted, requests: u64, artifacts: &Path) -> u64 {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    valgrind.arg(env!("CARGO_BIN_EXE_measure")).args(["answer", counted.name()]);
    let output = valgrind.args(["--requests", &requests.to_string(), "--artifacts"]).arg(artifacts).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let count = said.lines().find_map(|line| line.split_once("refs:")).map(|(_, count)| count.trim().replace(',', ""));
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("valgrind printed no count: {said}"))
}

fn per_request(counted: Counted, artifacts: &Path) -> u64 {
    // Compiles under valgrind too: what is compiled for the processor itself may have features that valgrind does not have.
    run(counted, 1, artifacts);
    let [few, many] = [FEW, MANY].map(|requests| run(counted, requests, artifacts));
    (many - few) / (MANY - FEW)
}

#[test]
fn a_request_takes_no_more_instructions_than_before() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return say("skipped, for valgrind is not here (apt-get install valgrind)");
    }
    let (blesses, made_with) = (env::var_os(BLESS).is_some(), made_with());
    let bounds: Option<Bounds> =
        fs::read_to_string(bounds_file()).ok().map(|text| serde_json::from_str(&text).unwrap());
    if !blesses && bounds.as_ref().is_none_or(|bounds| bounds.made_with != made_with) {
        return say(&format!("skipped, for the bounds were not made with {made_with}; to make them: {HOW_TO_BLESS}"));
    }
    let artifacts = tempfile::tempdir().unwrap();
    let count = |counted: &Counted| (counted.name().to_owned(), per_request(*counted, artifacts.path()));
    let counts: BTreeMap<String, u64> = Counted::value_variants().iter().map(count).collect();
    say(&format!("{counts:?}"));
    if blesses {
        let bounds = Bounds { made_with, instructions: counts };
        return fs::write(bounds_file(), serde_json::to_string_pretty(&bounds).unwrap() + "\n").unwrap();
    }
    let bounds = bounds.unwrap().instructions;
    let changes = counts.iter().map(|(name, count)| change(name, *count, bounds.get(name).copied()));
    let (grown, others): (Vec<_>, Vec<_>) = changes.partition(|(growth, _)| *growth > GROWTH_MAX);
    for (_, told) in others.iter().filter(|(growth, _)| *growth < -GROWTH_MAX) {
        say(&format!("{told}; to keep it so: {HOW_TO_BLESS}"));
    }
    let grown: Vec<String> = grown.into_iter().map(|(_, told)| told).collect();
    assert!(grown.is_empty(), "{}\nIf that is worth it: {HOW_TO_BLESS}", grown.join("\n"));
}

/// By what share a count has grown, and the same in words.
fn change(name: &str, count: u64, bound: Option<u64>) -> (f64, String) {
    let Some(bound) = bound else { return (f64::INFINITY, format!("{name}: {count} instructions, has no bound")) };
    let growth = count as f64 / bound as f64 - 1.0;
    (growth, format!("{name}: {count} instructions a request, {bound} before: {:+.1} %", growth * 100.0))
}

#[test]
fn growth_is_told() {
    let (growth, told) = change("typed", 1031, Some(1000));
    assert!(growth > GROWTH_MAX && told.contains("1000 before: +3.1 %"), "{growth} {told}");
    assert!(change("typed", 1029, Some(1000)).0 < GROWTH_MAX);
    assert!(change("typed", 900, Some(1000)).0 < -GROWTH_MAX);
    assert!(change("typed", 900, None).0 > GROWTH_MAX);
}
