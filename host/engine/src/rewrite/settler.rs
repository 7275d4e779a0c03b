//! A core module that puts a component's handle numbers in order, as those of a new instance are.
//!
//! wasmtime (48, `runtime/vm/component/handle_table.rs`) numbers the handles of an instance from 1, and gives out the number
//! that was freed last before any other. So the order in which one request drops its handles is told to the next by the
//! numbers that it gets. Nothing but making and dropping handles changes that order, so the module does just this, with
//! handles of a type that nothing else has: it makes some, which get all numbers up to theirs, and drops the highest first,
//! so that the lowest is the one that was freed last.
//!
//! What holds once it returned from `handles`, which it only does where the numbers 1 to `handles` were the first in line,
//! in any order; otherwise it drops a number that it did not get, which traps:
//! - No number from 1 to `handles` belongs to a handle, and these are the next to be given out, lowest first.
//! - Those behind them are in line as they were. They are in order too if at most `handles` handles were alive at once since
//!   the instance was new, or since the last such time that it was called: for then nothing has moved the others.
//!
//! So to call it with too few either traps or leaves the rest unordered, and it cannot tell which: a line of 1, 3, 2 begins
//! as one that is in order does. How many were alive is for the host to know; it can also bound them, by
//! `Store::set_max_component_handles`.

use wasm_encoder::{
    BlockType, CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, Module,
    NameSection, TypeSection, ValType,
};

use super::{PREFIX, SETTLE};

/// The instance that the module imports its functions from.
pub(crate) const FROM: &str = "handles";

/// The function that makes a handle and returns its number.
pub(crate) const NEW: &str = "new";

/// The function that drops the handle with a number.
pub(crate) const DROP: &str = "drop";

/// The types of its functions, and the functions, by their indices.
const TAKES_AND_RETURNS: u32 = 0;
const TAKES: u32 = 1;
const CALL_NEW: u32 = 0;
const CALL_DROP: u32 = 1;
const DEFINED: u32 = 2;

/// The parameter of the function that it exports, and a variable of it.
const HANDLES: u32 = 0;
const LEFT: u32 = 1;

/// The module.
pub(crate) fn module() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    types.ty().function([ValType::I32], []);
    let mut imports = ImportSection::new();
    imports.import(FROM, NEW, EntityType::Function(TAKES_AND_RETURNS));
    imports.import(FROM, DROP, EntityType::Function(TAKES));
    let (mut functions, mut exports, mut code) = (FunctionSection::new(), ExportSection::new(), CodeSection::new());
    functions.function(TAKES);
    exports.export(SETTLE, ExportKind::Func, DEFINED);
    code.function(&settle());
    let mut names = NameSection::new();
    names.module(PREFIX);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&exports).section(&code).section(&names);
    module.finish()
}

/// Makes as many handles as it is told, then drops them by their numbers, from the highest down to 1.
fn settle() -> Function {
    let mut body = Function::new([(1, ValType::I32)]);
    body.instructions().local_get(HANDLES).local_set(LEFT);
    count_down(&mut body, LEFT, |body| {
        body.instructions().local_get(LEFT).call(CALL_NEW).drop();
    });
    count_down(&mut body, HANDLES, |body| {
        body.instructions().local_get(HANDLES).call(CALL_DROP);
    });
    body.instructions().end();
    body
}

/// Does what `each` adds to the body while `variable`, which counts down, is not 0.
fn count_down(body: &mut Function, variable: u32, each: impl FnOnce(&mut Function)) {
    body.instructions().block(BlockType::Empty).loop_(BlockType::Empty);
    body.instructions().local_get(variable).i32_eqz().br_if(1);
    each(body);
    body.instructions().local_get(variable).i32_const(1).i32_sub().local_set(variable).br(0).end().end();
}
