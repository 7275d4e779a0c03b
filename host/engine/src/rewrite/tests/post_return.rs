//! The end of a typed call puts the globals back, where nothing else comes of it.

use wasmtime::{Engine, Instance, Module, Store};

use super::{CHECK, EVERY_TYPE, Guest, RESET, Rewrite, SAVE, rewrite, rewritten};
use crate::{
    rewrite::{exports, handler::POST_RETURN, module::CoreModule, module_appendix},
    settings::{self, Concurrency},
};

/// A component with the core functions of a typed handler, whose calls and their ends change globals. It answers with what
/// it finds.
const TYPED: &str = r#"(component
    (core module $home (memory (export "memory") 1))
    (core module $main
        (import "home" "memory" (memory 1))
        (global $calls (mut i32) (i32.const 5))
        (global $ends (mut i64) (i64.const 70))
        (func (export "gust:function/handler@0.1.0#handle") (param i64) (result i32)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (i32.store (i32.const 16) (global.get $calls))
            (i32.store (i32.const 20) (i32.wrap_i64 (global.get $ends)))
            (i32.const 16))
        (func (export "cabi_post_gust:function/handler@0.1.0#handle") (param i32)
            (global.set $ends (i64.add (global.get $ends) (i64.const 1)))
            (i32.store (i32.const 32) (i32.add (i32.load (i32.const 32)) (local.get 0))))
        (func (export "ended") (result i32) (i32.load (i32.const 32)))
        (func (export "also") (param i64) (result i32) (i32.const 0))
        (func (export "also-post") (param i32)))
    (core instance $home (instantiate $home))
    (core instance $main (instantiate $main (with "home" (instance $home))))
    (alias core export $home "memory" (core memory $memory))
    (alias core export $main "gust:function/handler@0.1.0#handle" (core func $handle))
    (alias core export $main "cabi_post_gust:function/handler@0.1.0#handle" (core func $post-return))
    (func (export "handle") (param "x" u64) (result (tuple u32 u32))
        (canon lift (core func $handle) (memory $memory) (post-return $post-return)))
    (func (export "ended") (result u32) (canon lift (core func $main "ended"))))"#;

impl Guest {
    /// What the handler of [`TYPED`] finds and leaves.
    fn handle(&mut self) -> (u32, u32) {
        self.call::<(u64,), ((u32, u32),)>("handle", (1,)).0
    }

    fn changed(&mut self) -> u32 {
        self.get(CHECK)
    }
}

fn restores_itself(text: &str) -> bool {
    match rewrite(&wat::parse_str(text).unwrap()).unwrap() {
        Rewrite::Rewindable { restores_itself, .. } => restores_itself,
        Rewrite::Not(reason) => panic!("{reason}: {text}"),
    }
}

/// That component, with `from` made `to`.
fn typed_but(from: &str, to: &str) -> String {
    assert!(TYPED.contains(from), "{from}");
    TYPED.replace(from, to)
}

/// That component, with more in it.
fn typed_and(fields: &str) -> String {
    format!("{} {fields})", TYPED.strip_suffix(')').unwrap())
}

#[test]
fn a_typed_call_leaves_the_globals_as_they_were_saved() {
    assert!(restores_itself(TYPED));
    let mut guest = Guest::rewritten(TYPED);
    guest.run(SAVE);
    for calls in 1..=3 {
        assert_eq!((guest.handle(), guest.changed()), ((6, 70), 0));
        assert_eq!(guest.get::<u32>("ended"), 16 * calls, "the component's own end was not called as before");
    }
}

#[test]
fn without_a_post_return_a_call_leaves_what_it_changed() {
    let text = typed_but("(post-return $post-return)", "");
    assert!(!restores_itself(&text));
    let mut guest = Guest::rewritten(&text);
    guest.run(SAVE);
    assert_eq!((guest.handle(), guest.changed()), ((6, 70), 1));
    assert_eq!(guest.handle(), (7, 70), "this is what a call can see of the last one");
    guest.reset(0).unwrap();
    assert_eq!(guest.changed(), 0);
}

#[test]
fn what_is_not_known_to_end_every_call_and_nothing_else_is_left_alone() {
    let post_return = r#"(core func $main "cabi_post_gust:function/handler@0.1.0#handle")"#;
    let user =
        r#"(core module $user (import "main" "cabi_post_gust:function/handler@0.1.0#handle" (func (param i32))))"#;
    for (why, text) in [
        (
            "two instances have globals",
            typed_and("(core module $g (global (mut i32) (i32.const 0))) (core instance (instantiate $g))"),
        ),
        (
            "one module has two instances",
            typed_and(r#"(core instance (instantiate $main (with "home" (instance $home))))"#),
        ),
        (
            "no instance has globals",
            typed_but("(mut i", "(mut-i")
                .replace("(mut-i32)", "i32")
                .replace("(mut-i64)", "i64")
                .replace("(global.set $calls", "(drop")
                .replace("(global.set $ends", "(drop"),
        ),
        ("it ends otherwise", typed_but("(post-return $post-return)", r#"(post-return (func $main "also-post"))"#)),
        (
            "it is another function that ends so",
            typed_but("(core func $handle) (memory", r#"(core func $main "also") (memory"#),
        ),
        (
            "another function may be the handler",
            typed_and(r#"(func (export "also") (param "x" u64) (result u32) (canon lift (core func $main "also")))"#),
        ),
        (
            "two functions end so",
            typed_and(
                r#"(core module $n (func (export "f") (result i32) (i32.const 0)))
            (core instance $n (instantiate $n))
            (func (export "n") (result (tuple u32 u32)) (canon lift (core func $n "f") (memory $memory) (post-return $post-return)))"#,
            ),
        ),
        (
            "the end is lifted itself",
            typed_and(&format!(r#"(func (export "end") (param "x" u32) (canon lift {post_return}))"#)),
        ),
        (
            "an instance gets the end",
            typed_and(r#"(core instance (export "f" (func $main "cabi_post_gust:function/handler@0.1.0#handle")))"#),
        ),
        (
            "an instance gets all of the other",
            typed_and(&format!(r#"{user} (core instance (instantiate $user (with "main" (instance $main))))"#)),
        ),
    ] {
        assert!(!restores_itself(&text), "{why}");
        let mut original = Guest::new(&wat::parse_str(&text).unwrap());
        let mut guest = Guest::rewritten(&text);
        let save = guest.offers(SAVE);
        if save {
            guest.run(SAVE);
        }
        assert_eq!(guest.handle(), original.handle(), "{why}");
        assert_eq!(guest.get::<u32>("ended"), original.get::<u32>("ended"), "{why}");
        assert!(!save || guest.changed() > 0, "{why}: it was put back all the same");
    }
}

#[test]
fn a_call_of_an_instance_that_was_not_saved_ends_with_what_it_began_with() {
    let mut guest = Guest::rewritten(TYPED);
    assert_eq!((guest.changed(), guest.handle(), guest.changed()), (0, (6, 70), 0));
    assert_eq!(guest.handle(), (6, 70));
}

#[test]
fn shadows_begin_as_their_globals_do() {
    // All but the one that begins as a reference to a function.
    assert_eq!(Guest::rewritten(EVERY_TYPE).changed(), 1);
    let computed = "(component (core module $m (memory 1)
            (global (mut i32) (i32.add (i32.const 1) (i32.const 2)))
            (global (mut i32) (i32.add (i32.const 1) (i32.const -1))))
        (core instance (instantiate $m)))";
    assert_eq!(Guest::rewritten(computed).changed(), 1, "what is computed is no number that stands there: it is 0");
}

#[test]
fn the_function_that_is_stood_in_for_does_what_it_did() {
    let module = format!(
        r#"(module
            (global $saved (mut i32) (i32.const 7))
            (global $log (export "log") (mut i64) (i64.const 0))
            (memory (export "memory") 1)
            (func $other (export "other") (result i32) (global.get $saved))
            (func $end (export "{POST_RETURN}") (export "bare") (param i32)
                (i32.store (i32.const 0) (i32.mul (local.get 0) (global.get $saved)))
                (global.set $saved (local.get 0))
                (global.set $log (i64.const 1))
                (if (i32.eqz (local.get 0)) (then (unreachable)))))"#
    );
    let module = wat::parse_str(module).unwrap();
    let module = CoreModule::read(&module).unwrap();
    let original = exports::function(&module, POST_RETURN).unwrap();
    let engine = Engine::new(&settings::compiling(Concurrency::Off)).unwrap();
    let rewritten = Module::new(&engine, module_appendix::appended(&module, Some(original)).unwrap()).unwrap();
    let mut store = Store::new(&engine, ());
    store.set_epoch_deadline(1);
    let instance = Instance::new(&mut store, &rewritten, &[]).unwrap();
    let end = instance.get_typed_func::<i32, ()>(&mut store, POST_RETURN).unwrap();
    let bare = instance.get_typed_func::<i32, ()>(&mut store, "bare").unwrap();
    let other = instance.get_typed_func::<(), i32>(&mut store, "other").unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let log = instance.get_global(&mut store, "log").unwrap();
    let reset = instance.get_typed_func::<i32, ()>(&mut store, RESET).unwrap();
    for argument in [3, 4] {
        end.call(&mut store, argument).unwrap();
        assert_eq!(i32::from(memory.data(&store)[0]), argument * 7, "it got its argument and found its globals");
        assert_eq!((other.call(&mut store, ()).unwrap(), log.get(&mut store).unwrap_i64()), (7, 0));
    }
    bare.call(&mut store, 5).unwrap();
    assert_eq!((other.call(&mut store, ()).unwrap(), log.get(&mut store).unwrap_i64()), (5, 1), "by another name");
    reset.call(&mut store, 0).unwrap();
    end.call(&mut store, 0).expect_err("it traps as before");
}

#[test]
fn a_component_that_restores_itself_stays_as_small() {
    let before = wat::parse_str(TYPED).unwrap();
    let other = wat::parse_str(typed_but("(post-return $post-return)", "")).unwrap();
    let (more, other_more) = (rewritten(&before).len() - before.len(), rewritten(&other).len() - other.len());
    assert!(more > other_more && more - other_more < 40, "{more} against {other_more}");
}
