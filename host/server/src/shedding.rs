//! Refusing requests before the kernel ends the host for its memory.
//!
//! What guests may have together is far more than a machine has, for few of them ever want it. When they do, the host would be
//! killed, with every request that it serves. So a tenth of a second at a time it looks at what it uses, and while that is more than it
//! may, requests are refused that would begin.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use gust_core::{Code, Problem};

use crate::machine;

/// How often it looks.
pub(crate) const PERIOD: Duration = Duration::from_millis(100);

/// The share that it may use of what there is, in tenths, where nothing else is said.
const TENTHS: u64 = 9;

/// It takes requests again when it uses so much less than it may, in percent.
const BELOW_PERCENT: u64 = 95;

/// Whether requests are refused.
pub(crate) struct Shedding {
    bytes_max: u64,
    is_on: AtomicBool,
}

impl Shedding {
    /// Where it may use so many MiB; 0 is nine tenths of what the machine has, or the control group that it runs in.
    pub(crate) fn new(mib_max: u32) -> Self {
        let bytes_max = match u64::from(mib_max) << 20 {
            0 => machine::memory_bytes() / 10 * TENTHS,
            bytes => bytes,
        };
        Self { bytes_max, is_on: AtomicBool::new(false) }
    }

    /// Fails where requests are refused.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if !self.is_on.load(Relaxed) {
            return Ok(());
        }
        let mib = self.bytes_max >> 20;
        let detail =
            format!("the host uses more than {mib} MiB of memory (memory_used_mib_max); try again in a moment");
        Err(Problem::new(Code::HostBusy, detail))
    }

    /// Looks at what the host uses. Says whether that is too much, and requests are refused.
    pub(crate) fn look(&self) -> bool {
        used().is_some_and(|used| self.turn(used))
    }

    fn turn(&self, used: u64) -> bool {
        let was_on = self.is_on.load(Relaxed);
        let is_on = used > if was_on { self.bytes_max / 100 * BELOW_PERCENT } else { self.bytes_max };
        self.is_on.store(is_on, Relaxed);
        let (used_mib, max_mib) = (used >> 20, self.bytes_max >> 20);
        match (was_on, is_on) {
            (false, true) => tracing::error!(used_mib, max_mib, "too much memory is in use; requests are refused"),
            (true, false) => tracing::info!(used_mib, max_mib, "requests are taken again"),
            _ => {}
        }
        is_on
    }
}

/// What this process has in memory (proc(5)), in bytes.
fn used() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = resident.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_above_what_may_be_and_ends_well_below() {
        let shedding = Shedding::new(100);
        let mib = |mib: u64| shedding.turn(mib << 20);
        assert!(!mib(100) && shedding.check().is_ok());
        assert!(mib(101) && shedding.check().is_err());
        assert!(mib(96) && shedding.check().is_err(), "not yet");
        assert!(!mib(94) && shedding.check().is_ok());
        assert!(mib(101));
    }

    #[test]
    fn what_is_used_is_known_here() {
        assert!(used().unwrap() > 1 << 20);
    }
}
