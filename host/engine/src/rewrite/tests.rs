//! What the rewrite does, shown by components that run.

mod examples;
mod gathering;
mod generated;
mod handles;
mod post_return;
mod reasons;
pub(crate) mod unbalanced;

use wasmtime::{
    Engine, Store,
    component::{Component, ComponentNamedList, Instance, Lift, Linker, Lower, WasmList},
};

use super::{CHECK, MEMORY, RESET, Rewrite, SAVE, rewrite};
use crate::settings::{self, Concurrency};

/// An instance of a component.
struct Guest {
    store: Store<()>,
    instance: Instance,
}

impl Guest {
    fn new(component: &[u8]) -> Self {
        let engine = Engine::new(&settings::compiling(Concurrency::Off)).unwrap();
        let component = Component::from_binary(&engine, component).unwrap();
        Self::linked(&component, &Linker::new(&engine))
    }

    /// An instance of a component that imports what the linker has.
    fn linked(component: &Component, linker: &Linker<()>) -> Self {
        let mut store = Store::new(component.engine(), ());
        store.set_epoch_deadline(1);
        let instance = linker.instantiate(&mut store, component).unwrap();
        Self { store, instance }
    }

    /// The component of this text, rewritten.
    fn rewritten(text: &str) -> Self {
        Self::new(&rewritten(&wat::parse_str(text).unwrap()))
    }

    fn offers(&mut self, name: &str) -> bool {
        self.instance.get_func(&mut self.store, name).is_some()
    }

    fn call<P, R>(&mut self, name: &str, params: P) -> R
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        self.try_call(name, params).unwrap()
    }

    /// Calls what may trap.
    fn try_call<P, R>(&mut self, name: &str, params: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, name).unwrap();
        function.call(&mut self.store, params)
    }

    fn get<R: Lift + 'static>(&mut self, name: &str) -> R
    where
        (R,): ComponentNamedList,
    {
        self.call::<(), (R,)>(name, ()).0
    }

    fn run(&mut self, name: &str) {
        self.call::<(), ()>(name, ());
    }

    /// Puts back the globals, and in order the numbers of this many handles.
    fn reset(&mut self, handles: u32) -> wasmtime::Result<()> {
        self.try_call(RESET, (handles,))
    }

    /// All of the memory, as the rewrite finds it.
    fn memory(&mut self) -> &[u8] {
        let bytes: WasmList<u8> = self.get(MEMORY);
        bytes.as_le_slice(&self.store)
    }
}

/// The component, rewritten.
fn rewritten(component: &[u8]) -> Vec<u8> {
    match rewrite(component).unwrap() {
        Rewrite::Rewindable { component, .. } => component,
        Rewrite::Not(reason) => panic!("{reason}"),
    }
}

const COUNTER: &str = r#"(component
    (core module $main
        (memory 1)
        (data (i32.const 0) "0123456789abcdefghij")
        (global $count (mut i32) (i32.const 1))
        (func $start (global.set $count (i32.const 7)))
        (start $start)
        (func (export "count") (result i32)
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (global.get $count))
        (func (export "read") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "write") (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))
    (core instance $main (instantiate $main))
    (func (export "count") (result u32) (canon lift (core func $main "count")))
    (func (export "read") (param "at" u32) (result u8) (canon lift (core func $main "read")))
    (func (export "write") (param "at" u32) (param "byte" u8) (canon lift (core func $main "write"))))"#;

#[test]
fn globals_are_put_back_to_what_start_code_left() {
    let mut guest = Guest::rewritten(COUNTER);
    guest.run(SAVE);
    for _ in 0..3 {
        assert_eq!(guest.get::<u32>("count"), 8);
        assert_eq!(guest.get::<u32>("count"), 9);
        guest.reset(0).unwrap();
    }
}

#[test]
fn what_is_saved_may_be_later_than_instantiation() {
    let mut guest = Guest::rewritten(COUNTER);
    assert_eq!(guest.get::<u32>("count"), 8);
    guest.run(SAVE);
    assert_eq!(guest.get::<u32>("count"), 9);
    guest.reset(0).unwrap();
    assert_eq!(guest.get::<u32>("count"), 9);
}

#[test]
fn the_memory_is_found_and_left_as_it_was() {
    let mut guest = Guest::rewritten(COUNTER);
    assert_eq!(&guest.memory()[..24], b"0123456789abcdefghij\0\0\0\0");
    let read: Vec<u8> = (0..20).map(|at| guest.call::<(u32,), (u8,)>("read", (at,)).0).collect();
    assert_eq!(read, b"0123456789abcdefghij");
    let base = guest.memory().as_ptr();
    guest.call::<(u32, u8), ()>("write", (3, b'!'));
    guest.call::<(u32, u8), ()>("write", (9, b'?'));
    assert_eq!(&guest.memory()[..16], b"012!45678?abcdef");
    assert_eq!(guest.memory().as_ptr(), base);
}

#[test]
fn all_of_the_memory_is_found_also_when_it_has_grown() {
    let mut guest = Guest::rewritten(
        r#"(component
            (core module $main
                (memory 2)
                (func (export "mark-end")
                    (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (memory.size)))
                (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
            (core instance $main (instantiate $main))
            (func (export "mark-end") (canon lift (core func $main "mark-end")))
            (func (export "grow") (param "by" u32) (result u32) (canon lift (core func $main "grow"))))"#,
    );
    guest.run("mark-end");
    assert_eq!(guest.memory().len(), 2 * 65536);
    assert_eq!(guest.memory().last(), Some(&2));
    assert_eq!(guest.call::<(u32,), (u32,)>("grow", (3,)).0, 2);
    guest.run("mark-end");
    assert_eq!(guest.memory().len(), 5 * 65536);
    assert_eq!((guest.memory()[2 * 65536 - 1], guest.memory().last()), (2, Some(&5)));
    assert!(guest.memory()[..2 * 65536 - 1].iter().all(|byte| *byte == 0), "the answer is gone");
}

#[test]
fn a_large_memory_is_found_with_fuel_for_all_of_it() {
    const BYTES: usize = 3000 * 65536;
    let text = "(component (core module $m (memory 3000)) (core instance (instantiate $m)))";
    let mut guest = Guest::rewritten(text);
    guest.store.set_hostcall_fuel(BYTES);
    assert_eq!(guest.memory().len(), BYTES);
    guest.store.set_hostcall_fuel(BYTES - 1);
    assert!(
        guest.try_call::<(), (WasmList<u8>,)>(MEMORY, ()).is_err(),
        "wasmtime asks for fuel; where it no longer does, the header is wrong"
    );
}

#[test]
fn a_module_of_nearly_nothing_gets_the_sections_that_it_lacks() {
    let mut guest = Guest::rewritten(
        r#"(component
            (core module $bare (memory 1) (data (i32.const 8) "what stood here"))
            (core instance (instantiate $bare)))"#,
    );
    assert!(guest.memory().starts_with(b"\0\0\0\0\0\0\0\0what stood here\0"));
    assert!([SAVE, RESET, CHECK].into_iter().all(|name| !guest.offers(name)), "there is nothing to save");
}

#[test]
fn every_instance_of_a_module_is_put_back() {
    let mut guest = Guest::rewritten(
        r#"(component
            (core module $home (memory 1))
            (core module $counter
                (global $count (export "count") (mut i32) (i32.const 0))
                (func (export "add") (param i32) (result i32)
                    (global.set $count (i32.add (global.get $count) (local.get 0)))
                    (global.get $count)))
            (core module $user
                (import "counter" "count" (global $count (mut i32)))
                (func (export "clear") (global.set $count (i32.const 100))))
            (core instance $home (instantiate $home))
            (core instance $one (instantiate $counter))
            (core instance $two (instantiate $counter))
            (core instance $user (instantiate $user (with "counter" (instance $two))))
            (func (export "one") (param "by" u32) (result u32) (canon lift (core func $one "add")))
            (func (export "two") (param "by" u32) (result u32) (canon lift (core func $two "add")))
            (func (export "clear") (canon lift (core func $user "clear"))))"#,
    );
    let add = |guest: &mut Guest, name: &str, by: u32| guest.call::<(u32,), (u32,)>(name, (by,)).0;
    assert_eq!((add(&mut guest, "one", 1), add(&mut guest, "two", 2)), (1, 2));
    assert_eq!(guest.get::<u32>(CHECK), 2, "nothing was saved, and neither is 0");
    guest.run(SAVE);
    assert_eq!(guest.get::<u32>(CHECK), 0);
    assert_eq!((add(&mut guest, "one", 10), guest.get::<u32>(CHECK)), (11, 1));
    assert_eq!((add(&mut guest, "two", 20), guest.get::<u32>(CHECK)), (22, 2));
    guest.reset(0).unwrap();
    assert_eq!(guest.get::<u32>(CHECK), 0);
    assert_eq!((add(&mut guest, "one", 0), add(&mut guest, "two", 0)), (1, 2));
    guest.run("clear");
    assert_eq!(add(&mut guest, "two", 0), 100);
    guest.reset(0).unwrap();
    assert_eq!((add(&mut guest, "one", 0), add(&mut guest, "two", 0)), (1, 2));
    assert_eq!(guest.memory().len(), 65536);
}

/// A module with a global of every type, and another module with one more.
const EVERY_TYPE: &str = r#"(component
    (core module $types
        (memory (export "memory") 1)
        (global $i32 (mut i32) (i32.const -1))
        (global $i64 (mut i64) (i64.const 0x1_0000_0001))
        (global $f32 (mut f32) (f32.const 0.5))
        (global $f64 (mut f64) (f64.const nan:0x123))
        (global $v128 (mut v128) (v128.const i64x2 3 4))
        (global $null (mut funcref) (ref.null func))
        (global $func (mut funcref) (ref.func $change))
        (global $constant i32 (i32.const 5))
        (func $change (export "change")
            (global.set $i32 (i32.const 6))
            (global.set $i64 (i64.const 6))
            (global.set $f32 (f32.const 6))
            (global.set $f64 (f64.const 6))
            (global.set $v128 (v128.const i64x2 6 6))
            (global.set $null (ref.func $change))
            (global.set $func (ref.null func)))
        (func (export "state") (result i32)
            (i32.store (i32.const 0) (i32.const 64))
            (i32.store (i32.const 4) (i32.const 42))
            (i32.store (i32.const 64) (global.get $i32))
            (i64.store (i32.const 68) (global.get $i64))
            (f32.store (i32.const 76) (global.get $f32))
            (f64.store (i32.const 80) (global.get $f64))
            (v128.store (i32.const 88) (global.get $v128))
            (i32.store8 (i32.const 104) (ref.is_null (global.get $null)))
            (i32.store8 (i32.const 105) (ref.is_null (global.get $func)))
            (i32.const 0)))
    (core module $other
        (global $x (mut i64) (i64.const 9))
        (func (export "next") (result i64)
            (global.set $x (i64.add (global.get $x) (i64.const 1)))
            (global.get $x)))
    (core instance $types (instantiate $types))
    (core instance $first (instantiate $other))
    (core instance $second (instantiate $other))
    (alias core export $types "memory" (core memory $memory))
    (func (export "change") (canon lift (core func $types "change")))
    (func (export "state") (result (list u8)) (canon lift (core func $types "state") (memory $memory)))
    (func (export "first") (result u64) (canon lift (core func $first "next")))
    (func (export "second") (result u64) (canon lift (core func $second "next"))))"#;

#[test]
fn globals_of_every_type_are_put_back() {
    let mut guest = Guest::rewritten(EVERY_TYPE);
    guest.run(SAVE);
    let before: Vec<u8> = guest.get("state");
    for _ in 0..2 {
        guest.run("change");
        let changed: Vec<u8> = guest.get("state");
        assert_ne!(before[40..], changed[40..]);
        assert_eq!(guest.get::<u32>(CHECK), 7);
        assert_eq!((guest.get::<u64>("first"), guest.get::<u64>("first"), guest.get::<u64>("second")), (10, 11, 10));
        assert_eq!(guest.get::<u32>(CHECK), 9);
        guest.reset(0).unwrap();
        assert_eq!(guest.get::<u32>(CHECK), 0);
        assert_eq!(guest.get::<Vec<u8>>("state"), before);
    }
}

#[test]
fn a_single_bit_of_a_global_is_told() {
    for (ty, saved, changed, differing) in [
        ("i32", "i32.const 0", "i32.const 0x80000000", 1),
        ("i64", "i64.const 1", "i64.const 0x100000001", 1),
        ("f32", "f32.const 0", "f32.const -0", 1),
        ("f32", "f32.const nan:0x1", "f32.const nan:0x1", 0),
        ("f32", "f32.const nan:0x1", "f32.const nan:0x3", 1),
        ("f64", "f64.const 0", "f64.const -0", 1),
        ("f64", "f64.const nan:0x1", "f64.const nan:0x1", 0),
        ("f64", "f64.const nan:0x1", "f64.const nan:0x8000000000001", 1),
        ("v128", "v128.const i64x2 1 2", "v128.const i64x2 1 0x8000000000000002", 1),
        ("v128", "v128.const i64x2 1 2", "v128.const i64x2 3 2", 1),
        ("v128", "v128.const f64x2 nan nan", "v128.const f64x2 nan nan", 0),
        ("funcref", "ref.null func", "ref.func $change", 1),
        // What cannot be compared.
        ("funcref", "ref.func $other", "ref.func $change", 0),
    ] {
        let mut guest = Guest::rewritten(&format!(
            r#"(component
                (core module $main
                    (memory 1)
                    (global $global (mut {ty}) ({saved}))
                    (elem declare func $other $change)
                    (func $other)
                    (func $change (export "change") (global.set $global ({changed}))))
                (core instance $main (instantiate $main))
                (func (export "change") (canon lift (core func $main "change"))))"#
        ));
        guest.run(SAVE);
        guest.run("change");
        assert_eq!(guest.get::<u32>(CHECK), differing, "{ty} from {saved} to {changed}");
        guest.reset(0).unwrap();
        assert_eq!(guest.get::<u32>(CHECK), 0, "{ty} back from {changed}");
    }
}

#[test]
fn what_was_there_is_kept() {
    let component = wat::parse_str(EVERY_TYPE).unwrap();
    let (before, after) = (customs(&component), customs(&rewritten(&component)));
    assert!(before.len() >= 3, "{before:?}");
    let gatherer = after.iter().filter(|custom| !before.contains(custom)).count();
    assert_eq!((after.len() - before.len(), gatherer), (1, 1), "only the gatherer's name is new: {after:?}");
}

/// The custom sections of the component and of its modules.
fn customs(component: &[u8]) -> Vec<(String, Vec<u8>)> {
    let payloads = wasmparser::Parser::new(0).parse_all(component).map(Result::unwrap);
    let customs = payloads.filter_map(|payload| match payload {
        wasmparser::Payload::CustomSection(section) => Some((section.name().to_owned(), section.data().to_vec())),
        _ => None,
    });
    customs.collect()
}

#[test]
fn a_component_is_not_rewritten_twice() {
    let once = rewritten(&wat::parse_str(COUNTER).unwrap());
    let Rewrite::Not(reason) = rewrite(&once).unwrap() else { panic!("it was rewritten twice") };
    assert!(reason.contains("gust-rewind"), "{reason}");
}
