//! Why a request was not answered by its guest: wasmtime's errors in the words of the whole house.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use gust_core::{Code, Problem};
use rustc_demangle::demangle;
use wasmtime::{FrameInfo, PoolConcurrencyLimitError, Trap, WasmBacktrace, component::ResourceTableError};
use wasmtime_wasi::I32Exit;

use crate::memory::MemoryBudget;

/// Frames of a backtrace that go to the log.
const FRAMES_MAX: usize = 16;

/// The most of a function's name that does, in bytes: enough for a generic one in a few modules.
const NAME_BYTES_MAX: usize = 256;

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

/// What an error of instantiation or of a call means. Its backtrace is for the log only. `handles_max` is how many resources it may have.
pub(crate) fn of_guest(error: &wasmtime::Error, memory: &MemoryBudget, handles_max: u32) -> Problem {
    let (code, detail) = if let Some(exit) = error.downcast_ref::<I32Exit>() {
        (Code::GuestNoResponse, format!("it ended itself with exit status {}", exit.0))
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        of_trap(*trap, memory)
    } else if error.is::<PoolConcurrencyLimitError>() {
        (Code::HostBusy, "all instances are in use; try again in a moment".to_owned())
    } else if memory.bytes_refused().is_some() {
        out_of_memory(memory)
    } else if is_out_of_handles(error) {
        (Code::LimitHandles, format!("it wanted more than {handles_max} resources at the same time, its limit handles"))
    } else {
        (Code::Trap, "its log has the cause".to_owned())
    };
    Problem::new(code, detail).with_internal(told(error))
}

/// An error for the log: its cause, then where it was, the innermost frames first.
fn told(error: &wasmtime::Error) -> String {
    let mut text = error.root_cause().to_string();
    let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], WasmBacktrace::frames);
    for frame in frames.iter().take(FRAMES_MAX) {
        text.push_str(if frame.func_name().is_some() { "; at " } else { "; at function " });
        text.push_str(&place(frame));
    }
    text
}

/// The function of a frame, by its name where the component carries that, and its place in the module, as debuggers want it.
fn place(frame: &FrameInfo) -> String {
    let index = frame.func_index();
    let function = frame.func_name().map_or_else(|| index.to_string(), readable);
    let offset = frame.module_offset().map(|offset| format!(" (0x{offset:x})"));
    function + offset.as_deref().unwrap_or_default()
}

/// The name of a function as it was written, short enough for the log. Its component may say it is anything.
fn readable(name: &str) -> String {
    let mut text = Short(String::new());
    // What is cut is an error to whoever writes it.
    let _ = match name.len() {
        ..=NAME_BYTES_MAX => write!(text, "{:#}", demangle(name)),
        _ => text.write_str(name),
    };
    text.0
}

/// A text that takes so many bytes and no more.
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = NAME_BYTES_MAX - self.0.len();
        self.0.push_str(&more[..more.floor_char_boundary(room)]);
        if more.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}

fn of_trap(trap: Trap, memory: &MemoryBudget) -> (Code, String) {
    match trap {
        Trap::StackOverflow => (Code::TrapStackOverflow, "it needed more stack than there is".to_owned()),
        // Programs abort when an allocation fails.
        _ if memory.bytes_refused().is_some() => out_of_memory(memory),
        trap => (Code::Trap, format!("it trapped: {trap}")),
    }
}

fn out_of_memory(memory: &MemoryBudget) -> (Code, String) {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (has, max) = (mib(memory.bytes_peak()), mib(memory.bytes_max()));
    let wanted = mib(memory.bytes_refused().unwrap_or_default());
    (Code::LimitMemory, format!("it had {has:.1} MiB and wanted {wanted:.1}; its limit memory_mib is {max}"))
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
    fn names_are_as_they_were_written_and_have_an_end() {
        assert_eq!(readable("_RNvNtCs1234_7mycrate3foo3bar"), "mycrate::foo::bar");
        assert_eq!(readable("_ZN5hello6handle17h0123456789abcdefE"), "hello::handle");
        assert_eq!(readable("handle"), "handle");
        let long = readable(&"é".repeat(10_000_000));
        assert_eq!((long.len(), long.capacity() < 1000), (NAME_BYTES_MAX, true));
        // Each part is the one before twice.
        let doubling = format!("_RINvC1a1b{}pE", "TB6_B6_".repeat(30));
        assert!(readable(&doubling).len() <= NAME_BYTES_MAX);
    }

    #[test]
    fn a_guests_text_is_cut_between_characters() {
        assert_eq!(cut("short".to_owned()), "short");
        let long = cut("é".repeat(ERROR_BYTES_MAX));
        assert!(long.len() <= ERROR_BYTES_MAX + '…'.len_utf8() && long.ends_with("é…"), "{}", long.len());
    }
}
