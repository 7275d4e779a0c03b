//! What the machine allows one process: open files, mappings, memory. And how many functions may be loaded because of it.

use std::fs;

use gust_core::config::HostConfig;
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    system::sysinfo,
};

/// Mappings of a loaded function: its artifact's read-only parts, its code, its data.
const MAPPINGS_PER_FUNCTION: u64 = 4;

/// Mappings of a slot of the pool that was used: the parts of a memory, a table and a stack, each with its guard.
const MAPPINGS_PER_SLOT: u64 = 8;

/// What a loaded function that was called takes of memory, in bytes, the pages of its artifact that are mapped included.
const BYTES_PER_FUNCTION: u64 = 400 << 10;

/// Of the machine's memory, the share that loaded functions may take.
const MEMORY_SHARE: u64 = 4;

/// How many of Linux's mappings a process may have where nothing else is said.
const MAPPINGS_DEFAULT: u64 = 65_530;

/// Lets this process open as many files as it may.
pub(crate) fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it cannot be raised it stays as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// The most functions that may be loaded at the same time: what the host's settings say, else what the machine allows.
pub(crate) fn functions_loaded_max(config: &HostConfig) -> usize {
    let told = config.functions_loaded_max;
    let max = if told > 0 { told.into() } else { Allowed::here().functions(config) };
    usize::try_from(max).unwrap_or(usize::MAX)
}

/// What the machine allows this process.
#[derive(Clone, Copy)]
pub(crate) struct Allowed {
    pub(crate) mappings: u64,
    pub(crate) files: u64,
    pub(crate) memory_bytes: u64,
}

impl Allowed {
    /// Files and mappings that the host needs besides those of connections, instances and functions.
    pub(crate) const OTHERS: u64 = 1000;

    /// Here and now.
    pub(crate) fn here() -> Self {
        let told = fs::read_to_string("/proc/sys/vm/max_map_count").ok();
        let mappings = told.and_then(|text| text.trim().parse().ok()).unwrap_or(MAPPINGS_DEFAULT);
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let machine = sysinfo();
        let memory_bytes = machine.totalram.saturating_mul(machine.mem_unit.into());
        Self { mappings, files, memory_bytes }
    }

    /// Mappings of a pool of so many instances, each of which may have an idle one beside it.
    pub(crate) fn mappings_of_pool(instances: u64) -> u64 {
        instances * 2 * MAPPINGS_PER_SLOT
    }

    /// How many functions may be loaded.
    pub(crate) fn functions(&self, config: &HostConfig) -> u64 {
        let pool = Self::mappings_of_pool(config.instances_max.into());
        let by_mappings = self.mappings.saturating_sub(pool + Self::OTHERS) / MAPPINGS_PER_FUNCTION;
        let by_files = self.files.saturating_sub(u64::from(config.connections_max) + Self::OTHERS);
        let by_memory = self.memory_bytes / MEMORY_SHARE / BYTES_PER_FUNCTION;
        by_mappings.min(by_files).min(by_memory).max(1)
    }
}

#[cfg(test)]
mod tests {
    use gust_core::config::RawConfig;

    use super::*;

    #[test]
    fn the_scarcest_thing_decides() {
        let config = HostConfig::try_from(RawConfig::default()).unwrap();
        let plenty = Allowed { mappings: 1 << 30, files: 1 << 30, memory_bytes: 1 << 50 };
        assert!(plenty.functions(&config) > 1_000_000);
        assert_eq!(Allowed { mappings: 65_530, ..plenty }.functions(&config), 12_132);
        let plenty = Allowed { mappings: 1 << 30, files: 20_000, memory_bytes: 1 << 50 };
        assert_eq!(plenty.functions(&config), 9_000);
        let little = Allowed { mappings: 1 << 30, files: 1 << 30, memory_bytes: 1 << 30 };
        assert_eq!(little.functions(&config), 655);
        assert_eq!(Allowed { mappings: 9, files: 9, memory_bytes: 9 }.functions(&config), 1);
    }
}
