//! A request's path, as it was sent and as it is meant.
//!
//! Nothing that is handed over is decoded, and a literal matches only what is written like it. But who gets a path may
//! decode it, or resolve its dots, and would then serve what another route is for: `/public/../admin`, `/%61dmin`. So
//!
//! - a path that may be taken apart in two ways is ambiguous, and no route takes it: one with a segment `.` or `..`, with an
//!   escaped slash, backslash or NUL, or with a backslash. Clients resolve dots before they send;
//! - literals are looked for by what a segment means. What means a literal but is not written like it does not pass for a
//!   parameter.

use arrayvec::ArrayVec;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode, utf8_percent_encode};

/// The longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 512;

/// What may not stand in a path as it is (RFC 3986, section 3.3).
const ESCAPED: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Of a byte that may stand for another, or that may not stand as it is.
const ODD: u8 = 1;

/// Of one that a segment may begin with that is nothing but dots.
const DOT: u8 = 2;

/// What is to be known of a byte: nothing, for most.
const fn kind(b: u8) -> u8 {
    match b {
        b'.' => DOT,
        b'!' | b'$' | b'&'..=b';' | b'=' | b'@'..=b'Z' | b'_' | b'a'..=b'z' | b'~' => 0,
        _ => ODD,
    }
}

/// The kinds of all bytes, for every byte of every path is looked at.
const KINDS: [u8; 256] = {
    let (mut kinds, mut b) = ([0; 256], 0_u8);
    let mut left = kinds.as_mut_slice();
    while let Some((first, others)) = left.split_first_mut() {
        *first = kind(b);
        (left, b) = (others, b.wrapping_add(1));
    }
    kinds
};

/// Whether all of a path stands for itself and no segment begins with a dot. Most paths are so.
pub(super) fn is_plain(path: &str) -> bool {
    match path.bytes().filter_map(|b| KINDS.get(usize::from(b))).fold(0, |kinds, kind| kinds | kind) {
        0 => true,
        DOT => !path.contains("/."),
        _ => false,
    }
}

/// Whether somebody might take the path apart otherwise than at its slashes.
pub(super) fn is_ambiguous(path: &str) -> bool {
    path.split('/').any(|segment| {
        if !segment.contains('%') {
            return matches!(segment, "." | "..") || segment.contains('\\');
        }
        let meant = || percent_decode_str(segment);
        meant().eq(*b".") || meant().eq(*b"..") || meant().any(|b| matches!(b, b'/' | b'\\' | 0))
    })
}

/// What literals mean: their bytes, decoded once. None where they are more than a pattern has.
pub(super) fn meant(literals: &str) -> Option<ArrayVec<u8, PATTERN_BYTES_MAX>> {
    let mut bytes = ArrayVec::new();
    percent_decode_str(literals).try_for_each(|b| bytes.try_push(b)).ok()?;
    Some(bytes)
}

/// Whether literals are written as patterns write them: what may stand as it is does, and the rest is escaped in capitals.
pub(super) fn is_well_written(literals: &str) -> bool {
    meant(literals).is_some_and(|meant| percent_encode(&meant, &ESCAPED).flat_map(str::bytes).eq(literals.bytes()))
}

/// How these literals are well written. None where they mean no text.
pub(super) fn well_written(literals: &str) -> Option<String> {
    let meant = percent_decode_str(literals).decode_utf8().ok()?;
    Some(utf8_percent_encode(&meant, &ESCAPED).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_can_be_taken_apart_in_two_ways_are_ambiguous() {
        for path in [
            "/a/../b",
            "/.",
            "/..",
            "/./a",
            "/a/.",
            "/%2e",
            "/%2E%2e/a",
            "/.%2e",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/x/%2e./y",
        ] {
            assert!(is_ambiguous(path) && !is_plain(path), "{path}");
        }
        for path in
            ["/", "/a/b", "/a.b", "/...", "/.well-known/x", "/a..", "/%252e", "/100%", "/%2", "/caf%C3%A9", "//a"]
        {
            assert!(!is_ambiguous(path), "{path}");
        }
        assert!(is_plain("/aZ0-_~/b") && !is_plain("/é") && !is_plain("/a%61"));
    }

    #[test]
    fn a_segment_means_its_bytes() {
        assert_eq!(meant("caf%c3%A9").unwrap().as_slice(), "café".as_bytes());
        assert_eq!(meant("%25zz%").unwrap().as_slice(), b"%zz%");
        assert_eq!(meant(&"x".repeat(PATTERN_BYTES_MAX + 1)), None);
    }

    #[test]
    fn there_is_one_way_to_write_a_segment() {
        for (segment, written) in [
            ("a-b.c_d~e!$&'()*+,;=:@", "a-b.c_d~e!$&'()*+,;=:@"),
            ("%61%2D", "a-"),
            ("café", "caf%C3%A9"),
            ("caf%c3%a9", "caf%C3%A9"),
            ("a b[", "a%20b%5B"),
            ("100%", "100%25"),
        ] {
            assert_eq!(well_written(segment).as_deref(), Some(written));
            assert_eq!(well_written(written).as_deref(), Some(written));
            assert!(is_well_written(written) && is_well_written(segment) == (segment == written), "{segment}");
        }
        assert_eq!(well_written("%ff"), None);
        assert!(is_well_written("a/caf%C3%A9") && !is_well_written("a/caf%C3%a9"));
    }
}
