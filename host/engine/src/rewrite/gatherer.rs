//! A core module that calls the functions of many instances one after the other, so that one call from the host reaches
//! all of them. Of what they return it returns the sum.

use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, Module, NameSection,
    TypeSection, ValType,
};

use super::{CHECK, PREFIX, RESTORE, SAVE};

/// The instance that the module imports all functions from.
pub(crate) const FROM: &str = "instances";

/// The functions that it imports from each instance and exports, with the types that it knows them by.
pub(crate) const GATHERED: [(&str, u32); 3] = [(SAVE, NOTHING), (RESTORE, NOTHING), (CHECK, COUNT)];

/// The type of a function that returns nothing.
const NOTHING: u32 = 0;

/// The type of a function that returns a number, of which the gathered one returns the sum.
const COUNT: u32 = 1;

/// The name by which it imports the function `exported` of the instance with this index.
pub(crate) fn import_name(exported: &str, instance: u32) -> String {
    format!("{exported}-{instance}")
}

/// The module for the instances with these indices.
pub(crate) fn module(instances: &[u32]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([], [ValType::I32]);
    let mut imports = ImportSection::new();
    let (mut functions, mut exports, mut code) = (FunctionSection::new(), ExportSection::new(), CodeSection::new());
    let (mut bodies, mut imported) = (Vec::new(), 0);
    for (exported, ty) in GATHERED {
        let mut body = Function::new([]);
        if ty == COUNT {
            body.instructions().i32_const(0);
        }
        for instance in instances {
            imports.import(FROM, &import_name(exported, *instance), EntityType::Function(ty));
            body.instructions().call(imported);
            if ty == COUNT {
                body.instructions().i32_add();
            }
            imported += 1;
        }
        body.instructions().end();
        bodies.push((exported, ty, body));
    }
    for (function, (exported, ty, body)) in (imported..).zip(&bodies) {
        functions.function(*ty);
        exports.export(exported, ExportKind::Func, function);
        code.function(body);
    }
    let mut names = NameSection::new();
    names.module(PREFIX);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&exports).section(&code).section(&names);
    module.finish()
}
