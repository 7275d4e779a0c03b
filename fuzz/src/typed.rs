//! Small components with a typed handler, around core modules that are written by hand.

/// A component that exports `gust:function/handler`. `CORE` has an instance `$i` with a memory, `realloc` and `handle`.
const COMPONENT: &str = r#"(component
    CORE
    (type $headers (list (tuple string (list u8))))
    (type $request (record (field "method" string) (field "scheme" string) (field "authority" string)
        (field "path" string) (field "headers" $headers) (field "body" (list u8))))
    (type $response (record (field "status" u16) (field "headers" $headers) (field "body" (list u8))))
    (type $error (variant (case "bad-request" string) (case "failed" string)))
    (func $handle (param "req" $request) (result (result $response (error $error)))
        (canon lift (core func $i "handle") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
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

/// Gives memory from the second page on, and takes none back.
const REALLOC: &str = r#"
    (global $top (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32 i32) (param $bytes i32) (result i32)
        (local $at i32)
        (local.set $at (global.get $top))
        (global.set $top (i32.and (i32.const -8)
            (i32.add (i32.const 7) (i32.add (local.get $at) (local.get $bytes)))))
        (local.get $at))"#;

/// The parameters of the core function `handle`, of which the last two are where the body is and its length.
pub(crate) const PARAMS: &str = "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (param $body i32) (param $bytes i32)";

/// Where a result is and what is in it, which went well: 200, no headers, and so many bytes from 0 on as the body.
pub(crate) const ANSWER: &str = "
    (i64.store (i32.const 0) (i64.const 0x000000c800000000))
    (i64.store (i32.const 8) (i64.const 0))
    (i32.store (i32.const 16) (local.get $from))
    (i32.store (i32.const 20) (local.get $length))
    (i32.const 0)";

/// A function that answers with the body that it was sent, after an `=`.
pub(crate) const ECHO: &str = r#"
    (core module $m
        (memory (export "memory") 4)
        REALLOC
        (func (export "handle") PARAMS (result i32)
            (local $from i32) (local $length i32)
            (local.set $from (i32.const 64))
            (local.set $length (i32.add (local.get $bytes) (i32.const 1)))
            (i32.store8 (i32.const 64) (i32.const 61))
            (memory.copy (i32.const 65) (local.get $body) (local.get $bytes))
            ANSWER))
    (core instance $i (instantiate $m))"#;

/// A component with this core.
pub(crate) fn component(core: &str) -> Vec<u8> {
    let text =
        COMPONENT.replace("CORE", core).replace("REALLOC", REALLOC).replace("PARAMS", PARAMS).replace("ANSWER", ANSWER);
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}
