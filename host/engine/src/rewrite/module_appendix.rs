//! What the rewrite appends to a core module: functions that say where its memory is, and that save, reset and
//! compare its mutable globals, all exported.

use std::borrow::Cow;

use wasm_encoder::{
    CodeSection, ConstExpr, Encode, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    MemArg, Module, Section as _, SectionId, TypeSection, ValType,
};
use wasmparser::Error;

use super::{
    CHECK, MEMORY, RESET, SAVE,
    module::CoreModule,
    section::{self, Section},
};

/// The module's memory, exported by a name that is known.
pub(crate) const HEAP: &str = "gust-rewind-heap";

/// Puts back what the question for the memory overwrote.
pub(crate) const MEMORY_DONE: &str = "gust-rewind-memory-done";

/// Where in the memory the answer to that question stands for a moment: a list's address and its length, four bytes each.
const ANSWER_AT: i32 = 8;

/// By how much the number of the memory's pages is shifted to be the answer: a list of that many times 2 to the power of 16
/// bytes (the upper 32 bits) at address 0 (the lower). Of 65536 pages nothing is left.
const PAGES_SHIFT: i64 = 16 + 32;

/// The contents of a section with no entries.
const NO_ENTRIES: &[u8] = &[0];

/// The order that sections of a module must have (WebAssembly core specification, "Binary Format", "Modules").
const ORDER: [SectionId; 13] = [
    SectionId::Type,
    SectionId::Import,
    SectionId::Function,
    SectionId::Table,
    SectionId::Memory,
    SectionId::Tag,
    SectionId::Global,
    SectionId::Export,
    SectionId::Start,
    SectionId::Element,
    SectionId::DataCount,
    SectionId::Code,
    SectionId::Data,
];

/// The module with everything that it needs to be put back.
pub(crate) fn appended(module: &CoreModule<'_>) -> Result<Vec<u8>, Error> {
    let mut appendix = Appendix::new(module);
    if !module.memories.is_empty() {
        appendix.add_memory_question();
    }
    if !module.mutable_globals.is_empty() {
        appendix.add_global_functions();
    }
    appendix.finish()
}

/// New entries for a module's sections.
struct Appendix<'m> {
    module: &'m CoreModule<'m>,
    types: TypeSection,
    functions: FunctionSection,
    globals: GlobalSection,
    exports: ExportSection,
    code: CodeSection,
}

impl<'m> Appendix<'m> {
    fn new(module: &'m CoreModule<'m>) -> Self {
        Self {
            module,
            types: TypeSection::new(),
            functions: FunctionSection::new(),
            globals: GlobalSection::new(),
            exports: ExportSection::new(),
            code: CodeSection::new(),
        }
    }

    /// A function that writes the answer to the memory and returns the answer's address, and one that puts back what stood
    /// there.
    fn add_memory_question(&mut self) {
        let memory = self.module.imported_memories;
        let at = MemArg { offset: 0, align: 3, memory_index: memory };
        let ty = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
        let overwritten = self.add_global(ty, &ConstExpr::i64_const(0));
        let mut ask = Function::new([]);
        ask.instructions().i32_const(ANSWER_AT).i64_load(at).global_set(overwritten);
        ask.instructions().i32_const(ANSWER_AT).memory_size(memory).i64_extend_i32_u();
        ask.instructions().i64_const(PAGES_SHIFT).i64_shl().i64_store(at).i32_const(ANSWER_AT).end();
        let mut done = Function::new([]);
        done.instructions().i32_const(ANSWER_AT).global_get(overwritten).i64_store(at).end();
        self.add_function(MEMORY, &[], &[ValType::I32], &ask);
        self.add_function(MEMORY_DONE, &[ValType::I32], &[], &done);
        self.exports.export(HEAP, ExportKind::Memory, memory);
    }

    /// A function that copies each mutable global to a shadow of its own, one that copies it back, and one that counts those
    /// that differ from their shadows.
    fn add_global_functions(&mut self) {
        let (mut save, mut restore, mut check) = (Function::new([]), Function::new([]), Function::new([]));
        check.instructions().i32_const(0);
        for global in &self.module.mutable_globals {
            let Some((ty, empty)) = global.shadow() else { continue };
            let shadow = self.add_global(ty, &empty);
            save.instructions().global_get(global.index).global_set(shadow);
            restore.instructions().global_get(shadow).global_set(global.index);
            differs(&mut check, global.index, ty.val_type, shadow);
            check.instructions().i32_add();
        }
        for body in [&mut save, &mut restore, &mut check] {
            body.instructions().end();
        }
        self.add_function(SAVE, &[], &[], &save);
        // Handles are the gatherer's: where there is none, the number of them is always 0.
        self.add_function(RESET, &[ValType::I32], &[], &restore);
        self.add_function(CHECK, &[], &[ValType::I32], &check);
    }

    fn add_global(&mut self, ty: GlobalType, value: &ConstExpr) -> u32 {
        let index = self.module.globals + self.globals.len();
        self.globals.global(ty, value);
        index
    }

    fn add_function(&mut self, name: &str, params: &[ValType], results: &[ValType], body: &Function) {
        let ty = self.module.types + self.types.len();
        let function = self.module.functions + self.functions.len();
        self.types.ty().function(params.iter().copied(), results.iter().copied());
        self.functions.function(ty);
        self.exports.export(name, ExportKind::Func, function);
        self.code.function(body);
    }

    fn finish(self) -> Result<Vec<u8>, Error> {
        let mut sections = self.module.sections.clone();
        append(&mut sections, self.types.id(), &self.types)?;
        append(&mut sections, self.functions.id(), &self.functions)?;
        append(&mut sections, self.globals.id(), &self.globals)?;
        append(&mut sections, self.exports.id(), &self.exports)?;
        append(&mut sections, self.code.id(), &self.code)?;
        let mut module = Module::new();
        for section in &sections {
            module.section(&section.raw());
        }
        Ok(module.finish())
    }
}

/// Leaves 1 where a global and its shadow differ in any bit, otherwise 0. References differ where one of them is null.
fn differs(body: &mut Function, global: u32, ty: ValType, shadow: u32) {
    let mut code = body.instructions();
    match ty {
        ValType::I32 => code.global_get(global).global_get(shadow).i32_ne(),
        ValType::I64 => code.global_get(global).global_get(shadow).i64_ne(),
        ValType::F32 => code.global_get(global).i32_reinterpret_f32().global_get(shadow).i32_reinterpret_f32().i32_ne(),
        ValType::F64 => code.global_get(global).i64_reinterpret_f64().global_get(shadow).i64_reinterpret_f64().i64_ne(),
        ValType::V128 => code.global_get(global).global_get(shadow).v128_xor().v128_any_true(),
        ValType::Ref(_) => code.global_get(global).ref_is_null().global_get(shadow).ref_is_null().i32_ne(),
    };
}

/// Appends the entries of `added` to the section with this id, which is put in its place where there is none.
fn append(sections: &mut Vec<Section<'_>>, id: u8, added: &impl Encode) -> Result<(), Error> {
    match sections.iter_mut().find(|section| section.id == id) {
        Some(section) => section.contents = Cow::Owned(section::appended(&section.contents, added)?),
        None => {
            let contents = Cow::Owned(section::appended(NO_ENTRIES, added)?);
            let at = sections.iter().position(|section| place(section.id) > place(id)).unwrap_or(sections.len());
            sections.insert(at, Section { id, contents });
        }
    }
    Ok(())
}

/// Where a section stands among others; none for a custom one, which may stand anywhere.
fn place(id: u8) -> Option<usize> {
    ORDER.iter().position(|known| u8::from(*known) == id)
}
