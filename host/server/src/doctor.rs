//! What of this machine keeps a host from doing its best, and what to change.
//!
//! Nothing here is looked at when a host starts: it starts with what there is. Whoever runs it asks for this.

use gust_core::config::HostConfig;
use gust_engine::Reset;

use crate::machine::{Allowed, Room};

/// Instances that a core can keep busy, at least: fewer, and requests wait while others wait for something.
const INSTANCES_PER_CORE_MIN: u64 = 16;

/// Loaded functions that are few.
const FUNCTIONS_MIN: u64 = 64;

/// What a host takes of memory before it serves, in MiB, and something to serve with.
const MEMORY_USED_MIB_MIN: u32 = 128;

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub what: &'static str,
    /// What was found.
    pub found: String,
    /// What to change; none where it is well.
    pub advice: Option<String>,
}

/// Looks at this machine for a host that is configured so.
pub fn examine(config: &HostConfig) -> Vec<Finding> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    findings(config, &Allowed::here(), cores, &Reset::choose())
}

fn findings(config: &HostConfig, allowed: &Allowed, cores: u64, reset: &Reset) -> Vec<Finding> {
    let room = allowed.room(config);
    vec![
        of_reset(reset),
        of_files(config, allowed),
        of_mappings(config, allowed),
        of_memory(config, room, allowed),
        of_instances(config, room, allowed, cores),
        of_functions(config, allowed),
    ]
}

fn of_reset(reset: &Reset) -> Finding {
    let (found, advice) = match reset {
        Reset::PageScan => ("the written pages, named by the kernel".to_owned(), None),
        Reset::Discard { why } => {
            ("all pages, the slow way".to_owned(), Some(format!("{why}; requests take several times as long")))
        }
    };
    Finding { what: "what is put back of an instance", found, advice }
}

fn of_files(config: &HostConfig, allowed: &Allowed) -> Finding {
    let wanted = 2 * u64::from(config.connections_max).max(Allowed::OTHERS);
    let advice = (allowed.files < wanted).then(|| {
        format!(
            "connections_max is {}: allow {wanted} (LimitNOFILE= of systemd, ulimit -n), or lower it",
            config.connections_max
        )
    });
    Finding { what: "open files", found: allowed.files.to_string(), advice }
}

fn of_mappings(config: &HostConfig, allowed: &Allowed) -> Finding {
    let wanted = allowed.mappings_of_pool(config) + 4 * Allowed::OTHERS;
    let advice = (allowed.mappings < wanted).then(|| {
        format!("instances_max wants more: sysctl -w vm.max_map_count={}, or lower it", wanted.next_power_of_two())
    });
    Finding { what: "memory mappings", found: allowed.mappings.to_string(), advice }
}

fn of_memory(config: &HostConfig, room: Room, allowed: &Allowed) -> Finding {
    let mib = allowed.memory_bytes >> 20;
    let fit = allowed.instances_in_memory(config).max(1);
    let used = config.memory_used_mib_max;
    let advice = if used > 0 && used < MEMORY_USED_MIB_MIN {
        Some(format!("memory_used_mib_max is {used}: below {MEMORY_USED_MIB_MIN} it may refuse every request"))
    } else if u64::from(used) > mib {
        Some(format!("memory_used_mib_max is {used}: the kernel ends the host before it refuses a request"))
    } else {
        (fit < room.instances.into()).then(|| {
            format!(
                "about {fit} idle instances take half of what may be used of it: set instances_max to that, for all that are idle may be kept"
            )
        })
    };
    Finding { what: "memory", found: format!("{mib} MiB"), advice }
}

fn of_functions(config: &HostConfig, allowed: &Allowed) -> Finding {
    let (max, fit) = (allowed.functions_loaded_max(config) as u64, allowed.functions(config));
    let advice = if max > fit {
        Some(format!("there is room for {fit}: lower functions_loaded_max"))
    } else {
        let advice = "functions that are called in turn are loaded anew each time: allow more mappings or files, lower \
            instances_max or connections_max, or raise functions_loaded_max";
        (max < FUNCTIONS_MIN).then(|| advice.to_owned())
    };
    Finding { what: "functions that may be loaded", found: max.to_string(), advice }
}

fn of_instances(config: &HostConfig, room: Room, allowed: &Allowed, cores: u64) -> Finding {
    let Room { instances, bound } = room;
    let (wanted, fit) = (cores * INSTANCES_PER_CORE_MIN, allowed.instances_in_addresses(config));
    let advice = if u64::from(instances) > fit {
        Some(format!("there are addresses for {fit}; a host may not start with more: lower instances_max"))
    } else {
        (u64::from(instances) < wanted)
            .then(|| format!("{cores} cores can be kept busy by {wanted} or more, which {bound} does not allow"))
    };
    Finding { what: "instances at the same time", found: format!("{instances} ({bound})"), advice }
}

#[cfg(test)]
mod tests {
    use gust_core::config::RawConfig;

    use super::*;

    fn advised(raw: RawConfig, allowed: &Allowed, reset: &Reset) -> Vec<&'static str> {
        let found = findings(&HostConfig::try_from(raw).unwrap(), allowed, 2, reset);
        found.into_iter().filter(|finding| finding.advice.is_some()).map(|finding| finding.what).collect()
    }

    #[test]
    fn what_is_well_needs_no_advice_and_what_is_not_gets_it() {
        let plenty = Allowed { mappings: 1 << 30, files: 1 << 30, memory_bytes: 1 << 40, address_bytes: 1 << 47 };
        let raw = RawConfig::default;
        assert!(advised(raw(), &plenty, &Reset::PageScan).is_empty());
        let why = Reset::Discard { why: "swap is on" };
        assert_eq!(advised(raw(), &plenty, &why), ["what is put back of an instance"]);
        let few = Allowed { files: 1024, ..plenty };
        assert_eq!(advised(raw(), &few, &Reset::PageScan), ["open files"]);
        let thousand = || RawConfig { instances_max: Some(1000), ..raw() };
        let few = Allowed { mappings: 10_000, ..plenty };
        let no_room = ["memory mappings", "functions that may be loaded"];
        assert_eq!(advised(thousand(), &few, &Reset::PageScan), no_room);
        assert!(advised(raw(), &few, &Reset::PageScan).is_empty(), "the pool has the size that fits");
        let little = Allowed { memory_bytes: 1 << 30, ..plenty };
        assert_eq!(advised(thousand(), &little, &Reset::PageScan), ["memory"]);
        assert!(advised(raw(), &little, &Reset::PageScan).is_empty(), "the pool has the size that fits");
        let narrow = Allowed { address_bytes: 1 << 38, ..plenty };
        assert_eq!(advised(raw(), &narrow, &Reset::PageScan), ["instances at the same time"]);
        let one = RawConfig { instances_max: Some(1), ..raw() };
        let many = RawConfig { instances_max: Some(20_000), ..raw() };
        assert_eq!(advised(many, &plenty, &Reset::PageScan), ["instances at the same time"]);
        assert_eq!(advised(one, &plenty, &Reset::PageScan), ["instances at the same time"]);
    }
}
