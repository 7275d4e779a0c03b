//! One request without HTTP: store, instance, call, and all of it gone again. On gust's engine in both worlds, and on bare
//! wasmtime with the same settings and with pooling defaults.
//!
//! After criterion's own figures comes a table of the sides in turns, which is where ratios are taken from.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a bench ends by panicking")]

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group};
use gust_benches::{
    Side,
    bare::{Bare, Settings, World},
    hosted::Hosted,
    median,
    process::thread_faults,
    report::{Table, machine},
};
use gust_core::InstanceMode;

const ROUNDS: usize = 41;
const REQUESTS_PER_ROUND: u64 = 2000;

/// The first is what the others are compared with.
fn sides() -> Vec<Box<dyn Side>> {
    use Settings::{PoolingDefaults, SameAsGust};
    vec![
        Box::new(Hosted::new("typed, gust, rewound", "hello", "/?name=Ada", InstanceMode::Rewind)),
        Box::new(Hosted::new("typed, gust, fresh", "hello", "/?name=Ada", InstanceMode::Fresh)),
        Box::new(Bare::new("typed, bare wasmtime, same settings", "hello", "/?name=Ada", World::Typed, SameAsGust)),
        Box::new(Hosted::new("wasi:http, gust, rewound", "raw", "/", InstanceMode::Rewind)),
        Box::new(Hosted::new("wasi:http, gust, fresh", "raw", "/", InstanceMode::Fresh)),
        Box::new(Bare::new("wasi:http, bare wasmtime, same settings", "raw", "/", World::WasiHttp, SameAsGust)),
        Box::new(Bare::new(
            "wasi:http, bare wasmtime, same settings, the typed row's component",
            "hello",
            "/?name=Ada",
            World::WasiHttp,
            SameAsGust,
        )),
        Box::new(Bare::new(
            "wasi:http, bare wasmtime, pooling defaults, the typed row's component",
            "hello",
            "/?name=Ada",
            World::WasiHttp,
            PoolingDefaults,
        )),
    ]
}

fn one_by_one(criterion: &mut Criterion) {
    for mut side in sides() {
        let name = side.name().to_owned();
        criterion.bench_function(&name, |bencher| {
            bencher.iter_custom(|iterations| {
                let began = Instant::now();
                side.answer(iterations);
                began.elapsed()
            });
        });
    }
}

fn in_turns() {
    let mut sides = sides();
    for side in &mut sides {
        side.answer(REQUESTS_PER_ROUND);
    }
    let mut micros = vec![Vec::new(); sides.len()];
    let mut faults = vec![Vec::new(); sides.len()];
    for _ in 0..ROUNDS {
        for (at, side) in sides.iter_mut().enumerate() {
            let (began, before) = (Instant::now(), thread_faults());
            side.answer(REQUESTS_PER_ROUND);
            micros[at].push(began.elapsed().as_secs_f64() * 1e6 / REQUESTS_PER_ROUND as f64);
            faults[at].push((thread_faults() - before) as f64 / REQUESTS_PER_ROUND as f64);
        }
    }
    let micros: Vec<f64> = micros.into_iter().map(median).collect();
    let mut table = Table::new(&["side", "us a request", "of the first", "page faults a request"]);
    for ((side, us), faults) in sides.iter().zip(&micros).zip(faults) {
        let cells = [format!("{us:.2}"), format!("{:.2}", us / micros[0]), format!("{:.3}", median(faults))];
        table.row(&[vec![side.name().to_owned()], cells.to_vec()].concat());
    }
    let heading = format!(
        "{}; medians of {ROUNDS} rounds in turns of {REQUESTS_PER_ROUND} requests. Made by `cargo xtask bench`.",
        machine()
    );
    table.publish("instance.md", &heading).unwrap();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3)).configure_from_args();
    targets = one_by_one
}

fn main() {
    benches();
    in_turns();
}
