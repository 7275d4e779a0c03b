//! What the kernel counts about a process (proc(5)).

use std::{fs, io};

/// Counters of a process and what it has now.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// CPU time of all its threads, in seconds. The kernel counts it in ticks of 10 ms.
    pub cpu_seconds: f64,
    /// Page faults that needed no reading from a disk.
    pub minor_faults: u64,
    /// Context switches of all its threads that are alive.
    pub switches: u64,
    /// Memory in use, in MiB.
    pub resident_mib: f64,
}

/// What `pid` has used so far; all zero if there is no such process.
pub fn usage(pid: u32) -> Usage {
    let mut usage = stat(&format!("/proc/{pid}/stat"));
    usage.resident_mib = field(&format!("/proc/{pid}/status"), "VmRSS:") as f64 / 1024.0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let status = task.path().join("status").to_string_lossy().into_owned();
        usage.switches += field(&status, "voluntary_ctxt_switches:") + field(&status, "nonvoluntary_ctxt_switches:");
    }
    usage
}

/// Begins anew to keep the peak of a process's memory.
pub fn forget_peak(pid: u32) -> io::Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5")
}

/// The most memory that was in use since then, in MiB.
pub fn peak_mib(pid: u32) -> f64 {
    field(&format!("/proc/{pid}/status"), "VmHWM:") as f64 / 1024.0
}

/// CPU time of the threads of `pid` that are alive, in milliseconds, as the scheduler counts it.
pub fn cpu_ms(pid: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanoseconds = tasks.map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|first| first.parse::<f64>().ok()).unwrap_or_default()
    });
    nanoseconds.sum::<f64>() / 1e6
}

/// Minor faults of the calling thread so far.
pub fn thread_faults() -> u64 {
    stat("/proc/thread-self/stat").minor_faults
}

/// CPU time of this process and of its children that are over, in seconds.
pub fn own_and_childrens_cpu_seconds() -> f64 {
    let fields = stat_fields("/proc/self/stat");
    seconds(&fields, 14) + seconds(&fields, 15) + seconds(&fields, 16) + seconds(&fields, 17)
}

fn stat(path: &str) -> Usage {
    let fields = stat_fields(path);
    let cpu_seconds = seconds(&fields, 14) + seconds(&fields, 15);
    Usage { cpu_seconds, minor_faults: at(&fields, 10), ..Usage::default() }
}

/// The fields from the third on.
fn stat_fields(path: &str) -> Vec<u64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // The second field is the program's name in parentheses, and may hold spaces.
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.map(|field| field.parse().unwrap_or_default()).collect()
}

/// The field with this number in proc(5).
fn at(fields: &[u64], number: usize) -> u64 {
    fields.get(number - 3).copied().unwrap_or_default()
}

fn seconds(fields: &[u64], number: usize) -> f64 {
    at(fields, number) as f64 / rustix::param::clock_ticks_per_second() as f64
}

fn field(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or_default()
}
