//! `gust:function/handler`: the typed world, bound so that a request is lent to the guest and never copied on this side.

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "function",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

pub(crate) use bindings::{
    Function as Typed, FunctionIndices as TypedIndices, FunctionPre as TypedPre,
    exports::gust::function::handler::{Error, Request, Response},
};
