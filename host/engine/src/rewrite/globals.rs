//! Mutable globals, and the shadows that keep what they are to be put back to.

use wasm_encoder::{
    ConstExpr, Function, GlobalType, Ieee32, Ieee64, ValType,
    reencode::{Reencode as _, RoundtripReencoder},
};
use wasmparser::Operator;

/// A mutable global that a module defines.
#[derive(Debug, Clone)]
pub(crate) struct MutableGlobal<'a> {
    /// Its index in the module.
    pub(crate) index: u32,
    pub(crate) ty: wasmparser::GlobalType,
    /// What it is before any code ran.
    pub(crate) first: wasmparser::ConstExpr<'a>,
}

impl MutableGlobal<'_> {
    /// The type and the first value of a global that can hold what this one does; none where none can. The value is this
    /// one's own where that is a number, so that nothing has to be saved for it; otherwise an empty one.
    pub(crate) fn shadow(&self) -> Option<(GlobalType, ConstExpr)> {
        let ty = RoundtripReencoder.global_type(self.ty).ok().filter(|ty| !ty.shared)?;
        let empty = match ty.val_type {
            ValType::I32 => ConstExpr::i32_const(0),
            ValType::I64 => ConstExpr::i64_const(0),
            ValType::F32 => ConstExpr::f32_const(0.0.into()),
            ValType::F64 => ConstExpr::f64_const(0.0.into()),
            ValType::V128 => ConstExpr::v128_const(0),
            ValType::Ref(reference) if reference.nullable => ConstExpr::ref_null(reference.heap_type),
            ValType::Ref(_) => return None,
        };
        Some((ty, self.first_number().unwrap_or(empty)))
    }

    /// The first value, where it is a number that stands there.
    fn first_number(&self) -> Option<ConstExpr> {
        let mut operators = self.first.get_operators_reader();
        let number = match operators.read().ok()? {
            Operator::I32Const { value } => ConstExpr::i32_const(value),
            Operator::I64Const { value } => ConstExpr::i64_const(value),
            Operator::F32Const { value } => ConstExpr::f32_const(Ieee32::new(value.bits())),
            Operator::F64Const { value } => ConstExpr::f64_const(Ieee64::new(value.bits())),
            Operator::V128Const { value } => ConstExpr::v128_const(value.i128()),
            _ => return None,
        };
        matches!(operators.read(), Ok(Operator::End)).then_some(number)
    }
}

/// A mutable global that has a shadow: the two indices, and the type of both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shadowed {
    pub(crate) global: u32,
    pub(crate) shadow: u32,
    pub(crate) ty: ValType,
}

impl Shadowed {
    /// Copies the global to the shadow.
    pub(crate) fn save(self, body: &mut Function) {
        body.instructions().global_get(self.global).global_set(self.shadow);
    }

    /// Copies it back.
    pub(crate) fn restore(self, body: &mut Function) {
        body.instructions().global_get(self.shadow).global_set(self.global);
    }

    /// Leaves 1 where the two differ in any bit, otherwise 0. References differ where one of them is null.
    pub(crate) fn differs(self, body: &mut Function) {
        let Self { global, shadow, ty } = self;
        let mut code = body.instructions();
        match ty {
            ValType::I32 => code.global_get(global).global_get(shadow).i32_ne(),
            ValType::I64 => code.global_get(global).global_get(shadow).i64_ne(),
            ValType::F32 => {
                code.global_get(global).i32_reinterpret_f32().global_get(shadow).i32_reinterpret_f32().i32_ne()
            }
            ValType::F64 => {
                code.global_get(global).i64_reinterpret_f64().global_get(shadow).i64_reinterpret_f64().i64_ne()
            }
            ValType::V128 => code.global_get(global).global_get(shadow).v128_xor().v128_any_true(),
            ValType::Ref(_) => code.global_get(global).ref_is_null().global_get(shadow).ref_is_null().i32_ne(),
        };
    }
}
