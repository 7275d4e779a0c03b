//! The machine: what it is for people, and what kind it is for comparisons.

use std::{fmt, fs, path::Path, process::Command};

use serde::{Deserialize, Serialize};

/// A machine, as far as figures depend on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// Its cores and processor, as a file's name: what is compared comes from the same kind.
    pub kind: String,
    /// The processor's name.
    pub cpu: String,
    /// Its cores.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = info.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
            line.and_then(|line| line.split(": ").nth(1)).unwrap_or_default().trim().to_owned()
        };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let named = [field("model name"), field("cpu family"), field("model")];
        let parts: Vec<String> = named.iter().map(|part| slug(part)).filter(|part| !part.is_empty()).collect();
        let kind = format!("{cores}x-{}", if parts.is_empty() { "unknown".to_owned() } else { parts.join("-") });
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        let cpu = Some(field("model name")).filter(|name| !name.is_empty()).unwrap_or("unknown CPU".to_owned());
        Self { kind, cpu, cores, kernel }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}, Linux {}", self.cores, self.cpu, self.kernel)
    }
}

fn slug(text: &str) -> String {
    let kept = text.to_ascii_lowercase().replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
    kept.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// The first line of what a program prints about its version.
pub fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or("unknown version").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_a_files_name() {
        assert_eq!(slug("Intel(R) Xeon(R) @ 2.20GHz"), "intel-r-xeon-r-2-20ghz");
        let here = Machine::here();
        assert!(here.kind.starts_with(&format!("{}x-", here.cores)) && !here.kind.contains('/'), "{here:?}");
    }
}
