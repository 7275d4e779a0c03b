//! A core module that calls functions of several instances one after the other, so that one call from the host reaches all
//! of them. Of what they return it returns the sum. Where the component has handles, it also puts their numbers in order.
//!
//! It makes one core instance more, which every instantiation pays for. So there is one at most, and none where one core
//! instance has all mutable globals and there are no handles: that instance's own functions do as they are.

use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, Module, NameSection,
    TypeSection, ValType,
};

use super::{CHECK, PREFIX, RESET, SAVE, layout::Layout, settler};

/// The instance that the module imports all functions from.
pub(crate) const FROM: &str = "instances";

/// The function that makes a handle and returns its number, and the one that drops the handle with a number.
pub(crate) const HANDLE_FUNCTIONS: [&str; 2] = ["new", "drop"];

/// Those functions' indices and types: they are imported before all others.
const NEW: (u32, u32) = (0, TAKES_AND_RETURNS);
const DROP: (u32, u32) = (1, TAKES);

/// The functions that it may import from each instance and export, with their types.
const GATHERED: [(&str, u32); 3] = [(SAVE, ACTS), (RESET, TAKES), (CHECK, COUNTS)];

/// The types of functions, by their indices.
const ACTS: u32 = 0;
const COUNTS: u32 = 1;
const TAKES: u32 = 2;
const TAKES_AND_RETURNS: u32 = 3;

/// What a gatherer has to call.
#[derive(Debug)]
pub(crate) struct Gatherer {
    /// The core instances that have mutable globals.
    instances: Vec<u32>,
    /// Whether the component has handles.
    pub(crate) settles: bool,
}

impl Gatherer {
    /// The one that this component needs; none where it can do without.
    pub(crate) fn of(layout: &Layout<'_>) -> Option<Self> {
        let (instances, settles) = (layout.with_globals(), layout.imports_resources);
        (instances.len() > 1 || settles).then_some(Self { instances, settles })
    }

    /// Whether it exports a function with this name. It does not where an instance's own will do.
    pub(crate) fn exports(&self, name: &str) -> bool {
        name == RESET || self.instances.len() > 1
    }

    /// What it imports besides the [functions for handles](HANDLE_FUNCTIONS): an instance, the name of a function there, and
    /// the name by which it imports that.
    pub(crate) fn imports(&self) -> impl Iterator<Item = (u32, &'static str, String)> {
        self.gathered().flat_map(|(name, _)| self.instances.iter().map(move |of| (*of, name, import_name(name, *of))))
    }

    /// The module.
    pub(crate) fn module(&self) -> Vec<u8> {
        let (imports, mut exports) = (self.import_section(), ExportSection::new());
        let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
        let mut imported = if self.settles { 2.. } else { 0.. };
        for (function, (name, ty)) in (imports.len()..).zip(self.gathered()) {
            functions.function(ty);
            exports.export(name, ExportKind::Func, function);
            code.function(&self.body(ty, imported.by_ref().take(self.instances.len())));
        }
        let mut names = NameSection::new();
        names.module(PREFIX);
        let mut module = Module::new();
        module.section(&types()).section(&imports).section(&functions).section(&exports).section(&code).section(&names);
        module.finish()
    }

    /// What it exports, with the types.
    fn gathered(&self) -> impl Iterator<Item = (&'static str, u32)> {
        GATHERED.into_iter().filter(|(name, _)| self.exports(name))
    }

    fn import_section(&self) -> ImportSection {
        let mut imports = ImportSection::new();
        if self.settles {
            for (name, (_, ty)) in HANDLE_FUNCTIONS.into_iter().zip([NEW, DROP]) {
                imports.import(FROM, name, EntityType::Function(ty));
            }
        }
        for (name, ty) in self.gathered() {
            for instance in &self.instances {
                imports.import(FROM, &import_name(name, *instance), EntityType::Function(ty));
            }
        }
        imports
    }

    /// A function of this type, which calls `functions` of the same type.
    fn body(&self, ty: u32, functions: impl Iterator<Item = u32>) -> Function {
        let mut body = Function::new([(settler::VARIABLES, ValType::I32)]);
        if ty == COUNTS {
            body.instructions().i32_const(0);
        }
        for function in functions {
            match ty {
                COUNTS => body.instructions().call(function).i32_add(),
                TAKES => body.instructions().local_get(settler::HANDLES).call(function),
                _ => body.instructions().call(function),
            };
        }
        if ty == TAKES && self.settles {
            settler::settle(&mut body, NEW.0, DROP.0);
        }
        body.instructions().end();
        body
    }
}

/// The name by which the function `exported` of this instance is imported.
fn import_name(exported: &str, instance: u32) -> String {
    format!("{exported}-{instance}")
}

/// All types, in the order of their indices.
fn types() -> TypeSection {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([], [ValType::I32]);
    types.ty().function([ValType::I32], []);
    types.ty().function([ValType::I32], [ValType::I32]);
    types
}
