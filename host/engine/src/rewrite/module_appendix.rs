//! What the rewrite appends to a core module: functions that say where its memory is, and that save, reset and
//! compare its mutable globals, all exported; and one that stands in for another, to put the globals back after it.

use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType, MemArg,
    Module, Section as _, TypeSection, ValType,
};
use wasmparser::Error;

use super::{
    CHECK, MEMORY, RESET, SAVE, exports, globals::Shadowed, handler::POST_RETURN, module::CoreModule, section,
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

/// The module with everything that it needs to be put back. `post_return` is the function exported as [`POST_RETURN`], where
/// its end shall put the globals back.
pub(crate) fn appended(module: &CoreModule<'_>, post_return: Option<u32>) -> Result<Vec<u8>, Error> {
    let mut appendix = Appendix::new(module);
    if !module.memories.is_empty() {
        appendix.add_memory_question();
    }
    if !module.mutable_globals.is_empty() {
        let shadowed = appendix.add_shadows();
        appendix.add_global_functions(&shadowed);
        if let Some(original) = post_return {
            appendix.add_post_return(original, &shadowed);
        }
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
    /// What [`POST_RETURN`] is instead of what it was.
    post_return: Option<u32>,
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
            post_return: None,
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

    /// For each mutable global one that nothing else knows.
    fn add_shadows(&mut self) -> Vec<Shadowed> {
        let globals = self.module.mutable_globals.iter();
        let shadowed = globals.filter_map(|global| {
            let (ty, first) = global.shadow()?;
            let shadow = self.add_global(ty, &first);
            Some(Shadowed { global: global.index, shadow, ty: ty.val_type })
        });
        shadowed.collect()
    }

    /// A function that copies each mutable global to its shadow, one that copies it back, and one that counts those that
    /// differ from their shadows.
    fn add_global_functions(&mut self, shadowed: &[Shadowed]) {
        let (mut save, mut restore, mut check) = (Function::new([]), Function::new([]), Function::new([]));
        check.instructions().i32_const(0);
        for global in shadowed {
            global.save(&mut save);
            global.restore(&mut restore);
            global.differs(&mut check);
            check.instructions().i32_add();
        }
        for body in [&mut save, &mut restore, &mut check] {
            body.instructions().end();
        }
        self.add_function(SAVE, &[], &[], &save);
        // Handles are the gatherer's. Where there is none, neither are they.
        self.add_function(RESET, &[ValType::I32], &[], &restore);
        self.add_function(CHECK, &[], &[ValType::I32], &check);
    }

    /// A function that calls the one that it stands in for, then copies each mutable global back.
    ///
    /// On an instance whose globals were not saved it copies back what they were before any code ran. Nothing comes of that:
    /// such an instance is used for one call and dropped, and this is the last that runs of it.
    fn add_post_return(&mut self, original: u32, shadowed: &[Shadowed]) {
        let mut body = Function::new([]);
        body.instructions().local_get(0).call(original);
        shadowed.iter().for_each(|global| global.restore(&mut body));
        body.instructions().end();
        self.post_return = Some(self.define_function(&[ValType::I32], &[], &body));
    }

    fn add_global(&mut self, ty: GlobalType, value: &ConstExpr) -> u32 {
        let index = self.module.globals + self.globals.len();
        self.globals.global(ty, value);
        index
    }

    fn add_function(&mut self, name: &str, params: &[ValType], results: &[ValType], body: &Function) {
        let function = self.define_function(params, results, body);
        self.exports.export(name, ExportKind::Func, function);
    }

    fn define_function(&mut self, params: &[ValType], results: &[ValType], body: &Function) -> u32 {
        let ty = self.module.types + self.types.len();
        let function = self.module.functions + self.functions.len();
        self.types.ty().function(params.iter().copied(), results.iter().copied());
        self.functions.function(ty);
        self.code.function(body);
        function
    }

    fn finish(self) -> Result<Vec<u8>, Error> {
        let mut sections = self.module.sections.clone();
        if let Some(post_return) = self.post_return {
            for section in sections.iter_mut().filter(|section| section.id == self.exports.id()) {
                section.contents = exports::redirected(&section.contents, POST_RETURN, post_return)?.into();
            }
        }
        section::append(&mut sections, self.types.id(), &self.types)?;
        section::append(&mut sections, self.functions.id(), &self.functions)?;
        section::append(&mut sections, self.globals.id(), &self.globals)?;
        section::append(&mut sections, self.exports.id(), &self.exports)?;
        section::append(&mut sections, self.code.id(), &self.code)?;
        let mut module = Module::new();
        for section in &sections {
            module.section(&section.raw());
        }
        Ok(module.finish())
    }
}
