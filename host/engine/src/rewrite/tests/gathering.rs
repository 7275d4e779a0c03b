//! One call puts everything back, through one more core instance at most.

use wasmparser::{Instance, Parser, Payload};

use super::{CHECK, Guest, MEMORY, RESET, SAVE, rewritten};
use crate::rewrite::PREFIX;

const HOME: &str = "(core module $home (memory 1)) (core instance (instantiate $home))";

/// A core instance that counts, by this name.
fn counter(name: &str) -> String {
    format!(
        r#"(core module ${name}
            (global $count (mut i32) (i32.const 1))
            (func (export "add") (result i32)
                (global.set $count (i32.add (global.get $count) (i32.const 1)))
                (global.get $count)))
        (core instance ${name} (instantiate ${name}))
        (func (export "{name}") (result u32) (canon lift (core func ${name} "add")))"#
    )
}

/// Core instances that a component makes.
fn core_instances(component: &[u8]) -> usize {
    let payloads = Parser::new(0).parse_all(component).map(Result::unwrap);
    let sections = payloads.filter_map(|payload| match payload {
        Payload::InstanceSection(instances) => Some(instances.into_iter().map(Result::unwrap).collect::<Vec<_>>()),
        _ => None,
    });
    sections.flatten().filter(|instance| matches!(instance, Instance::Instantiate { .. })).count()
}

/// The names that a component exports and that are ours.
fn exports_of_ours(component: &[u8]) -> Vec<String> {
    let payloads = Parser::new(0).parse_all(component).map(Result::unwrap);
    let sections = payloads.filter_map(|payload| match payload {
        Payload::ComponentExportSection(exports) => Some(exports.into_iter().map(Result::unwrap).collect::<Vec<_>>()),
        _ => None,
    });
    let names = sections.flatten().map(|export| export.name.name.to_owned());
    names.filter(|name| name.starts_with(PREFIX)).collect()
}

#[test]
fn one_more_core_instance_is_the_most_and_none_is_common() {
    let thing = r#"(import "thing" (type (sub resource)))"#;
    let (one, two) = (counter("one"), counter("two"));
    let (globals, handles) = ([MEMORY, SAVE, RESET, CHECK].as_slice(), [MEMORY, RESET].as_slice());
    for (fields, more, exports) in [
        (String::new(), 0, [MEMORY].as_slice()),
        (one.clone(), 0, globals),
        (format!("{one} {two}"), 1, globals),
        (thing.to_owned(), 1, handles),
        (format!("{thing} {one}"), 1, globals),
        (format!("{thing} {one} {two}"), 1, globals),
    ] {
        let before = wat::parse_str(format!("(component {fields} {HOME})")).unwrap();
        let after = rewritten(&before);
        assert_eq!(core_instances(&after) - core_instances(&before), more, "{fields}");
        assert_eq!(exports_of_ours(&after), exports, "{fields}");
    }
}

#[test]
fn one_call_puts_back_all_globals_and_the_numbers_of_handles() {
    for globals in [vec![], vec!["one"], vec!["one", "two"]] {
        let counters: String = globals.iter().map(|name| counter(name)).collect();
        let mut guest = Guest::with_things_and(&counters);
        if !globals.is_empty() {
            guest.run(SAVE);
        }
        for _ in 0..3 {
            for name in &globals {
                assert_eq!(guest.get::<u32>(name), 2);
            }
            assert_eq!(guest.series(3), [1, 2, 3]);
            [1, 3, 2].into_iter().for_each(|handle| guest.drop(handle));
            guest.reset(3).unwrap();
            if !globals.is_empty() {
                assert_eq!(guest.get::<u32>(CHECK), 0);
            }
        }
    }
}

#[test]
fn without_handles_any_number_of_them_puts_back_the_globals() {
    for counters in [counter("one"), format!("{} {}", counter("one"), counter("two"))] {
        let component = wat::parse_str(format!("(component {HOME} {counters})")).unwrap();
        let mut guest = Guest::new(&rewritten(&component));
        guest.run(SAVE);
        for handles in [0, 1, u32::MAX] {
            assert_eq!(guest.get::<u32>("one"), 2);
            guest.reset(handles).unwrap();
        }
    }
}
