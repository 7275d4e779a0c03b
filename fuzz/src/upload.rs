//! A component as it is uploaded: all that the compiler's process does with it, then what the host does with what that made.

use std::sync::LazyLock;

use gust_core::{Code, Limits, Source};

use crate::bench::{Bench, must_be_exact};

static BENCH: LazyLock<Bench> = LazyLock::new(Bench::new);

/// A component, or what is none.
pub fn upload(data: &[u8]) {
    // A start function may well run until it is ended.
    let limits = Limits { cpu_ms: 50, wall_ms: 1000, memory_mib: 4, ..Limits::default() };
    match BENCH.deploy(data, &limits) {
        Ok(function) => {
            let _ = BENCH.call(&function, b"a body");
            must_be_exact(&function);
        }
        Err(problem) => {
            let is_uploaders = problem.code.source() == Source::Client && problem.code != Code::GuestBadRequest;
            assert!(is_uploaders && !problem.detail.is_empty(), "{problem}: {:?}", problem.internal);
        }
    }
}
