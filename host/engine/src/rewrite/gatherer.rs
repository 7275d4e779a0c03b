//! A core module that calls the functions of many instances one after the other, so that one call from the host reaches
//! all of them.

use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, Module, NameSection,
    TypeSection,
};

use super::{PREFIX, RESTORE, SAVE};

/// The instance that the module imports all functions from.
pub(crate) const FROM: &str = "instances";

/// The name by which it imports the function `exported` of the instance with this index.
pub(crate) fn import_name(exported: &str, instance: u32) -> String {
    format!("{exported}-{instance}")
}

/// The module for the instances with these indices.
pub(crate) fn module(instances: &[u32]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut imports = ImportSection::new();
    let (mut functions, mut exports, mut code) = (FunctionSection::new(), ExportSection::new(), CodeSection::new());
    let (mut bodies, mut imported) = (Vec::new(), 0);
    for exported in [SAVE, RESTORE] {
        let mut body = Function::new([]);
        for instance in instances {
            imports.import(FROM, &import_name(exported, *instance), EntityType::Function(0));
            body.instructions().call(imported);
            imported += 1;
        }
        body.instructions().end();
        bodies.push((exported, body));
    }
    for (function, (exported, body)) in (imported..).zip(&bodies) {
        functions.function(0);
        exports.export(exported, ExportKind::Func, function);
        code.function(body);
    }
    let mut names = NameSection::new();
    names.module(PREFIX);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&exports).section(&code).section(&names);
    module.finish()
}
