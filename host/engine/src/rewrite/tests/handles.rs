//! The numbers of handles: what one call leaves of their order, and that nothing of it is left once they were settled.

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*, sample::Index};
use wasmtime::{
    Engine,
    component::{Component, Linker, Resource, ResourceType},
};

use super::{Guest, RESET, rewritten};
use crate::settings::{self, Concurrency};

/// A component that gets things from the host, as results and as arguments, and tells the numbers of their handles.
const THINGS: &str = r#"(component
    (import "host:things/maker" (instance $maker
        (export "thing" (type $thing (sub resource)))
        (export "make" (func (result (own $thing))))))
    (alias export $maker "thing" (type $thing))
    (alias export $maker "make" (func $make))
    (core func $make (canon lower (func $make)))
    (core func $drop (canon resource.drop $thing))
    (core module $main
        (import "things" "make" (func $make (result i32)))
        (import "things" "drop" (func $drop (param i32)))
        (memory 1)
        (func (export "make") (result i32) (call $make))
        (func (export "take") (param i32) (result i32) (local.get 0))
        (func (export "drop") (param i32) (call $drop (local.get 0))))
    (core instance $main (instantiate $main
        (with "things" (instance (export "make" (func $make)) (export "drop" (func $drop))))))
    (func (export "make") (result u32) (canon lift (core func $main "make")))
    (func (export "drop") (param "handle" u32) (canon lift (core func $main "drop")))
    (func $take (param "thing" (own $thing)) (result u32) (canon lift (core func $main "take")))
    (component $shim
        (import "thing" (type $thing (sub resource)))
        (import "take" (func $take (param "thing" (own $thing)) (result u32)))
        (export "take" (func $take)))
    (instance $shim (instantiate $shim (with "thing" (type $thing)) (with "take" (func $take))))
    (export "host:things/taker" (instance $shim)))"#;

/// An engine that loads what is made here.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(&settings::compiling(Concurrency::Off)).unwrap());

/// That component, rewritten.
static COMPONENT: LazyLock<Component> = LazyLock::new(|| loaded(THINGS));

struct Thing;

impl Guest {
    fn with_things() -> Self {
        Self::of_things(&COMPONENT)
    }

    /// The same component with these fields too.
    pub(super) fn with_things_and(fields: &str) -> Self {
        let things = THINGS.strip_suffix(')').unwrap();
        Self::of_things(&loaded(&format!("{things} {fields})")))
    }

    fn of_things(component: &Component) -> Self {
        let mut linker = Linker::new(&ENGINE);
        let mut maker = linker.instance("host:things/maker").unwrap();
        maker.resource("thing", ResourceType::host::<Thing>(), |_, _| Ok(())).unwrap();
        maker.func_wrap("make", |_, (): ()| Ok((Resource::<Thing>::new_own(1),))).unwrap();
        Self::linked(component, &linker)
    }

    /// The number of a handle that is made now.
    fn make(&mut self) -> u32 {
        self.get("make")
    }

    /// The numbers of as many handles, made now.
    pub(super) fn series(&mut self, handles: u32) -> Vec<u32> {
        (0..handles).map(|_| self.make()).collect()
    }

    pub(super) fn drop(&mut self, handle: u32) {
        self.call::<(u32,), ()>("drop", (handle,));
    }

    /// The number of the handle to a thing that the host gives now.
    fn give(&mut self) -> u32 {
        let shim = self.instance.get_export_index(&mut self.store, None, "host:things/taker").unwrap();
        let take = self.instance.get_export_index(&mut self.store, Some(&shim), "take").unwrap();
        let take = self.instance.get_typed_func::<(Resource<Thing>,), (u32,)>(&mut self.store, take).unwrap();
        take.call(&mut self.store, (Resource::new_own(1),)).unwrap().0
    }
}

/// The component of this text, rewritten and loaded.
fn loaded(text: &str) -> Component {
    Component::from_binary(&ENGINE, &rewritten(&wat::parse_str(text).unwrap())).unwrap()
}

/// Every order of the numbers from 1 to `last`.
fn orders(last: u32) -> Vec<Vec<u32>> {
    if last == 0 {
        return vec![Vec::new()];
    }
    let insert = |order: Vec<u32>| {
        (0..=order.len()).map(move |at| [&order[..at], &[last], &order[at..]].concat()).collect::<Vec<_>>()
    };
    orders(last - 1).into_iter().flat_map(insert).collect()
}

/// An instance that has as many free numbers as `line`, which will be given out in this order.
fn in_line(line: &[u32]) -> Guest {
    let mut guest = Guest::with_things();
    let handles = u32::try_from(line.len()).unwrap();
    assert_eq!(guest.series(handles), (1..=handles).collect::<Vec<_>>());
    line.iter().rev().for_each(|handle| guest.drop(*handle));
    guest
}

#[test]
fn a_call_sees_in_which_order_the_last_one_dropped_its_handles() {
    for line in orders(3) {
        assert_eq!(in_line(&line).series(4), [&*line, &[4]].concat(), "if not so, there is nothing to settle");
    }
}

#[test]
fn settled_handles_get_the_numbers_that_they_get_in_a_new_instance() {
    for line in orders(4) {
        for handles in [4, 5, 20] {
            let mut guest = in_line(&line);
            guest.reset(handles).unwrap();
            assert_eq!(guest.series(30), (1..=30).collect::<Vec<_>>(), "{line:?}, {handles}");
        }
    }
    let mut untouched = Guest::with_things();
    untouched.reset(20).unwrap();
    assert_eq!(untouched.series(30), (1..=30).collect::<Vec<_>>());
}

#[test]
fn handles_that_the_host_gives_through_a_shim_are_of_the_same_line() {
    let mut guest = Guest::with_things();
    assert_eq!((guest.give(), guest.give(), guest.make()), (1, 2, 3));
    [3, 1, 2].into_iter().for_each(|handle| guest.drop(handle));
    guest.reset(3).unwrap();
    assert_eq!((guest.give(), guest.make(), guest.give()), (1, 2, 3));
}

#[test]
fn with_too_few_it_traps_or_settles_no_more_than_those() {
    for line in orders(4) {
        for handles in 0..=6 {
            let mut guest = in_line(&line);
            let whole: Vec<u32> = line.iter().copied().chain(5..=9).collect();
            let (first, rest) = whole.split_at(usize::try_from(handles).unwrap());
            let outcome = guest.reset(handles);
            if first.iter().any(|number| *number > handles) {
                outcome.unwrap_err();
                guest.try_call::<(), (u32,)>("make", ()).expect_err("nothing can be called after a trap");
            } else {
                outcome.unwrap();
                let settled: Vec<u32> = (1..=handles).chain(rest.iter().copied()).collect();
                assert_eq!(guest.series(9), settled, "{line:?}, {handles}");
            }
        }
    }
    let mut unnoticed = in_line(&[1, 3, 2]);
    unnoticed.reset(1).unwrap();
    assert_eq!(unnoticed.series(4), [1, 3, 2, 4]);
}

#[test]
fn while_a_handle_is_alive_its_number_is_not_settled() {
    for handles in 1..=4 {
        let mut guest = Guest::with_things();
        guest.series(3);
        guest.drop(1);
        guest.drop(3);
        guest.reset(handles).expect_err("the second is alive");
    }
}

#[test]
fn as_many_as_there_may_be_are_always_enough() {
    let mut guest = in_line(&[3, 1, 4, 2]);
    guest.store.set_max_component_handles(4);
    guest.reset(4).unwrap();
    assert_eq!(guest.series(4), [1, 2, 3, 4]);
    guest.try_call::<(), (u32,)>("make", ()).expect_err("there may be four");
    in_line(&[]).reset(u32::MAX).expect_err("there may be fewer by default, so this ends");
}

proptest! {
    #[test]
    fn after_any_calls_as_many_as_were_alive_since_the_last_time_are_enough(
        calls in vec((vec((any::<bool>(), any::<Index>()), 0..12), 0_u32..2), 1..5),
    ) {
        let mut guest = Guest::with_things();
        for (steps, spare) in calls {
            let (mut alive, mut most) = (Vec::new(), 0);
            for (makes, which) in steps {
                if makes || alive.is_empty() {
                    alive.push(guest.make());
                    most = most.max(alive.len());
                } else {
                    guest.drop(alive.swap_remove(which.index(alive.len())));
                }
            }
            alive.into_iter().for_each(|handle| guest.drop(handle));
            guest.reset(u32::try_from(most).unwrap() + spare).unwrap();
        }
        prop_assert_eq!(guest.series(15), (1..=15).collect::<Vec<_>>());
    }
}

#[test]
fn only_a_component_that_can_have_handles_settles_them() {
    let settles = |component: &Component| component.get_export_index(None, RESET).is_some();
    let memory = "(core module $m (memory 1)) (core instance (instantiate $m))";
    let with = |fields: &str| settles(&loaded(&format!("(component {fields} {memory})")));
    let resource = r#"(export "thing" (type (sub resource)))"#;
    assert!(settles(&COMPONENT));
    assert!(with(r#"(import "thing" (type (sub resource)))"#));
    assert!(with(&format!(r#"(import "a:b/c" (instance {resource}))"#)));
    assert!(with(&format!(r#"(import "a:b/c" (instance (export "inner" (instance {resource}))))"#)));
    assert!(!with(""));
    assert!(!with(&format!("(type (instance {resource}))")), "the type is only described");
    assert!(!with(
        r#"(import "f" (func)) (import "a:b/c" (instance (type $r (record (field "x" u8))) (export "r" (type (eq $r)))))"#
    ));
}
