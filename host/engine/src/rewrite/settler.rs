//! Code that puts a component's handle numbers in order, as those of a new instance are.
//!
//! wasmtime (48, `runtime/vm/component/handle_table.rs`) numbers the handles of an instance from 1, and gives out the number
//! that was freed last before any other. So the order in which one request drops its handles is told to the next by the
//! numbers that it gets. Nothing but making and dropping handles changes that order, so the code does just this, with
//! handles of a type that nothing else has: it makes some, which get all numbers up to theirs, and drops the highest first,
//! so that the lowest is the one that was freed last.
//!
//! What holds once it went through with `handles`, which it only does where the numbers 1 to `handles` were the first in line,
//! in any order; otherwise it drops a number that it did not get, which traps:
//! - No number from 1 to `handles` belongs to a handle, and these are the next to be given out, lowest first.
//! - Those behind them are in line as they were. They are in order too if at most `handles` handles were alive at once since
//!   the instance was new, or since the last such time that it was called: for then nothing has moved the others.
//!
//! So to call it with too few either traps or leaves the rest unordered, and it cannot tell which: a line of 1, 3, 2 begins
//! as one that is in order does. How many were alive is for the host to know; it can also bound them, by
//! `Store::set_max_component_handles`.

use wasm_encoder::{BlockType, Function};

/// The parameter of the function that the code is part of: how many handles.
pub(crate) const HANDLES: u32 = 0;

/// A variable of that function, and how many it has.
const LEFT: u32 = 1;
pub(crate) const VARIABLES: u32 = 1;

/// Makes as many handles as the function is told, then drops them by their numbers, from the highest down to 1. `new` is the
/// function that makes one and returns its number, `drop` the one that drops the one with a number.
pub(crate) fn settle(body: &mut Function, new: u32, drop: u32) {
    body.instructions().local_get(HANDLES).local_set(LEFT);
    count_down(body, LEFT, |body| {
        body.instructions().local_get(LEFT).call(new).drop();
    });
    count_down(body, HANDLES, |body| {
        body.instructions().local_get(HANDLES).call(drop);
    });
}

/// Does what `each` adds to the body while `variable`, which counts down, is not 0.
fn count_down(body: &mut Function, variable: u32, each: impl FnOnce(&mut Function)) {
    body.instructions().block(BlockType::Empty).loop_(BlockType::Empty);
    body.instructions().local_get(variable).i32_eqz().br_if(1);
    each(body);
    body.instructions().local_get(variable).i32_const(1).i32_sub().local_set(variable).br(0).end().end();
}
