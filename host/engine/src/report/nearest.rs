//! The nearest that the host offers to what it does not: another release of the same interface, else a name that is nearly the same.

use crate::interfaces;

/// Of this many characters of a name, one may be another.
const CHARS_PER_EDIT: usize = 3;

/// What is offered and nearest to an import, as `wasi:keyvalue/store@0.2.0-draft2`, or `wasi:io/streams@0.2` where every release of
/// a line is. None where nothing is near.
pub(crate) fn nearest(import: &str) -> Option<String> {
    nearest_of(import, interfaces::offered())
}

fn nearest_of<'a>(import: &str, offered: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    let rated = offered.filter_map(|(interface, releases)| {
        let edits = edits(name, interface)?;
        Some(((edits, usize::MAX - in_common(version, releases)), interface, releases))
    });
    let (_, interface, releases) = rated.min_by_key(|(rating, ..)| *rating)?;
    Some(format!("{interface}@{}", releases.trim_end_matches('.')))
}

/// How many characters two releases begin with that are the same.
fn in_common(left: &str, right: &str) -> usize {
    left.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count()
}

/// How many characters are to be added, taken out or replaced to get from one name to the other. None where they are no mistakes for
/// each other: where their packages' last names differ, few edits may be; within a package, half of the interface's name.
fn edits(name: &str, offered: &str) -> Option<usize> {
    if name == offered {
        return Some(0);
    }
    let longest = name.len().max(offered.len());
    let few = longest / CHARS_PER_EDIT;
    if name.len().abs_diff(offered.len()) > few {
        return None;
    }
    let edits = distance(name.as_bytes(), offered.as_bytes());
    let near = match (name.split_once('/'), offered.split_once('/')) {
        (Some((package, interface)), Some((same, other))) if package == same => interface.len().max(other.len()) / 2,
        _ => few,
    };
    (edits <= near).then_some(edits)
}

/// Levenshtein's distance, a row at a time.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, left) in left.iter().enumerate() {
        // What stands above and to the left, above, and to the left.
        let (mut corner, mut before) = (at, at + 1);
        for (above, right) in row.iter_mut().skip(1).zip(right) {
            let here = (corner + usize::from(left != right)).min(*above + 1).min(before + 1);
            (corner, before, *above) = (*above, here, here);
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: [(&str, &str); 6] = [
        ("wasi:http/types", "0.2."),
        ("wasi:http/types", "0.3."),
        ("wasi:http/outgoing-handler", "0.2."),
        ("wasi:keyvalue/store", "0.2.0-draft2"),
        ("wasi:config/store", "0.2.0-rc.1"),
        ("wasi:http/client", "0.3."),
    ];

    fn near(import: &str) -> Option<String> {
        nearest_of(import, OFFERED.into_iter())
    }

    #[test]
    fn another_release_of_the_same_is_nearest() {
        assert_eq!(near("wasi:keyvalue/store@0.2.0-draft3").unwrap(), "wasi:keyvalue/store@0.2.0-draft2");
        assert_eq!(near("wasi:http/types@0.3").unwrap(), "wasi:http/types@0.3");
        assert_eq!(near("wasi:http/types@0.2").unwrap(), "wasi:http/types@0.2");
        assert_eq!(near("wasi:http/types").unwrap(), "wasi:http/types@0.2");
        assert_eq!(near("wasi:config/store@0.2.0-draft").unwrap(), "wasi:config/store@0.2.0-rc.1");
    }

    #[test]
    fn then_what_is_written_nearly_the_same() {
        assert_eq!(near("wasi:http/outgoing-handlers@0.2.0").unwrap(), "wasi:http/outgoing-handler@0.2");
        assert_eq!(near("wasmcloud:keyvalue/store@0.1.0").unwrap(), "wasi:keyvalue/store@0.2.0-draft2");
        assert_eq!(near("wasi:htttp/client@0.3.0").unwrap(), "wasi:http/client@0.3");
    }

    #[test]
    fn what_is_far_is_not_named() {
        for far in ["acme:tools/saw@1.0.0", "wasi:nn/tensor@0.2.0", "wasi:logging/logging", "", "@", &"x".repeat(9000)]
        {
            assert_eq!(near(far), None, "{far}");
        }
    }

    #[test]
    fn distances_are_levenshteins() {
        for (left, right, edits) in [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("same", "same", 0)] {
            assert_eq!(distance(left.as_bytes(), right.as_bytes()), edits, "{left} {right}");
        }
    }
}
