//! Modules that nobody wrote, as functions: compiled, instantiated, called again and again, and put back in between. The same
//! request has the same answer each time, and that is all of the instance's memory.

mod module;

use std::{collections::HashMap, sync::LazyLock};

use gust_core::{Code, Limits, Problem};
use gust_engine::Function;

use self::module::Exports;
use crate::bench::{Bench, must_be_exact, must_be_the_guests};

/// How often each of its functions is called.
const TURNS: usize = 3;

static BENCH: LazyLock<Bench> = LazyLock::new(Bench::new);

/// What wasm-smith makes a module of.
pub fn generated(data: &[u8]) {
    let Some(module) = module::of(data) else { return };
    let exports = Exports::of(&module);
    let limits = Limits { cpu_ms: 200, wall_ms: 2000, memory_mib: 3, ..Limits::default() };
    let function = match BENCH.deploy(&module::component(&module, &exports), &limits) {
        Ok(function) => function,
        Err(problem) => {
            // Start code may trap.
            assert!(matches!(problem.code, Code::ComponentProbe | Code::ComponentTooLarge), "{problem}");
            return;
        }
    };
    let mut answers = HashMap::new();
    for turn in 0..TURNS * exports.functions() {
        let which = turn % exports.functions();
        let Some(answer) = answer(&function, which, turn) else { continue };
        let first = answers.entry(which).or_insert_with(|| answer.clone());
        assert!(*first == answer, "function {which} answers otherwise in turn {turn}");
    }
    must_be_exact(&function);
}

/// The memory that a call leaves, or how it failed; none where that is a question of time.
fn answer(function: &Function, which: usize, turn: usize) -> Option<Result<Vec<u8>, Code>> {
    let answered = BENCH.call(function, &vec![0; which]);
    // Memory is put back by whoever takes the instance next, or before.
    if turn.is_multiple_of(2) {
        gust_engine::put_back_waiting();
    }
    match answered {
        Ok(response) => Some(Ok(response.into_body().to_vec())),
        Err(Problem { code: Code::LimitCpu | Code::LimitWall, .. }) => None,
        Err(problem) => {
            must_be_the_guests(&problem);
            Some(Err(problem.code))
        }
    }
}
