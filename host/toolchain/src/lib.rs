//! Finding, and if need be installing, a Rust toolchain that builds components: one with the target `wasm32-wasip2`.
//!
//! In order: the active toolchain where it has the target; `rustup target add`, where rustup reaches its servers; a
//! toolchain linked as `gust-guest`, which [`debian::install`] makes on machines that reach Debian's packages only.

pub mod debian;
mod run;

use std::{path::PathBuf, process::Command, time::Duration};

pub use run::{Error, output_within};

/// The target of components.
pub const TARGET: &str = "wasm32-wasip2";

/// The name of the toolchain of last resort.
pub const FALLBACK: &str = "gust-guest";

/// How long rustup may take to add a target.
const RUSTUP_WAIT: Duration = Duration::from_secs(60);

/// Variables by which cargo tells what it runs of the toolchain it is of. They would keep another from being chosen.
const INHERITED: [&str; 6] = ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"];

/// A toolchain that builds components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// The name to choose it by; none for the active one.
    name: Option<&'static str>,
}

impl Toolchain {
    /// Looks for one, without changing the machine.
    pub fn find() -> Option<Self> {
        [Self { name: None }, Self { name: Some(FALLBACK) }].into_iter().find(Self::has_target)
    }

    /// Looks for one, and lets rustup add the target where there is none.
    pub fn find_or_add() -> Result<Self, Error> {
        if let Some(found) = Self::find() {
            return Ok(found);
        }
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add", TARGET]);
        let added = output_within(clean(&mut rustup), RUSTUP_WAIT);
        Self::find().ok_or_else(|| Error::no_target(added.err()))
    }

    /// For people: which one it is.
    pub fn describe(&self) -> String {
        match self.name {
            None => "the active toolchain".to_owned(),
            Some(name) => format!("the toolchain {name}"),
        }
    }

    /// `cargo` of this toolchain, free of what an outer cargo left in the environment.
    pub fn cargo(&self) -> Command {
        self.command("cargo")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(self.name.map(|name| format!("+{name}")));
        clean(&mut command);
        command
    }

    fn has_target(&self) -> bool {
        let mut rustc = self.command("rustc");
        rustc.args(["--print", "target-libdir", "--target", TARGET]);
        let Ok(output) = output_within(&mut rustc, RUSTUP_WAIT) else { return false };
        let dir = PathBuf::from(output.trim());
        let Ok(entries) = dir.read_dir() else { return false };
        // The directory may be there without the standard library in it.
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
    }
}

fn clean(command: &mut Command) -> &mut Command {
    for variable in INHERITED {
        command.env_remove(variable);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fallback_is_chosen_by_name_and_inherits_nothing() {
        let cargo = Toolchain { name: Some(FALLBACK) }.cargo();
        assert_eq!(cargo.get_args().collect::<Vec<_>>(), ["+gust-guest"]);
        assert!(cargo.get_envs().any(|(name, value)| name == "RUSTUP_TOOLCHAIN" && value.is_none()));
        assert_eq!(Toolchain { name: None }.cargo().get_args().count(), 0);
    }
}
