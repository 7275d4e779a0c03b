//! What the machine allows one process: open files, mappings, memory, addresses. And how many instances may be alive and functions
//! loaded because of it.

use std::{fs, path::Path};

use gust_core::config::HostConfig;
use gust_engine::{address_bytes_per_instance, slots_per_instance};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    system::sysinfo,
};

/// Mappings of a loaded function: its artifact's read-only parts, its code, its data.
const MAPPINGS_PER_FUNCTION: u64 = 4;

/// Mappings of a slot of the pool that was used: the parts of a memory, a table and a stack, each with its guard.
const MAPPINGS_PER_SLOT: u64 = 8;

/// Of the mappings, the share that a pool may take that is sized by the machine. Most of the rest is for loaded functions.
const POOL_MAPPINGS_SHARE: u64 = 4;

/// What an instance that was used holds of memory when it is idle, in bytes: what is put back is kept (`docs/performance.md`).
const BYTES_PER_INSTANCE: u64 = 1 << 20;

/// Of the memory, the share that idle instances may take of such a pool.
const POOL_MEMORY_SHARE: u64 = 2;

/// What a process may use of addresses on x86-64 and aarch64, in bytes (`Documentation/arch/x86/x86_64/mm.rst`): 47 bits.
const ADDRESS_BYTES: u64 = 1 << 47;

/// Of the addresses, the parts of eight that a pool may take: it is one mapping, and Linux places a program two thirds up
/// (`ELF_ET_DYN_BASE` in `arch/x86/include/asm/elf.h`), so that there is no larger hole.
const POOL_ADDRESS_EIGHTHS: u64 = 5;

/// What a loaded function that was called takes of memory, in bytes, the pages of its artifact that are mapped included.
const BYTES_PER_FUNCTION: u64 = 400 << 10;

/// Of the files, the share that clients' connections may take.
const CONNECTIONS_FILES_SHARE: u64 = 2;

/// And the share of those of the admin API.
const ADMIN_FILES_SHARE: u64 = 8;

/// And the share of those that functions have to others outside, and how many these are at most. Both this and the one before are of
/// what is kept for others than clients and functions.
const OUTBOUND_FILES_SHARE: u64 = 8;
const OUTBOUND_MAX: usize = 4096;

/// The share that is kept for what is neither connection nor function, where [`Allowed::OTHERS`] are more than that.
const OTHER_FILES_SHARE: u64 = 4;

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

/// The memory of the machine, or of the control group (cgroups(7), of either version) that this process runs in, whichever is less; in
/// bytes.
pub(crate) fn memory_bytes() -> u64 {
    let machine = sysinfo();
    let total = machine.totalram.saturating_mul(machine.mem_unit.into());
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    groups.lines().filter_map(memory_limit_of).fold(total, u64::min)
}

/// The limit of memory of a group, by its line in `/proc/self/cgroup`.
fn memory_limit_of(line: &str) -> Option<u64> {
    let mut fields = line.splitn(3, ':');
    let (number, controllers, group) = (fields.next()?, fields.next()?, fields.next()?);
    let (root, file) = match controllers {
        "" if number == "0" => ("/sys/fs/cgroup", "memory.max"),
        "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        _ => return None,
    };
    // In a container its own group looks like the root.
    let dirs = [Path::new(root).join(group.trim_start_matches('/')), root.into()];
    dirs.iter().find_map(|dir| fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok())
}

/// What the machine allows this process.
#[derive(Clone, Copy)]
pub(crate) struct Allowed {
    pub(crate) mappings: u64,
    pub(crate) files: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) address_bytes: u64,
}

/// How many instances may be alive at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) instances: u32,
    /// What allows no more.
    pub(crate) bound: &'static str,
}

impl Allowed {
    /// Files and mappings that the host needs besides those of connections, instances and functions.
    pub(crate) const OTHERS: u64 = 1000;

    /// Here and now.
    pub(crate) fn here() -> Self {
        let told = fs::read_to_string("/proc/sys/vm/max_map_count").ok();
        let mappings = told.and_then(|text| text.trim().parse().ok()).unwrap_or(MAPPINGS_DEFAULT);
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let address_bytes = getrlimit(Resource::As).current.map_or(ADDRESS_BYTES, |limit| limit.min(ADDRESS_BYTES));
        Self { mappings, files, memory_bytes: memory_bytes(), address_bytes }
    }

    /// How many instances may be alive at the same time: what the host's settings say, else what fits.
    pub(crate) fn room(&self, config: &HostConfig) -> Room {
        if config.instances_max > 0 {
            return Room { instances: config.instances_max, bound: "instances_max" };
        }
        let fits = [
            (self.mappings / POOL_MAPPINGS_SHARE / mappings_per_instance(config), "memory mappings"),
            (self.instances_in_memory(config), "memory"),
            (self.instances_in_addresses(config), "address space"),
        ];
        let (instances, bound) = fits.into_iter().min_by_key(|(instances, _)| *instances).unwrap_or((1, "nothing"));
        Room { instances: u32::try_from(instances.max(1)).unwrap_or(u32::MAX), bound }
    }

    /// How many instances may be idle at the same time before they take too much memory.
    pub(crate) fn instances_in_memory(&self, config: &HostConfig) -> u64 {
        let told = u64::from(config.memory_used_mib_max) << 20;
        let bytes = if told > 0 { told.min(self.memory_bytes) } else { self.memory_bytes };
        bytes / POOL_MEMORY_SHARE / BYTES_PER_INSTANCE
    }

    /// How many instances have room in the addresses that a process has.
    pub(crate) fn instances_in_addresses(&self, config: &HostConfig) -> u64 {
        self.address_bytes / 8 * POOL_ADDRESS_EIGHTHS / address_bytes_per_instance(config.rewind)
    }

    /// How many connections clients may have: what the host's settings say, or fewer, so that descriptors are left for the admin API
    /// and for loading functions.
    pub(crate) fn connections(&self, config: &HostConfig) -> u32 {
        let allowed = u32::try_from(self.files / CONNECTIONS_FILES_SHARE).unwrap_or(u32::MAX);
        config.connections_max.min(allowed).max(1)
    }

    /// How many connections functions may have to others outside, all together.
    pub(crate) fn outbound_connections(&self) -> usize {
        usize::try_from(self.files / OUTBOUND_FILES_SHARE).unwrap_or(usize::MAX).clamp(1, OUTBOUND_MAX)
    }

    /// How many connections the admin API may have.
    pub(crate) fn admin_connections(&self, config: &HostConfig) -> u32 {
        let allowed = u32::try_from(self.files / ADMIN_FILES_SHARE).unwrap_or(u32::MAX);
        config.connections_max.min(allowed).max(1)
    }

    /// Mappings that the pool may come to.
    pub(crate) fn mappings_of_pool(&self, config: &HostConfig) -> u64 {
        u64::from(self.room(config).instances) * mappings_per_instance(config)
    }

    /// The most functions that may be loaded at the same time: what the host's settings say, else what the machine allows.
    pub(crate) fn functions_loaded_max(&self, config: &HostConfig) -> usize {
        let told = config.functions_loaded_max;
        let max = if told > 0 { told.into() } else { self.functions(config) };
        usize::try_from(max).unwrap_or(usize::MAX)
    }

    /// How many functions the machine allows to be loaded.
    pub(crate) fn functions(&self, config: &HostConfig) -> u64 {
        let pool = self.mappings_of_pool(config);
        let by_mappings = self.mappings.saturating_sub(pool + Self::OTHERS) / MAPPINGS_PER_FUNCTION;
        let other_files = Self::OTHERS.min(self.files / OTHER_FILES_SHARE);
        let by_files = self.files.saturating_sub(u64::from(self.connections(config)) + other_files);
        let by_memory = self.memory_bytes / MEMORY_SHARE / BYTES_PER_FUNCTION;
        by_mappings.min(by_files).min(by_memory).max(1)
    }
}

fn mappings_per_instance(config: &HostConfig) -> u64 {
    MAPPINGS_PER_SLOT * u64::from(slots_per_instance(config.rewind))
}

#[cfg(test)]
mod tests {
    use gust_core::{RewindPolicy, config::RawConfig};

    use super::*;

    const PLENTY: Allowed =
        Allowed { mappings: 1 << 40, files: 1 << 30, memory_bytes: 1 << 60, address_bytes: ADDRESS_BYTES };

    fn config(raw: RawConfig) -> HostConfig {
        HostConfig::try_from(raw).unwrap()
    }

    #[test]
    fn the_scarcest_thing_decides_how_many_functions_are_loaded() {
        let config = config(RawConfig { instances_max: Some(1000), ..RawConfig::default() });
        assert!(PLENTY.functions(&config) > 1_000_000);
        assert_eq!(Allowed { mappings: 65_530, ..PLENTY }.functions(&config), 12_132);
        assert_eq!(Allowed { files: 20_000, ..PLENTY }.functions(&config), 9_000);
        assert_eq!(Allowed { memory_bytes: 1 << 30, ..PLENTY }.functions(&config), 655);
        let nothing = Allowed { mappings: 9, files: 9, memory_bytes: 9, address_bytes: 9 };
        assert_eq!(nothing.functions(&config), 1);
    }

    #[test]
    fn the_pool_is_as_large_as_the_scarcest_thing_allows() {
        let auto = config(RawConfig::default());
        let room = |allowed: &Allowed| {
            let Room { instances, bound } = allowed.room(&auto);
            (instances, bound)
        };
        assert_eq!(room(&PLENTY), (5041, "address space"));
        assert_eq!(room(&Allowed { mappings: 65_530, ..PLENTY }), (1023, "memory mappings"));
        assert_eq!(room(&Allowed { memory_bytes: 1 << 30, ..PLENTY }), (512, "memory"));
        let little = config(RawConfig { memory_used_mib_max: Some(100), ..RawConfig::default() });
        assert_eq!(PLENTY.room(&little), Room { instances: 50, bound: "memory" });
        assert_eq!(room(&Allowed { address_bytes: 1 << 40, ..PLENTY }), (39, "address space"));
        assert_eq!(room(&Allowed { mappings: 1, memory_bytes: 1, ..PLENTY }).0, 1);
        let told = config(RawConfig { instances_max: Some(9), ..RawConfig::default() });
        assert_eq!(PLENTY.room(&told), Room { instances: 9, bound: "instances_max" });
        let off = config(RawConfig { rewind: Some(RewindPolicy::Off), ..RawConfig::default() });
        assert_eq!(PLENTY.room(&off).instances, 10_082);
    }

    #[test]
    fn descriptors_are_left_for_more_than_clients() {
        let config = config(RawConfig::default());
        let connections = |files| {
            let allowed = Allowed { files, ..PLENTY };
            (allowed.connections(&config), allowed.admin_connections(&config))
        };
        assert_eq!(connections(1 << 20), (10_000, 10_000));
        assert_eq!(connections(11_000), (5500, 1375));
        assert_eq!(connections(4096), (2048, 512));
        assert_eq!(connections(1024), (512, 128));
        assert_eq!(connections(64), (32, 8));
        assert_eq!(connections(1), (1, 1));
        let functions = |files| Allowed { files, ..PLENTY }.functions(&config);
        assert_eq!([64, 1024, 4096].map(functions), [16, 256, 1048], "and for functions");
    }

    #[test]
    fn the_memory_there_is_is_known_here() {
        assert!(memory_bytes() > 1 << 28, "{}", memory_bytes());
        assert_eq!(memory_limit_of("3:cpuset:/"), None);
        assert_eq!(memory_limit_of("no line"), None);
    }
}
