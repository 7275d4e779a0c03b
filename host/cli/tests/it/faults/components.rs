//! Components that no toolchain makes: the smallest that answers, and some that are made to do harm.

use std::fmt::Write as _;

use wasm_encoder::{
    CodeSection, Component, ComponentImportSection, ComponentTypeRef, ComponentTypeSection, ComponentValType, Function,
    FunctionSection, Module, ModuleSection, PrimitiveValType, TypeSection, ValType,
};

/// The binary of a component or module in the text format.
pub fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// The smallest function that answers with a text, whatever it is asked.
pub fn answering(text: &str) -> Vec<u8> {
    answering_from(text, "")
}

/// The same with more in the component.
pub fn answering_from(text: &str, fields: &str) -> Vec<u8> {
    Answering { text, fields, ..Answering::default() }.binary()
}

/// Parts of a function that answers, in the text format.
pub struct Answering<'a> {
    pub text: &'a str,
    /// More of the component.
    pub fields: &'a str,
    /// Pages of memory.
    pub pages: u32,
    /// What the functions do before they return what they should.
    pub realloc: &'a str,
    pub handle: &'a str,
    pub post_return: &'a str,
    /// What instantiation runs.
    pub start: &'a str,
    /// What the handler is called in the module's section of names.
    pub name: &'a str,
}

impl Default for Answering<'_> {
    fn default() -> Self {
        let name = "handler";
        Self { text: "answered", fields: "", pages: 1, realloc: "", handle: "", post_return: "", start: "", name }
    }
}

impl Answering<'_> {
    pub fn binary(&self) -> Vec<u8> {
        let length = format!("\\{:02x}", self.text.len());
        let start = if self.start.is_empty() { "" } else { "(start $start)" };
        let mut text = ANSWERING.to_owned();
        for (name, value) in [
            ("TEXT", self.text),
            ("LENGTH", &length),
            ("FIELDS", self.fields),
            ("PAGES", &self.pages.to_string()),
            ("REALLOC", self.realloc),
            ("HANDLE", self.handle),
            ("POST", self.post_return),
            ("BEGIN", self.start),
            ("START", start),
            ("NAME", self.name),
        ] {
            text = text.replace(name, value);
        }
        wasm(&text)
    }
}

/// A function that answers. Its result lies at 0: that it went well, status 200, no headers, and the text at 64 as body.
const ANSWERING: &str = r#"(component
    (core module $m
        (memory (export "memory") PAGES)
        (func $start BEGIN)
        START
        (func (export "post") (param i32) POST)
        (data (i32.const 0) "\00\00\00\00\c8\00\00\00\00\00\00\00\00\00\00\00\40\00\00\00LENGTH")
        (data (i32.const 64) "TEXT")
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) REALLOC (i32.const 1024))
        (func $NAME (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) HANDLE (i32.const 0)))
    (core instance $i (instantiate $m))
    FIELDS
    (type $headers (list (tuple string (list u8))))
    (type $request (record (field "method" string) (field "scheme" string) (field "authority" string)
        (field "path" string) (field "headers" $headers) (field "body" (list u8))))
    (type $response (record (field "status" u16) (field "headers" $headers) (field "body" (list u8))))
    (type $error (variant (case "bad-request" string) (case "failed" string)))
    (func $handle (param "req" $request) (result (result $response (error $error)))
        (canon lift (core func $i "handle") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))
            (post-return (core func $i "post"))))
    (component $named
        (import "request" (type $request-in (eq $request)))
        (import "response" (type $response-in (eq $response)))
        (import "error" (type $error-in (eq $error)))
        (import "handle" (func $handle (param "req" $request-in) (result (result $response-in (error $error-in)))))
        (export $request-out "request" (type $request))
        (export $response-out "response" (type $response))
        (export $error-out "error" (type $error))
        (export "handle" (func $handle)
            (func (param "req" $request-out) (result (result $response-out (error $error-out))))))
    (instance $handler (instantiate $named (with "request" (type $request)) (with "response" (type $response))
        (with "error" (type $error)) (with "handle" (func $handle))))
    (export "gust:function/handler@0.1.0" (instance $handler)))"#;

/// A function that takes lists of lists, nested so deep.
pub fn nested(depth: u32) -> Vec<u8> {
    types(|types| {
        types.defined_type().primitive(PrimitiveValType::U8);
        (0..depth).for_each(|inner| types.defined_type().list(ComponentValType::Type(inner)));
    })
}

/// A function that takes pairs of pairs: of so many levels, each twice as large as the one before.
pub fn doubled(levels: u32) -> Vec<u8> {
    types(|types| {
        types.defined_type().primitive(PrimitiveValType::U8);
        (0..levels).for_each(|half| types.defined_type().tuple([half, half].map(ComponentValType::Type)));
    })
}

/// A component that imports a function which takes the last of these types.
fn types(define: impl FnOnce(&mut ComponentTypeSection)) -> Vec<u8> {
    let mut section = ComponentTypeSection::new();
    define(&mut section);
    let last = section.len() - 1;
    section.function().params([("x", ComponentValType::Type(last))]).result(None);
    let mut imports = ComponentImportSection::new();
    imports.import("f", ComponentTypeRef::Func(last + 1));
    let mut component = Component::new();
    component.section(&section).section(&imports);
    component.finish()
}

/// Two components in one, where one gives the other a value as large as a type may be: the code between them has a case for
/// each of its parts.
pub fn large_value(levels: u32) -> Vec<u8> {
    let mut types = String::from("(type $t0 (tuple string string))");
    for level in 1..=levels {
        write!(types, "(type $t{level} (tuple $t{} $t{}))", level - 1, level - 1).unwrap();
    }
    let core = r#"(memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)"#;
    wasm(&format!(
        r#"(component
        (component $giver {types}
            (core module $m {core} (func (export "f") (param i32) unreachable))
            (core instance $i (instantiate $m))
            (func (export "f") (param "x" $t{levels}) (canon lift (core func $i "f")
                (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
        (component $taker {types}
            (import "f" (func $f (param "x" $t{levels})))
            (core module $m {core})
            (core instance $i (instantiate $m))
            (core func $lowered (canon lower (func $f) (memory (core memory $i "memory"))))
            (core module $user (import "" "f" (func (param i32))))
            (core instance (instantiate $user (with "" (instance (export "f" (func $lowered)))))))
        (instance $giver (instantiate $giver))
        (instance (instantiate $taker (with "f" (func $giver "f")))))"#
    ))
}

/// A component of one function with about so many bytes of code.
pub fn large_function(bytes: usize) -> Vec<u8> {
    let mut code = Function::new([]);
    code.instructions().local_get(0);
    // Five bytes each, and each needs the one before.
    for _ in 0..bytes / 5 {
        code.instructions().local_get(0).i32_mul().i32_eqz().i32_eqz();
    }
    code.instructions().end();
    module(1, &code)
}

/// A component of so many small functions.
pub fn many_functions(count: u32) -> Vec<u8> {
    let mut code = Function::new([]);
    code.instructions().local_get(0).end();
    module(count, &code)
}

/// A component with a core module of so many functions with the same code.
fn module(count: u32, code: &Function) -> Vec<u8> {
    let (mut types, mut functions, mut bodies) = (TypeSection::new(), FunctionSection::new(), CodeSection::new());
    types.ty().function([ValType::I32], [ValType::I32]);
    for _ in 0..count {
        functions.function(0);
        bodies.function(code);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&bodies);
    let mut component = Component::new();
    component.section(&ModuleSection(&module));
    component.finish()
}
