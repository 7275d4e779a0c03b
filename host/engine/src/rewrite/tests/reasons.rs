//! Each reason why a component cannot be put back, by a component that it is true of.

use gust_core::Code;

use crate::rewrite::{Rewrite, rewrite};

/// Why the component of this text is not rewritten.
fn reason(text: &str) -> String {
    match rewrite(&wat::parse_str(text).unwrap()).unwrap() {
        Rewrite::Not(reason) => reason,
        Rewrite::Rewindable { .. } => panic!("it was rewritten: {text}"),
    }
}

/// Why a component of one module is not rewritten.
fn reason_of_module(fields: &str) -> String {
    reason(&format!("(component (core module $m {fields}) (core instance (instantiate $m)))"))
}

/// Why a component with these fields besides a memory is not rewritten.
fn reason_besides_memory(fields: &str) -> String {
    reason(&format!("(component (core module $m (memory 1)) (core instance $m (instantiate $m)) {fields})"))
}

#[test]
fn there_is_one_memory_of_the_common_kind() {
    assert_eq!(reason("(component)"), "it has no memory");
    assert_eq!(reason_of_module(""), "it has no memory");
    assert_eq!(reason_of_module("(memory 1) (memory 1)"), "it has 2 memories, and only one can be put back");
    assert_eq!(
        reason_besides_memory("(core instance (instantiate $m))"),
        "it has 2 memories, and only one can be put back"
    );
    assert_eq!(reason_of_module("(memory 1 1 shared)"), "its memory is shared");
    assert_eq!(reason_of_module("(memory i64 1)"), "its memory has addresses of 64 bits");
    assert_eq!(reason_of_module("(memory 100 (pagesize 1))"), "its memory has pages of an unusual size");
    assert_eq!(reason_of_module("(memory 0)"), "its memory is empty at first");
    let longest = "its memory has 4 GiB at first, and a list of all of it would be too long";
    assert_eq!(reason_of_module("(memory 65536)"), longest);
    let almost = "(component (core module $m (memory 65535)) (core instance (instantiate $m)))";
    assert!(matches!(rewrite(&wat::parse_str(almost).unwrap()).unwrap(), Rewrite::Rewindable { .. }));
}

#[test]
fn a_module_without_instances_is_not_asked() {
    let text = r#"(component
        (core module (memory 1) (table 1 funcref) (func (table.set (i32.const 0) (ref.null func))))
        (core module $m (memory 1))
        (core instance (instantiate $m)))"#;
    assert!(matches!(rewrite(&wat::parse_str(text).unwrap()).unwrap(), Rewrite::Rewindable { .. }));
}

#[test]
fn tables_and_segments_stay_as_they_are() {
    for (instruction, does, by) in [
        ("(table.set $t (i32.const 0) (ref.null func))", "changes a table", "table.set"),
        ("(table.fill $t (i32.const 0) (ref.null func) (i32.const 0))", "changes a table", "table.fill"),
        ("(table.copy $t $t (i32.const 0) (i32.const 0) (i32.const 0))", "changes a table", "table.copy"),
        ("(drop (table.grow $t (ref.null func) (i32.const 0)))", "changes a table", "table.grow"),
        ("(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 0))", "changes a table", "table.init"),
        ("(elem.drop $e)", "drops a segment", "elem.drop"),
        ("(data.drop $d)", "drops a segment", "data.drop"),
        ("(drop (struct.new_default $s))", "keeps objects outside of its memory", "struct.new"),
        ("(drop (array.new_default $a (i32.const 1)))", "keeps objects outside of its memory", "array.new"),
        (
            "(drop (memory.atomic.notify (i32.const 0) (i32.const 0)))",
            "uses a kind of instruction that is not known to be safe",
            "threads",
        ),
        (
            "(memory.discard (i32.const 0) (i32.const 0))",
            "uses a kind of instruction that is not known to be safe",
            "memory_control",
        ),
        (
            "(drop (cont.new $k (ref.null $f)))",
            "uses a kind of instruction that is not known to be safe",
            "stack_switching",
        ),
    ] {
        let fields = format!(
            r#"(type $f (func)) (type $k (cont $f)) (type $s (struct (field (mut i32)))) (type $a (array (mut i32)))
            (import "" "" (func))
            (memory 1) (table $t 1 funcref) (elem $e func) (data $d "")
            (func $calm (result i32) (i32.const 0))
            (func $wild {instruction})"#
        );
        let text = format!(
            r#"(component (import "f" (func $f)) (core func $f (canon lower (func $f)))
            (core module $main {fields})
            (core instance (instantiate $main (with "" (instance (export "" (func $f)))))))"#
        );
        assert_eq!(
            reason(&text),
            format!("its module `main` {does} ({by} in function `wild`), which cannot be put back")
        );
    }
}

#[test]
fn what_has_no_name_is_told_by_its_index() {
    let text = r#"(component
        (core module)
        (core module (import "" "" (func)) (memory 1) (func) (func (data.drop 0)) (data ""))
        (import "f" (func $f)) (core func $f (canon lower (func $f)))
        (core instance (instantiate 1 (with "" (instance (export "" (func $f)))))))"#;
    assert_eq!(reason(text), "its module 1 drops a segment (data.drop in function 2), which cannot be put back");
}

#[test]
fn names_are_shown_in_one_short_line() {
    let name = format!("a\nb{}", "c".repeat(300));
    let reason = reason_of_module(&format!(
        r#"(@name "{}") (memory 1) (func (data.drop 0)) (data "")"#,
        name.replace('\n', "\\n")
    ));
    assert!(reason.starts_with("its module `abccc") && !reason.contains('\n') && reason.len() < 200, "{reason}");
}

#[test]
fn instructions_that_change_memory_and_globals_are_fine() {
    let text = r#"(component (core module $m
            (memory 1) (data $d "x") (global $g (mut i32) (i32.const 0)) (tag $t) (table 1 funcref)
            (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)))
            (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 1)))
            (func (memory.copy (i32.const 0) (i32.const 0) (i32.const 1)))
            (func (drop (memory.grow (i32.const 1))))
            (func (drop (table.get 0 (i32.const 0))) (call_indirect (i32.const 0)))
            (func (throw $t))
            (func (drop (ref.i31 (i32.const 0))))
            (func (return_call 0)))
        (core instance (instantiate $m)))"#;
    assert!(matches!(rewrite(&wat::parse_str(text).unwrap()).unwrap(), Rewrite::Rewindable { .. }));
}

#[test]
fn globals_can_be_copied() {
    let reason = reason_of_module(
        "(memory 1) (func $f) (elem declare func $f) (global i32 (i32.const 0)) (global (mut (ref func)) (ref.func $f))",
    );
    assert_eq!(reason, "its module `m` has a mutable global (1) whose type has no empty value");
    let nullable = "(component (core module $m (type $t (func)) (memory 1)
            (global (mut externref) (ref.null extern)) (global (mut (ref null $t)) (ref.null $t))
            (global (mut anyref) (ref.null any)))
        (core instance (instantiate $m)))";
    assert!(matches!(rewrite(&wat::parse_str(nullable).unwrap()).unwrap(), Rewrite::Rewindable { .. }));
}

#[test]
fn all_code_and_all_instances_are_seen() {
    let several = "it is composed of several components";
    assert_eq!(reason_besides_memory("(component (core module))"), several);
    assert_eq!(reason_besides_memory("(component (core instance))"), several);
    assert_eq!(reason_besides_memory("(component (component (core module)))"), several);
    assert_eq!(
        reason_besides_memory(r#"(component (import "f" (func $f)) (core func (canon lower (func $f))))"#),
        several
    );
    assert_eq!(reason_besides_memory(r#"(import "c" (component))"#), several);
    let foreign = "a core module of it comes from outside or is given away, so not all of its instances are known";
    assert_eq!(reason_besides_memory(r#"(import "m" (core module))"#), foreign);
    assert_eq!(reason_besides_memory(r#"(export "m" (core module $m))"#), foreign);
    assert_eq!(reason_besides_memory("(component (alias outer 1 $m (core module)))"), foreign);
    assert_eq!(
        reason_besides_memory(
            r#"(import "i" (instance $i (export "m" (core module)))) (alias export $i "m" (core module))"#
        ),
        foreign
    );
}

#[test]
fn an_inner_component_that_only_names_things_is_fine() {
    let text = r#"(component
        (core module $m (memory 1) (func (export "f")))
        (core instance $m (instantiate $m))
        (func $f (canon lift (core func $m "f")))
        (component $shim
            (type $t (record (field "a" u32)))
            (import "f" (func $f))
            (export "g" (func $f)))
        (instance (export "a:b/c") (instantiate $shim (with "f" (func $f)))))"#;
    assert!(matches!(rewrite(&wat::parse_str(text).unwrap()).unwrap(), Rewrite::Rewindable { .. }));
}

#[test]
fn nothing_is_asynchronous() {
    for function in [
        "(canon task.cancel)",
        "(canon backpressure.inc)",
        "(canon context.get i32 0)",
        "(canon waitable-set.new)",
        "(canon thread.index)",
        "(canon subtask.drop)",
    ] {
        assert_eq!(
            reason_besides_memory(&format!("(core func {function})")),
            "it uses asynchronous canonical functions",
            "{function}"
        );
    }
    let lowered = r#"(import "f" (func $f async)) (core func (canon lower (func $f) async))"#;
    assert_eq!(reason_besides_memory(lowered), "it uses asynchronous canonical functions");
}

#[test]
fn no_resources_are_its_own() {
    let own = "(type $r (resource (rep i32))) (core func (canon resource.new $r))";
    assert_eq!(reason_besides_memory(own), "it makes resources of its own (resource.new), which may outlive a call");
    let others = r#"(component
        (import "r" (type $r (sub resource)))
        (core module $m (memory 1))
        (core instance (instantiate $m))
        (core func (canon resource.drop $r)))"#;
    assert!(matches!(rewrite(&wat::parse_str(others).unwrap()).unwrap(), Rewrite::Rewindable { .. }));
}

#[test]
fn names_of_ours_are_ours() {
    assert_eq!(
        reason_of_module(r#"(memory (export "gust-rewind-x") 1)"#),
        "its module `m` has an export whose name begins with `gust-rewind`, which is for the host to add"
    );
    let reason = reason(
        r#"(component
            (core module $m (memory 1) (func (export "f")))
            (core instance $m (instantiate $m))
            (func (export "gust-rewind-save") (canon lift (core func $m "f"))))"#,
    );
    assert_eq!(reason, "it has an export whose name begins with `gust-rewind`, which is for the host to add");
}

#[test]
fn there_is_room_for_one_more_instance_where_that_is_needed() {
    // Besides one with the memory.
    let instances = |count| format!("(core module $n) {}", "(core instance (instantiate $n)) ".repeat(count));
    let resource = r#"(import "thing" (type (sub resource)))"#;
    let globals = "(core module $g (global (mut i32) (i32.const 0))) (core instance (instantiate $g))".to_owned();
    let more_globals = format!("{globals} (core instance (instantiate $g))");
    for full in [format!("{resource} {}", instances(63)), format!("{more_globals} {}", instances(61))] {
        assert_eq!(
            reason_besides_memory(&full),
            "it has 64 core instances, and putting it back takes 1 more, but there may be only 64"
        );
    }
    for fits in [
        instances(63),
        format!("{globals} {}", instances(62)),
        format!("{more_globals} {}", instances(60)),
        format!("{resource} {more_globals} {}", instances(60)),
    ] {
        let text = format!("(component (core module $m (memory 1)) (core instance (instantiate $m)) {fits})");
        assert!(matches!(rewrite(&wat::parse_str(text).unwrap()).unwrap(), Rewrite::Rewindable { .. }));
    }
}

#[test]
fn what_cannot_be_appended_to_is_left_alone() {
    // A name that differs from ours in case only is taken.
    let reason = reason(
        r#"(component
            (core module $m (memory 1) (func (export "f")))
            (core instance $m (instantiate $m))
            (func (export "gust-REWIND-memory") (canon lift (core func $m "f"))))"#,
    );
    assert_eq!(reason, "it could not be rewritten so that it stays valid");
}

#[test]
fn what_is_no_component_is_malformed() {
    let valid = wat::parse_str("(component (core module $m (memory 1)) (core instance (instantiate $m)))").unwrap();
    let module = wat::parse_str("(module (memory 1))").unwrap();
    let (cut, longer) = (&valid[..valid.len() - 1], [&*valid, &[1]].concat());
    for bytes in [b"".as_slice(), b"(component)", &module, cut, &longer] {
        assert_eq!(rewrite(bytes).unwrap_err().code, Code::ComponentMalformed, "{bytes:x?}");
    }
}
