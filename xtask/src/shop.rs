//! What the shop needs besides its functions: its pictures, and a browser for its tests.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Result, ensure};

use crate::{project, steps};

/// Puts every picture into the container that the shop shows them from.
pub fn put_pictures(gust: impl Fn() -> Command) -> Result<()> {
    for entry in fs::read_dir(project::directory("shop-products").join("pictures"))? {
        let output = gust().args(["blob", "put", "pictures"]).arg(entry?.path()).output()?;
        ensure!(output.status.success(), "a picture was not put: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Has a browser installed that tests can drive, where that can be; else the tests with one say that they are skipped.
pub fn get_browser() -> Result<()> {
    if ["chromium", "chromedriver"].iter().all(|program| is_there(program)) {
        return Ok(());
    }
    let may_install = is_there("apt-get") && succeeds(Command::new("sh").args(["-c", "test $(id -u) = 0"]));
    if !may_install {
        eprintln!("==> the shop in a browser: skipped, for it is not here (apt install chromium chromium-driver)");
        return Ok(());
    }
    steps::step("installing chromium, for the tests of the shop", || {
        let install = "apt-get update -qq && apt-get install -y -qq chromium chromium-driver";
        let mut apt = Command::new("sh");
        apt.args(["-c", install]).env("DEBIAN_FRONTEND", "noninteractive");
        if !succeeds(&mut apt) {
            eprintln!("    it cannot be installed, so what needs a browser is skipped");
        }
        Ok(())
    })
}

fn is_there(program: &str) -> bool {
    succeeds(Command::new(program).arg("--version"))
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
