//! The methods that a route is for.

use std::{collections::HashSet, fmt};

use http::Method;

use super::shown;

/// The most methods that a route names.
pub const METHODS_MAX: usize = 16;

/// Methods that the host never serves.
const NEVER_SERVED: [Method; 2] = [Method::CONNECT, Method::TRACE];

/// The methods that a route names; it takes all where it names none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Methods(Box<[Method]>);

impl Methods {
    /// From a route's `methods`, or a destination's.
    pub(crate) fn parse(names: &[String]) -> Result<Self, String> {
        if names.len() > METHODS_MAX {
            return Err(format!("it names {} methods; name at most {METHODS_MAX}", names.len()));
        }
        let methods: Vec<Method> = names.iter().map(|name| parse(name)).collect::<Result<_, String>>()?;
        let mut seen = HashSet::new();
        match methods.iter().find(|method| !seen.insert(*method)) {
            Some(twice) => Err(format!("it names the method {twice} twice; once is enough")),
            None => Ok(Self(methods.into())),
        }
    }

    /// Whether it takes every method.
    pub fn are_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that it names.
    pub fn named(&self) -> &[Method] {
        &self.0
    }
}

fn parse(name: &str) -> Result<Method, String> {
    let wrong = |why: &str| format!("the method {} {why}", shown(name));
    let method = Method::from_bytes(name.as_bytes()).map_err(|_| wrong("is not one, as GET and POST are"))?;
    if name.bytes().any(|b| b.is_ascii_lowercase()) {
        return Err(wrong(&format!("is not in capitals; write {}", shown(&name.to_ascii_uppercase()))));
    }
    if NEVER_SERVED.contains(&method) {
        return Err(wrong("is served by no function; take it out"));
    }
    Ok(method)
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(Method::as_str).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &[&str]) -> Result<Methods, String> {
        Methods::parse(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn methods_are_tokens_in_capitals() {
        assert!(parse(&[]).unwrap().are_all());
        let methods = parse(&["GET", "PROPFIND"]).unwrap();
        assert_eq!((methods.to_string().as_str(), methods.are_all()), ("GET,PROPFIND", false));
        let many: Vec<String> = (0..17).map(|n| format!("M{n}")).collect();
        assert!(Methods::parse(&many).unwrap_err().contains("at most 16"));
        for (bad, why) in [
            (&["get"][..], "write \"GET\""),
            (&[""], "is not one"),
            (&["A B"], "is not one"),
            (&["GET", "POST", "GET"], "GET twice"),
            (&["TRACE"], "no function"),
            (&["CONNECT"], "no function"),
        ] {
            assert!(parse(bad).unwrap_err().contains(why), "{bad:?}: {:?}", parse(bad));
        }
    }
}
