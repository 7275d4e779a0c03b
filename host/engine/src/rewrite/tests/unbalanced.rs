//! An example with a fault planted: each call of its typed handler leaves a global other than it was. Compilers do not make
//! such code, so what puts globals back after a call is only seen to do so with this.

use std::{fs, path::Path};

use wasm_encoder::{
    CodeSection, Component, ComponentSectionId, ConstExpr, Function, FunctionSection, GlobalSection, GlobalType,
    Module, RawSection, Section as _, SectionId, TypeSection, ValType,
};

use crate::rewrite::{
    component_appendix, eligibility, exports,
    handler::{POST_RETURN, PostReturn},
    layout::{self, Layout},
    module::CoreModule,
    section,
};

/// An example function.
pub(crate) fn example(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/functions/{name}.wasm"));
    fs::read(&path).unwrap_or_else(|_| panic!("{} is missing; build it with: cargo xtask functions", path.display()))
}

/// The component with the fault, rewritten but for what puts globals back at the end of a call.
pub(crate) fn rewritten_in_vain(unbalanced: &[u8]) -> Vec<u8> {
    let types = layout::validate(unbalanced).unwrap();
    let layout = Layout::read(unbalanced, types.as_ref()).unwrap();
    component_appendix::appended(&layout, eligibility::check(&layout).unwrap(), None).unwrap()
}

/// An example with the fault.
pub(crate) fn unbalanced(name: &str) -> Vec<u8> {
    let component = example(name);
    let types = layout::validate(&component).unwrap();
    let layout = Layout::read(&component, types.as_ref()).unwrap();
    let PostReturn { module, function } = PostReturn::of(&layout, types.as_ref()).unwrap();
    let planted = planted(layout.module(module).unwrap(), function);
    let (mut whole, mut modules) = (Component::new(), 0..);
    for section in &layout.sections {
        let is_module = section.id == u8::from(ComponentSectionId::CoreModule);
        let data = if is_module && modules.next() == Some(module) { &planted } else { &*section.contents };
        whole.section(&RawSection { id: section.id, data });
    }
    whole.finish()
}

/// The module with one global more, which the end of a call sets to another value than it began with.
fn planted(module: &CoreModule<'_>, original: u32) -> Vec<u8> {
    let (mut types, mut functions, mut globals) = (TypeSection::new(), FunctionSection::new(), GlobalSection::new());
    let mut code = CodeSection::new();
    types.ty().function([ValType::I32], []);
    functions.function(module.types);
    let ty = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
    globals.global(ty, &ConstExpr::i64_const(4));
    let mut body = Function::new([]);
    body.instructions().local_get(0).call(original).i64_const(5).global_set(module.globals).end();
    code.function(&body);
    let mut sections = module.sections.clone();
    section::append(&mut sections, types.id(), &types).unwrap();
    section::append(&mut sections, functions.id(), &functions).unwrap();
    section::append(&mut sections, globals.id(), &globals).unwrap();
    section::append(&mut sections, code.id(), &code).unwrap();
    let mut whole = Module::new();
    for section in &mut sections {
        if section.id == u8::from(SectionId::Export) {
            section.contents = exports::redirected(&section.contents, POST_RETURN, module.functions).unwrap().into();
        }
        whole.section(&section.raw());
    }
    whole.finish()
}
