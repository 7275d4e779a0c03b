//! Whether memory is short, on the machine or in the control group that this host runs in.
//!
//! Linux tells for what share of the last ten seconds some task stood still because it waited for memory (pressure stall
//! information, `Documentation/accounting/psi.rst`). Idle instances only save time, so where others wait they are given up.

use std::{fs, path::PathBuf};

use gust_engine::Engine;
use tokio::task;

/// From this share on, in percent, memory counts as short: a machine that is merely full reclaims what it read, and nobody waits.
const SHORT_PERCENT: f64 = 5.0;

/// What says so of the whole machine.
const MACHINE: &str = "/proc/pressure/memory";

/// What memory's pressure is read from.
pub(crate) struct Pressure {
    files: Vec<PathBuf>,
    was_short: bool,
}

impl Pressure {
    /// Of this process. A kernel that does not tell never says that memory is short.
    pub(crate) fn here() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").ok().and_then(|groups| group_file(&groups));
        Self { files: own.into_iter().chain([PathBuf::from(MACHINE)]).collect(), was_short: false }
    }

    /// Once a second: has the engine drop what is idle while memory is short.
    pub(crate) fn relieve(&mut self, engine: &Engine) {
        let is_short = self.is_short();
        if is_short {
            let engine = engine.clone();
            // There may be many, and this thread serves requests.
            task::spawn_blocking(move || engine.drop_idle_instances());
        }
        if is_short && !self.was_short {
            tracing::warn!("memory is short: idle instances are given up, so that requests have new ones made");
        }
        self.was_short = is_short;
    }

    fn is_short(&self) -> bool {
        let stalls = self.files.iter().filter_map(|file| stalled_percent(&fs::read_to_string(file).ok()?));
        stalls.into_iter().any(|percent| percent >= SHORT_PERCENT)
    }
}

/// Where the group's own pressure is told, of what `/proc/self/cgroup` says (cgroups(7), version 2).
fn group_file(groups: &str) -> Option<PathBuf> {
    // In a container its own group may look like the root.
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(PathBuf::from("/sys/fs/cgroup").join(group).join("memory.pressure"))
}

/// `some avg10=1.23 avg60=… avg300=… total=…` in such a file.
fn stalled_percent(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split(' ').find_map(|field| field.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn memory_is_short_where_some_wait_for_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let pressure = Pressure { files: vec!["/nowhere".into(), file.path().into()], was_short: false };
        let tell = |percent: &str| {
            file.as_file().set_len(0).unwrap();
            let lines =
                format!("some avg10={percent} avg60=90.00 avg300=0.00 total=7\nfull avg10=99.00 avg60=0.00 total=0\n");
            file.as_file().write_all_at(lines.as_bytes(), 0).unwrap();
            pressure.is_short()
        };
        assert!(!tell("4.99"));
        assert!(tell("5.00"));
        assert!(tell("100.00"));
        assert!(!tell("none"));
    }

    #[test]
    fn the_group_is_found_by_its_path() {
        let file = |groups| group_file(groups).map(|path| path.display().to_string());
        assert_eq!(
            file("1:name=x:/a\n0::/system.slice/gust.service\n").as_deref(),
            Some("/sys/fs/cgroup/system.slice/gust.service/memory.pressure")
        );
        assert_eq!(file("0::/\n").as_deref(), Some("/sys/fs/cgroup/memory.pressure"));
        assert_eq!(file(""), None);
    }

    #[test]
    fn this_machine_is_understood_where_it_tells() {
        if let Ok(text) = fs::read_to_string(MACHINE) {
            assert!(stalled_percent(&text).is_some(), "{text}");
        }
    }
}
