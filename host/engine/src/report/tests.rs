//! Reports of components in text, of what is none, and of damaged ones.

use gust_core::component::Reach;
use proptest::prelude::*;

use super::*;

/// Two modules, one of them in a component within, with all kinds of sections.
const NESTED: &str = r#"(component
    (import "wasi:io/streams@0.2.6" (instance))
    (import "wasi:io/stream@0.2.0" (instance))
    (type $u32 u32)
    (import "size" (type (eq $u32)))
    (core module $outer
        (memory 1)
        (data (i32.const 0) "0123456789")
        (func $f (result i32) (i32.add (i32.const 1) (i32.const 2)))
        (@producers (language "Rust" "2024") (processed-by "rustc" "1.95.0")))
    (component (core module
        (memory 1) (memory 1)
        (func nop)
        (@custom ".debug_info" "abc")
        (@custom "note" "a note")
        (@producers (language "Rust" "2024") (sdk "x" "1"))))
    (instance $i)
    (export "wasi:http/incoming-handler@0.2.0" (instance $i))
    (export "acme:tools/saw" (instance $i)))"#;

fn of(text: &str) -> ComponentInfo {
    report(&wat::parse_str(text).unwrap()).unwrap()
}

#[test]
fn exports_and_imports_are_told() {
    let info = of(NESTED);
    assert_eq!(info.exports, ["wasi:http/incoming-handler@0.2.0", "acme:tools/saw"]);
    assert_eq!(info.handlers, ["wasi:http/incoming-handler@0.2.0"]);
    let [streams, stream] = info.imports.as_slice() else { panic!("{info:?}") };
    assert_eq!((streams.name.as_str(), streams.reach), ("wasi:io/streams@0.2.6", Reach::Offered));
    assert_eq!((stream.reach, stream.nearest.as_deref()), (Reach::Missing, Some("wasi:io/streams@0.2")));
    let [gust, others @ ..] = info.hosts.as_slice() else { panic!("{info:?}") };
    assert_eq!((gust.host.as_str(), gust.runs), ("gust", false));
    assert_eq!(gust.why_not, ["wasi:io/stream@0.2.0 is not offered"]);
    assert!(others.iter().all(|host| host.why_not.is_empty() == host.runs));
}

#[test]
fn an_instance_that_only_names_types_is_no_import() {
    let handler = |more: &str| {
        let text = format!(
            r#"(component
                (import "wasi:clocks/types@0.3.0" (instance $types (export "code" (type (sub resource)))))
                (alias export $types "code" (type $code))
                (type $handler (instance (alias outer 1 $code (type $c)) (export "code" (type (eq $c))) {more}))
                (import "wasi:http/handler@0.3.0" (instance (type $handler))))"#
        );
        of(&text).imports.iter().map(|import| import.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(handler(""), ["wasi:clocks/types@0.3.0"]);
    assert_eq!(handler(r#"(export "handle" (func))"#), ["wasi:clocks/types@0.3.0", "wasi:http/handler@0.3.0"]);
}

#[test]
fn everything_within_is_counted() {
    let info = of(NESTED);
    assert_eq!((info.core_modules, info.memories), (2, 3));
    let made: Vec<_> = info.producers.iter().map(|one| format!("{} {} {}", one.kind, one.name, one.version)).collect();
    assert_eq!(made, ["language Rust 2024", "processed-by rustc 1.95.0", "sdk x 1"]);
    let sizes = info.sizes;
    // The segment's ten bytes, its head of five, and how many segments there are.
    assert_eq!(sizes.data_bytes, 16);
    assert!(sizes.code_bytes > 8 && sizes.types_bytes > 0 && sizes.other_bytes > 0, "{sizes:?}");
    assert!(sizes.debug_bytes >= 3 && sizes.custom_bytes >= 6, "{sizes:?}");
}

#[test]
fn lists_and_texts_have_an_end() {
    let imports = |count: usize| {
        let one = |at: usize| format!("(import \"acme:tools/saw{}{at}\" (instance))", "-x".repeat(100));
        of(&format!("(component {})", (0..count).map(one).collect::<String>()))
    };
    let many = imports(NAMES_MAX + 1);
    assert!(many.shortened && many.imports.len() == NAMES_MAX);
    assert!(many.imports.iter().all(|import| import.name.chars().count() == TEXT_CHARS_MAX));
    assert!(!imports(NAMES_MAX).shortened);
    assert!(report(&nested(DEPTH_MAX)).is_ok());
    let problem = report(&nested(DEPTH_MAX + 1)).unwrap_err();
    assert!(problem.detail.contains("nested too deep"), "{problem}");
}

/// A component with so many within each other.
fn nested(depth: usize) -> Vec<u8> {
    const HEAD: &[u8] = b"\0asm\x0d\0\x01\0";
    (0..depth).fold(HEAD.to_vec(), |inner, _| {
        // The section's number, and its length in three groups of seven bits.
        let groups = [0, 7, 14].map(|bits| (inner.len() >> bits) as u8 & 0x7f);
        let length = [groups[0] | 0x80, groups[1] | 0x80, groups[2]];
        [HEAD, &[4], &length, &inner].concat()
    })
}

#[test]
fn what_is_no_component_or_half_of_one_is_refused_as_an_upload_is() {
    assert_eq!(report(b"hello").unwrap_err().code, Code::ComponentNotWasm);
    assert_eq!(report(&wat::parse_str("(module)").unwrap()).unwrap_err().code, Code::ComponentCoreModule);
    let whole = wat::parse_str(NESTED).unwrap();
    // Behind a section it may end, and is another component then.
    let refused = (0..whole.len()).filter(|end| report(&whole[..*end]).is_err()).count();
    assert!(refused > whole.len() / 2, "{refused} of {}", whole.len());
    assert_eq!(report(&whole[..whole.len() - 3]).unwrap_err().code, Code::ComponentMalformed);
}

proptest! {
    #[test]
    fn damage_never_makes_it_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = wat::parse_str(NESTED).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = report(&bytes);
        let _ = report(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn nor_does_garbage(garbage in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = report(&garbage);
        let _ = report(&[b"\0asm\x0d\0\x01\0", garbage.as_slice()].concat());
        let _ = report(&[b"\0asm\x0d\0\x01\0\x01\x80\x01\0asm\x01\0\0\0", garbage.as_slice()].concat());
    }
}
