//! Why a request was not answered by its guest: wasmtime's errors in the words of the whole house.

use std::time::Duration;

use gust_core::{Code, Problem};
use wasmtime::{PoolConcurrencyLimitError, Trap, component::ResourceTableError};
use wasmtime_wasi::I32Exit;

use crate::memory::MemoryBudget;

/// Frames of a backtrace that go to the log.
const FRAMES_MAX: usize = 4;

/// The most that is kept of the text of a guest's error, in bytes.
const ERROR_BYTES_MAX: usize = 4 << 10;

/// The wall-clock limit ran out: the function's own, or that of a function that waits for it.
pub(crate) fn timed_out(wall_ms: u32) -> Problem {
    let detail = format!("it took longer than {wall_ms} ms, its limit wall_ms, or whoever called it had no more time");
    Problem::new(Code::LimitWall, detail)
}

/// The limit of CPU time ran out.
pub(crate) fn out_of_cpu(cpu: Duration, max: Duration) -> Problem {
    let (cpu_ms, max_ms) = (cpu.as_millis(), max.as_millis());
    Problem::new(Code::LimitCpu, format!("it has computed for {cpu_ms} ms; its limit cpu_ms is {max_ms}"))
}

/// What an error of instantiation or of a call means. Its backtrace is for the log only.
pub(crate) fn of_guest(error: &wasmtime::Error, memory: &MemoryBudget) -> Problem {
    let (code, detail) = if let Some(exit) = error.downcast_ref::<I32Exit>() {
        (Code::GuestNoResponse, format!("it ended itself with exit status {}", exit.0))
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        of_trap(*trap, memory)
    } else if error.is::<PoolConcurrencyLimitError>() {
        (Code::HostBusy, "all instances are in use; try again in a moment".to_owned())
    } else if memory.was_refused() {
        out_of_memory(memory)
    } else if is_out_of_handles(error) {
        (Code::LimitHandles, "it wanted more resources at the same time than its limit handles allows".to_owned())
    } else {
        (Code::Trap, "its log has the cause".to_owned())
    };
    Problem::new(code, detail).with_internal(told(error))
}

/// An error for the log: its cause, then where it was, the innermost frames first.
fn told(error: &wasmtime::Error) -> String {
    let whole = format!("{error:?}");
    let frames =
        whole.lines().map(str::trim).filter(|line| line.contains("0x") && line.contains(": ")).take(FRAMES_MAX);
    let mut text = error.root_cause().to_string();
    for frame in frames {
        text.push_str("; ");
        text.push_str(frame);
    }
    text
}

fn of_trap(trap: Trap, memory: &MemoryBudget) -> (Code, String) {
    match trap {
        Trap::StackOverflow => (Code::TrapStackOverflow, "it needed more stack than there is".to_owned()),
        // Programs abort when an allocation fails.
        _ if memory.was_refused() => out_of_memory(memory),
        trap => (Code::Trap, format!("it trapped: {trap}")),
    }
}

fn out_of_memory(memory: &MemoryBudget) -> (Code, String) {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (has, max) = (mib(memory.bytes_peak()), mib(memory.bytes_max()));
    (Code::LimitMemory, format!("it had {has:.1} MiB and asked for more; its limit memory_mib is {max}"))
}

/// Whether a table of handles is full: the host's, whose error says so, or wasmtime's own, whose text does.
fn is_out_of_handles(error: &wasmtime::Error) -> bool {
    matches!(error.downcast_ref(), Some(ResourceTableError::Full))
        || error.root_cause().to_string().contains("store handle limit exceeded")
}

/// A guest's text, short enough to keep.
pub(crate) fn cut(mut text: String) -> String {
    if text.len() > ERROR_BYTES_MAX {
        text.truncate(text.floor_char_boundary(ERROR_BYTES_MAX));
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_text_is_cut_between_characters() {
        assert_eq!(cut("short".to_owned()), "short");
        let long = cut("é".repeat(ERROR_BYTES_MAX));
        assert!(long.len() <= ERROR_BYTES_MAX + '…'.len_utf8() && long.ends_with("é…"), "{}", long.len());
    }
}
