//! schemathesis, which makes up calls of the admin API from its description: found, or installed below `target/`.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{project, steps};

/// The version that finds nothing. Another may know more.
const VERSION: &str = "4.32.5";

/// Has the host called as its description says, and as it does not say. Where schemathesis cannot be had, that is said.
pub fn run() -> anyhow::Result<()> {
    let found = match installed() {
        Ok(found) => found,
        Err(why) => {
            eprintln!("==> the admin API as described: skipped, for schemathesis {VERSION} is not to be had: {why}");
            return Ok(());
        }
    };
    let tests = ["test", "--workspace", "--test", "it", "openapi::schemathesis", "--", "--nocapture"];
    steps::command("the admin API as described", steps::cargo().args(tests).env("GUST_SCHEMATHESIS", found))
}

/// The command, in a Python environment of its own; or why it is not there.
fn installed() -> Result<PathBuf, String> {
    let environment = project::path(&format!("target/schemathesis-{VERSION}"));
    let command = environment.join("bin/schemathesis");
    if answers(&command) {
        return Ok(command);
    }
    eprintln!("==> installing schemathesis {VERSION}");
    succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let wanted = format!("schemathesis=={VERSION}");
    succeeds(Command::new(environment.join("bin/pip")).args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        &wanted,
    ]))?;
    Ok(command)
}

/// An installation that broke off does not.
fn answers(command: &PathBuf) -> bool {
    Command::new(command)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

fn succeeds(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program} failed ({status})")),
        Err(error) => Err(format!("{program} cannot be run ({error})")),
    }
}
