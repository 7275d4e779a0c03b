//! Redirects: where a route sends its requests instead of serving them.
//!
//! The target is as it is written, with what the path has in the place of the pattern's parameters, as it was sent; the
//! request's query follows. A parameter never stands in the host, and a target that is a path stays one (`//evil.example`
//! is not), so that no path that somebody makes up leads to another host than the one that is written.

use percent_encoding::{CONTROLS, utf8_percent_encode};

use super::{PathPattern, shown, spec::RedirectSpec};

/// The longest target, in bytes.
pub const TARGET_BYTES_MAX: usize = 2048;

/// Statuses that redirect.
const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// A redirect, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    status: u16,
    is_path: bool,
    has_query: bool,
    /// All before the fragment.
    target: Box<[Piece]>,
    /// From its # on.
    fragment: Box<[Piece]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    /// The value of the pattern's parameter in this place.
    Param(usize),
}

impl Redirect {
    /// From a route's `redirect`; `path` is its pattern.
    pub(super) fn new(spec: &RedirectSpec, path: &PathPattern) -> Result<Self, String> {
        if !STATUSES.contains(&spec.status) {
            return Err(format!("redirect.status is {}; it is 301, 302, 303, 307 or 308", spec.status));
        }
        let to = spec.to.as_str();
        if to.len() > TARGET_BYTES_MAX {
            return Err(format!("redirect.to has {} bytes; it has at most {TARGET_BYTES_MAX}", to.len()));
        }
        let (target, fragment) = to.split_at(to.find('#').unwrap_or(to.len()));
        let is_path = is_path(to)?;
        let [target_pieces, fragment_pieces] = [pieces(target, path)?, pieces(fragment, path)?];
        let has_query = target.contains('?');
        Ok(Self { status: spec.status, is_path, has_query, target: target_pieces, fragment: fragment_pieces })
    }

    /// Its status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Where it leads: `values` are those of the pattern's parameters, `query` is the request's. Visible ASCII only.
    pub fn location(&self, values: &[&str], query: Option<&str>) -> String {
        let mut location = String::new();
        write(&mut location, &self.target, values);
        if self.is_path {
            let path = location.trim_start_matches('/').len();
            location.drain(..(location.len() - path).saturating_sub(1));
        }
        if let Some(query) = query.filter(|query| !query.is_empty()) {
            location.push(if self.has_query { '&' } else { '?' });
            location.extend(utf8_percent_encode(query, CONTROLS));
        }
        write(&mut location, &self.fragment, values);
        location
    }
}

fn write(out: &mut String, pieces: &[Piece], values: &[&str]) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Param(at) => out.extend(utf8_percent_encode(values.get(*at).unwrap_or(&""), CONTROLS)),
        }
    }
}

/// Whether a target is a path rather than a URL.
fn is_path(to: &str) -> Result<bool, String> {
    if to.starts_with('/') && !to.starts_with("//") {
        return Ok(true);
    }
    let Some(below) = to.strip_prefix("https://").or(to.strip_prefix("http://")) else {
        return Err("redirect.to is neither an http:// or https:// URL nor a path that begins with one /".to_owned());
    };
    let authority = below.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains(['{', '}']) {
        return Err("redirect.to has a parameter in its host; write the host out".to_owned());
    }
    match authority.parse::<http::uri::Authority>() {
        Ok(host) if !host.host().is_empty() && !authority.contains('@') => Ok(false),
        _ => Err("redirect.to has no proper host".to_owned()),
    }
}

/// Takes a target apart at its parameters.
fn pieces(text: &str, path: &PathPattern) -> Result<Box<[Piece]>, String> {
    let (mut pieces, mut left) = (Vec::new(), text);
    while let Some((before, after)) = left.split_once('{') {
        let (inner, below) = after.split_once('}').ok_or("redirect.to has a { without its }")?;
        pieces.push(literal(before)?);
        pieces.push(Piece::Param(place(inner, path)?));
        left = below;
    }
    pieces.push(literal(left)?);
    Ok(pieces.into())
}

fn literal(text: &str) -> Result<Piece, String> {
    let is_sent = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
    match text.chars().find(|c| !is_sent(*c)) {
        Some(other) => Err(format!("redirect.to holds {other:?}, which no URL does; escape it, as %20 is for a space")),
        None => Ok(Piece::Text(text.into())),
    }
}

/// The place of a parameter in its pattern. It is written as there, the dots of the rest included.
fn place(inner: &str, path: &PathPattern) -> Result<usize, String> {
    let (name, is_rest) = inner.strip_suffix("...").map_or((inner, false), |name| (name, true));
    let place = path.names().iter().position(|other| **other == *name);
    let is_alike = |at: &usize| is_rest == (path.has_rest() && at + 1 == path.names().len());
    place.filter(is_alike).ok_or_else(|| {
        let parameter = shown(&format!("{{{inner}}}"));
        format!(
            "redirect.to names the parameter {parameter}, which the path does not have; write it as it stands there"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(path: &str, to: &str) -> Result<Redirect, String> {
        Redirect::new(&RedirectSpec { to: to.to_owned(), status: 308 }, &PathPattern::parse(path).unwrap())
    }

    fn location(path: &str, to: &str, values: &[&str], query: Option<&str>) -> String {
        redirect(path, to).unwrap().location(values, query)
    }

    #[test]
    fn a_target_has_the_paths_values_and_the_query() {
        for (path, to, values, query, expected) in [
            ("/a", "/b", &[][..], None, "/b"),
            ("/a", "/b", &[], Some(""), "/b"),
            ("/a", "/b", &[], Some("x=1&y"), "/b?x=1&y"),
            ("/a", "/b?z=0", &[], Some("x=1"), "/b?z=0&x=1"),
            ("/a", "/b#top", &[], Some("x=1"), "/b?x=1#top"),
            ("/a/{id}", "https://new.example/{id}.html#{id}", &["7"], None, "https://new.example/7.html#7"),
            (
                "/{a}/{r...}",
                "http://x.example:81/{r...}/{a}?a={a}",
                &["1", "b/c"],
                Some("q"),
                "http://x.example:81/b/c/1?a=1&q",
            ),
            ("/{r...}", "https://x.example/{r...}", &[""], None, "https://x.example/"),
            ("/{r...}", "https://x.example", &["a"], Some("b"), "https://x.example?b"),
            ("/{a}", "/{a}", &["caf%C3%A9"], None, "/caf%C3%A9"),
            ("/{a}", "/{a}", &["café"], Some("é"), "/caf%C3%A9?%C3%A9"),
        ] {
            assert_eq!(location(path, to, values, query), expected);
        }
    }

    #[test]
    fn no_path_leads_to_a_host_that_is_not_written() {
        assert_eq!(location("/old/{r...}", "/{r...}", &["/evil.example/"], None), "/evil.example/");
        assert_eq!(location("/old/{r...}", "/{r...}", &["///evil.example"], Some("//")), "/evil.example?//");
        assert_eq!(location("/old/{r...}", "https://a.example/{r...}", &["/b"], None), "https://a.example//b");
        for to in ["https://{a}.example/", "https://example.com{a}", "https://{a}", "{a}", "//{a}", "https://x:{a}/"] {
            assert!(redirect("/{a}", to).is_err(), "{to}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (to, why) in [
            ("", "neither"),
            ("b", "neither"),
            ("//b.example/", "neither"),
            ("ftp://b.example", "neither"),
            ("HTTPS://b.example", "neither"),
            ("javascript:alert(1)", "neither"),
            ("https://", "no proper host"),
            ("https:///b", "no proper host"),
            ("https://:80/", "no proper host"),
            ("https://a@b.example/", "no proper host"),
            ("https://{a}.example/", "write the host out"),
            ("https://b example/", "no proper host"),
            ("/{b}", "the parameter \"{b}\", which"),
            ("/{r}", "the parameter \"{r}\", which"),
            ("/{a...}", "the parameter \"{a...}\", which"),
            ("/{a", "without its }"),
            ("/a}", "holds '}'"),
            ("/a b", "holds ' '"),
            ("/a\r\nx: y", "holds '\\r'"),
            ("/\\evil.example", "holds '\\\\'"),
            ("/é", "holds 'é'"),
            (&"/x".repeat(1025), "at most 2048"),
        ] {
            let error = redirect("/{a}/{r...}", to).unwrap_err();
            assert!(error.contains(why), "{to:?}: {error}");
        }
        let spec = RedirectSpec { to: "/".to_owned(), status: 300 };
        assert!(Redirect::new(&spec, &PathPattern::parse("/").unwrap()).unwrap_err().contains("301, 302"));
    }
}
