//! The pattern of a route's path: literal segments, `{name}` for one segment, and at the end `{name...}` for the rest.
//!
//! Whatever can be written in a pattern can be sent in a path. A literal that no request could match, or that could be
//! written in several ways, is refused with the right one.

use std::fmt;

use super::{
    sent::{self, PATTERN_BYTES_MAX},
    shown,
};

/// The most segments of a pattern.
pub const SEGMENTS_MAX: usize = 32;

/// The most parameters of a pattern.
pub const PARAMS_MAX: usize = 8;

/// A part of a pattern, between slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// This text, as it is sent.
    Literal(Box<str>),
    /// One segment that is not empty.
    Param,
    /// All that is left, slashes included, or nothing.
    Rest,
}

impl Segment {
    pub(super) fn literal(&self) -> Option<&str> {
        match self {
            Self::Literal(text) => Some(text),
            Self::Param | Self::Rest => None,
        }
    }
}

/// The pattern of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    text: Box<str>,
    segments: Box<[Segment]>,
    /// Of the parameters, from left to right.
    names: Box<[Box<str>]>,
}

impl PathPattern {
    /// From a route's `path`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("the path has {} bytes; a pattern has at most {PATTERN_BYTES_MAX}", text.len()));
        }
        let Some(below) = text.strip_prefix('/') else {
            return Err("the path does not begin with /; a route is for paths like /orders/{id}".to_owned());
        };
        let mut builder = Builder::default();
        let count = below.split('/').count();
        for (at, segment) in below.split('/').enumerate() {
            builder.add(segment, at + 1 == count)?;
        }
        Ok(Self { text: text.into(), segments: builder.segments.into(), names: builder.names.into() })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of its parameters, from left to right.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// Whether it ends with a parameter for the rest.
    pub fn has_rest(&self) -> bool {
        self.segments.last() == Some(&Segment::Rest)
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[derive(Default)]
struct Builder {
    segments: Vec<Segment>,
    names: Vec<Box<str>>,
}

impl Builder {
    fn add(&mut self, text: &str, is_last: bool) -> Result<(), String> {
        if self.segments.len() == SEGMENTS_MAX {
            return Err(format!("the path has too many segments; a pattern has at most {SEGMENTS_MAX}"));
        }
        let segment = match text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
            Some(inner) => self.param(inner, is_last)?,
            None => literal(text, is_last)?,
        };
        self.segments.push(segment);
        Ok(())
    }

    fn param(&mut self, inner: &str, is_last: bool) -> Result<Segment, String> {
        let (name, segment) = inner.strip_suffix("...").map_or((inner, Segment::Param), |name| (name, Segment::Rest));
        let wrong = |why: &str| Err(format!("the parameter {} {why}", shown(&format!("{{{inner}}}"))));
        if !is_name(name) {
            return wrong("has no proper name: a to z, 0 to 9 and _, beginning with a letter");
        }
        if segment == Segment::Rest && !is_last {
            return wrong("is for the rest of the path; nothing can follow it");
        }
        if self.names.iter().any(|other| **other == *name) {
            return wrong("has the name of another; give each its own");
        }
        if self.names.len() == PARAMS_MAX {
            return wrong(&format!("is one too many; a pattern has at most {PARAMS_MAX}"));
        }
        self.names.push(name.into());
        Ok(segment)
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn literal(text: &str, is_last: bool) -> Result<Segment, String> {
    let wrong = |why: &str| Err(format!("the segment {} {why}", shown(text)));
    if text.is_empty() && !is_last {
        return Err("the path has an empty segment (//); take one / out".to_owned());
    }
    if text.contains(['{', '}']) {
        return wrong("has braces inside; a parameter is a whole segment, as {name}, or {name...} at the end");
    }
    if text.contains(['?', '#']) {
        return wrong("has more than a path; a route looks at the path alone, whatever the query");
    }
    if text == "*" || text == "**" {
        return wrong("is not a wildcard here; write {name} for one segment, {name...} at the end for the rest");
    }
    if sent::is_ambiguous(text) {
        return wrong(
            "matches nothing: paths with . or .. as a segment, a backslash, or /, \\ or NUL escaped are not routed",
        );
    }
    match sent::well_written(text) {
        Some(well_written) if well_written == text => Ok(Segment::Literal(text.into())),
        Some(well_written) => wrong(&format!("is not as clients send it; write {}", shown(&well_written))),
        None => wrong("has escapes that are no UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        PathPattern::parse(text).unwrap_err()
    }

    #[test]
    fn a_pattern_is_its_segments() {
        let literal = |text: &str| Segment::Literal(text.into());
        for (text, segments, names) in [
            ("/", vec![literal("")], vec![]),
            ("/a/", vec![literal("a"), literal("")], vec![]),
            ("/a/{id}/b", vec![literal("a"), Segment::Param, literal("b")], vec!["id"]),
            ("/{x_1}/{rest...}", vec![Segment::Param, Segment::Rest], vec!["x_1", "rest"]),
            ("/caf%C3%A9/@me", vec![literal("caf%C3%A9"), literal("@me")], vec![]),
        ] {
            let pattern = PathPattern::parse(text).unwrap();
            assert_eq!((pattern.segments(), pattern.as_str()), (&segments[..], text));
            assert_eq!(pattern.names().iter().map(|name| &**name).collect::<Vec<_>>(), names);
        }
        assert!(PathPattern::parse("/{a...}").unwrap().has_rest());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (bad, why) in [
            ("", "begin with /"),
            ("a", "begin with /"),
            ("//a", "empty segment"),
            ("/a//", "empty segment"),
            ("/{a...}/b", "nothing can follow"),
            ("/{a...}/", "nothing can follow"),
            ("/{}", "proper name"),
            ("/{...}", "proper name"),
            ("/{1a}", "proper name"),
            ("/{A}", "proper name"),
            ("/{a-b}", "proper name"),
            ("/{a}/{a}", "its own"),
            ("/{a}/{a...}", "its own"),
            ("/x{a}", "braces"),
            ("/{a}{b}", "proper name"),
            ("/{a", "braces"),
            ("/a?b=c", "path alone"),
            ("/a#b", "path alone"),
            ("/a/*", "{name...}"),
            ("/a/../b", "not routed"),
            ("/%2e", "not routed"),
            ("/a%2Fb", "not routed"),
            ("/%61", "write \"a\""),
            ("/caf%c3%a9", "write \"caf%C3%A9\""),
            ("/café", "write \"caf%C3%A9\""),
            ("/a b", "write \"a%20b\""),
            ("/%zz", "write \"%25zz\""),
            ("/%FF", "no UTF-8"),
            ("/a\nb", "write \"a%0Ab\""),
        ] {
            assert!(error(bad).contains(why), "{bad:?}: {}", error(bad));
        }
    }

    #[test]
    fn a_pattern_has_limits() {
        let long = |bytes: usize| format!("/{}", "x".repeat(bytes - 1));
        assert!(PathPattern::parse(&long(PATTERN_BYTES_MAX)).is_ok());
        assert!(error(&long(PATTERN_BYTES_MAX + 1)).contains("at most 512"));
        assert!(PathPattern::parse(&"/a".repeat(SEGMENTS_MAX)).is_ok());
        assert!(error(&"/a".repeat(SEGMENTS_MAX + 1)).contains("at most 32"));
        let params = |count: usize| (0..count).map(|n| format!("/{{p{n}}}")).collect::<String>();
        assert!(PathPattern::parse(&params(PARAMS_MAX)).is_ok());
        assert!(error(&params(PARAMS_MAX + 1)).contains("at most 8"));
        assert!(error(&format!("/{}*{{", "y".repeat(400))).len() < 300, "an error repeats no endless text");
    }
}
