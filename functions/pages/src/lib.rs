//! Writes to as many pages of its memory as it is asked to, for the benches. Not an example.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use gust_sdk::{Query, handler};
use serde::Deserialize;

/// Bytes of the pages that the host puts back.
const PAGE_BYTES: usize = 4096;

/// The most that can be asked for.
const PAGES_MAX: usize = 10_000;

/// Zeroes, which take no room in the component.
static MEMORY: [AtomicU8; PAGES_MAX * PAGE_BYTES] = [const { AtomicU8::new(0) }; PAGES_MAX * PAGE_BYTES];

#[derive(Deserialize)]
struct HowMany {
    n: usize,
}

/// `GET /pages?n=100`. Answers how many of the pages were written to before, which is none in a pristine instance.
#[handler]
fn pages(Query(HowMany { n }): Query<HowMany>) -> String {
    let firsts = MEMORY.iter().step_by(PAGE_BYTES).take(n);
    let written = firsts.filter(|byte| byte.swap(1, Relaxed) == 1).count();
    format!("{written} pages were not pristine")
}
