//! `cargo xtask test`: everything that proves that the project works, quick things first.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::{functions, fuzz, languages, project, schemathesis, shop, steps};

/// Runs all of it; the first failure ends it.
pub fn run() -> Result<()> {
    let functions_dir = project::path("functions");
    steps::command("formatting", steps::cargo().args(["fmt", "--all", "--check"]))?;
    steps::command(
        "formatting of the functions",
        steps::cargo().args(["fmt", "--all", "--check"]).current_dir(&functions_dir),
    )?;
    functions::build()?;
    languages::build()?;
    shop::get_browser()?;
    steps::command("functions, natively", steps::cargo().args(["test", "--release"]).current_dir(&functions_dir))?;
    let clippy = ["clippy", "--all-targets", "--", "-D", "warnings"];
    steps::command("lints of the functions", steps::cargo().args(clippy).current_dir(&functions_dir))?;
    steps::command(
        "tests (the first time, building takes about ten minutes)",
        steps::cargo().args(["test", "--workspace"]),
    )?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    steps::command("lints", steps::cargo().args(clippy))?;
    licenses()
}

/// What takes long besides: calls made up from the API's description, every point of every fault, the canary, a minute of each fuzz
/// target, and a memory checker over what writes behind wasmtime's back. Always of the whole workspace: features of one crate alone
/// would compile wasmtime anew.
pub fn run_long() -> Result<()> {
    run()?;
    schemathesis::run()?;
    let faults = ["test", "--workspace", "--test", "it", "faults::"];
    let mut faults_at_length = steps::cargo();
    faults_at_length.args(faults).env("GUST_FAULT_POINTS", "all").env("GUST_DRAIN_REQUESTS", "100000");
    steps::command("faults at every point, and a hundred thousand requests to hosts that stop", &mut faults_at_length)?;
    let outside = ["test", "--workspace", "--test", "it", "faults::outside"];
    steps::command("tools of others", steps::cargo().args(outside).env("GUST_OUTSIDE_TOOLS", "1"))?;
    let canary = ["test", "--workspace", "--lib", "canary", "--", "--nocapture"];
    steps::command(
        "ten million requests, each with a secret",
        steps::cargo().args(canary).env("GUST_CANARY_REQUESTS", "10000000"),
    )?;
    if fuzz::is_there() {
        fuzz::run(&["--minutes".to_owned(), "1".to_owned()])?;
    } else {
        eprintln!("==> fuzzing: skipped, for cargo-fuzz is not here (cargo install cargo-fuzz)");
    }
    if !is_there("valgrind") {
        eprintln!("==> pages under valgrind: skipped, for valgrind is not here (apt install valgrind)");
        return Ok(());
    }
    let suppressions = project::path("host/engine/valgrind.supp");
    let valgrind = format!("valgrind --error-exitcode=9 --leak-check=no --suppressions={}", suppressions.display());
    let watched = ["rewind::tests::pages", "rewind::tests::exact"];
    let tests = ["test", "--workspace", "--lib", "--", "--test-threads", "1"];
    steps::command("pages under valgrind", steps::cargo().args(tests).args(watched).env(RUNNER, valgrind))
}

/// What cargo starts tests with.
const RUNNER: &str = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER";

fn is_there(program: &str) -> bool {
    let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Licences, advisories and sources of what the project depends on, where cargo-deny is at hand.
fn licenses() -> Result<()> {
    let version =
        Command::new("cargo").args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if version.is_ok_and(|status| status.success()) {
        return steps::command(
            "licences and sources",
            steps::cargo().args(["deny", "check", "bans", "licenses", "sources"]),
        );
    }
    eprintln!("==> licences and sources: skipped, for cargo-deny is not here (cargo install cargo-deny)");
    Ok(())
}
