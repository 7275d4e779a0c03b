//! Values of settings that are more than a number or an address: each is a text in the file and in the environment, and is
//! checked where it is read.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, de};

/// A file that may be left out: the empty text is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionalPath(Option<PathBuf>);

impl OptionalPath {
    /// The path, where one is given.
    pub fn as_deref(&self) -> Option<&Path> {
        self.0.as_deref()
    }

    /// Whether one is given.
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

impl FromStr for OptionalPath {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self((!text.is_empty()).then(|| PathBuf::from(text))))
    }
}

/// Names that a listener is called by, in the order they were given; the text has commas between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostNames(Vec<String>);

impl HostNames {
    /// Whether this is one of them. Capitals are the same as small letters.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Not the name of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a host; write names with commas between them, without scheme or port")]
pub struct NotAHostName(String);

impl FromStr for HostNames {
    type Err = NotAHostName;

    fn from_str(text: &str) -> Result<Self, NotAHostName> {
        let names = text.split(',').map(str::trim).filter(|_| !text.trim().is_empty());
        names.map(host_name).collect::<Result<_, _>>().map(Self)
    }
}

fn host_name(text: &str) -> Result<String, NotAHostName> {
    let is_of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_name = !text.is_empty() && text.bytes().all(is_of_a_name);
    if is_name { Ok(text.to_owned()) } else { Err(NotAHostName(text.to_owned())) }
}

/// From a text, as everywhere else.
fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

impl<'de> Deserialize<'de> for OptionalPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

impl<'de> Deserialize<'de> for HostNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_no_path() {
        assert_eq!("".parse::<OptionalPath>().unwrap().as_deref(), None);
        assert_eq!("a b".parse::<OptionalPath>().unwrap().as_deref(), Some(Path::new("a b")));
    }

    #[test]
    fn names_stand_between_commas() {
        let names: HostNames = "gust.example.com, Other".parse().unwrap();
        assert!(names.contains("GUST.example.com") && names.contains("other"));
        assert!(!names.contains("example.com") && !names.contains(""));
        for none in ["", " "] {
            assert_eq!(none.parse(), Ok(HostNames::default()));
        }
        for wrong in ["a,,b", "https://a", "a:3001", "*", ",", "a b"] {
            let error = wrong.parse::<HostNames>().unwrap_err().to_string();
            assert!(error.contains("without scheme or port"), "{error}");
        }
    }
}
