//! Instructions whose effect outlives a call and cannot be put back.
//!
//! What an instruction does to the memory or to a global is put back, so it may. Proposals are named that are known to do no
//! more than that: an instruction of any other counts as lasting, for nobody has looked at it.

use wasmparser::Operator;

/// What an instruction does that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Effect {
    /// As in "its module ...".
    pub(crate) does: &'static str,
    /// The instruction, or the proposal that it belongs to.
    pub(crate) through: &'static str,
}

const TABLE: &str = "changes a table";
const SEGMENT: &str = "drops a segment";
const OBJECT: &str = "keeps objects outside of its memory";
const UNKNOWN: &str = "uses a kind of instruction that is not known to be safe";

/// What `operator` does that lasts; none where all it does is put back.
pub(crate) fn lasting(operator: &Operator<'_>) -> Option<Effect> {
    let (does, through) = match operator {
        Operator::TableSet { .. } => (TABLE, "table.set"),
        Operator::TableFill { .. } => (TABLE, "table.fill"),
        Operator::TableCopy { .. } => (TABLE, "table.copy"),
        Operator::TableGrow { .. } => (TABLE, "table.grow"),
        Operator::TableInit { .. } => (TABLE, "table.init"),
        Operator::ElemDrop { .. } => (SEGMENT, "elem.drop"),
        Operator::DataDrop { .. } => (SEGMENT, "data.drop"),
        Operator::StructNew { .. } | Operator::StructNewDefault { .. } => (OBJECT, "struct.new"),
        Operator::StructSet { .. } => (OBJECT, "struct.set"),
        Operator::ArrayNew { .. }
        | Operator::ArrayNewDefault { .. }
        | Operator::ArrayNewFixed { .. }
        | Operator::ArrayNewData { .. }
        | Operator::ArrayNewElem { .. } => (OBJECT, "array.new"),
        Operator::ArraySet { .. } => (OBJECT, "array.set"),
        Operator::ArrayFill { .. } => (OBJECT, "array.fill"),
        Operator::ArrayCopy { .. } => (OBJECT, "array.copy"),
        Operator::ArrayInitData { .. } | Operator::ArrayInitElem { .. } => (OBJECT, "array.init"),
        other => (UNKNOWN, unknown_proposal(other)?),
    };
    Some(Effect { does, through })
}

/// The proposal of `operator`, where it is not one of those whose instructions were looked at.
fn unknown_proposal(operator: &Operator<'_>) -> Option<&'static str> {
    macro_rules! proposal {
        ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($arity:tt)*))*) => {
            match operator {
                $(Operator::$op { .. } => proposal!(of $proposal),)*
                _ => Some("unknown"),
            }
        };
        (of mvp) => { None };
        (of sign_extension) => { None };
        (of saturating_float_to_int) => { None };
        (of bulk_memory) => { None };
        (of reference_types) => { None };
        (of function_references) => { None };
        (of tail_call) => { None };
        (of simd) => { None };
        (of relaxed_simd) => { None };
        (of wide_arithmetic) => { None };
        (of exceptions) => { None };
        (of legacy_exceptions) => { None };
        (of gc) => { None };
        (of $other:ident) => { Some(stringify!($other)) };
    }
    wasmparser::for_each_operator!(proposal)
}
