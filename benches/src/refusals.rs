//! Guests that cannot be put back, or not cheaply, with rewinding and without: what the host loses before it stops trying.

use std::time::Instant;

use anyhow::Result;
use gust_core::InstanceMode;

use crate::{Side as _, hosted::Hosted, machine::Machine, report::Table, statistics::median};

const ROUNDS: usize = 15;

/// What guests do in each request, how many requests a round has, and whether they are answered.
const MISBEHAVIOURS: &[(&str, &str, &str, u64, bool)] = &[
    ("nothing bad (hello)", "hello", "/?name=Ada", 1000, true),
    ("its memory grows", "hostile", "/grow?n=1000000", 100, true),
    ("it leaves a handle", "raw", "/leak", 300, true),
    ("it traps", "hostile", "/trap", 300, false),
    ("it writes to 40 MiB", "pages", "/?n=10000", 10, true),
];

/// Writes the table to `target/bench`.
pub fn run() -> Result<()> {
    let columns = ["a guest of which every request", "rewind, us a request", "fresh", "ratio"];
    let mut table = Table::new(&columns);
    for &(what, function, path, requests, is_answered) in MISBEHAVIOURS {
        table.row(&row(what, function, path, requests, is_answered));
    }
    let heading = format!(
        "{}; one thread, no HTTP; medians of {ROUNDS} rounds in turns. Made by `cargo xtask bench refusals`.",
        Machine::here()
    );
    table.write("refusals", &heading)
}

/// Both ways in turns, from the function's first request on.
fn row(what: &str, function: &str, path: &str, requests: u64, is_answered: bool) -> Vec<String> {
    let mut sides = [InstanceMode::Rewind, InstanceMode::Fresh]
        .map(|mode| Hosted::new("", function, path, mode).answered(is_answered));
    let mut micros = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (side, micros) in sides.iter_mut().zip(&mut micros) {
            let began = Instant::now();
            side.answer(requests);
            micros.push(began.elapsed().as_secs_f64() * 1e6 / requests as f64);
        }
    }
    let [rewound, fresh] = micros.map(median);
    vec![what.to_owned(), format!("{rewound:.1}"), format!("{fresh:.1}"), format!("{:.2}", rewound / fresh)]
}
