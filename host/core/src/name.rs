//! The name of a function, checked once.
//!
//! A name is part of URLs, of file names and of log lines, so only `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?` is one: what a DNS
//! label allows (RFC 1123, section 2.1), in lower case. Whoever holds a [`FunctionName`] need not check it again.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// A function's name: 1 to 63 lower-case letters, digits and inner hyphens. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FunctionName(Arc<str>);

/// Why a text is not a name. Its message says what a name is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is not a name: 1 to 63 of the characters a-z, 0-9 and -, beginning and ending with a letter or digit"
)]
pub struct NameError {
    /// The text, shortened where it is long.
    found: String,
}

impl FunctionName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `text` has the form of a name.
fn is_name(text: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() <= NAME_BYTES_MAX
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|b| alphanumeric(b) || *b == b'-')
}

impl FromStr for FunctionName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_name(text) {
            return Ok(Self(text.into()));
        }
        Err(NameError { found: text.chars().take(NAME_BYTES_MAX + 1).collect() })
    }
}

impl TryFrom<String> for FunctionName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<FunctionName> for String {
    fn from(name: FunctionName) -> Self {
        name.as_str().to_owned()
    }
}

impl Borrow<str> for FunctionName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "resize", "a-b", "7", "x".repeat(63).as_str()] {
            assert_eq!(good.parse::<FunctionName>().unwrap().as_str(), good);
        }
        let long = "x".repeat(64);
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "../x", "a/b", "é", "ｒesize", "a\0", "a b", &long] {
            assert!(bad.parse::<FunctionName>().is_err(), "{bad:?} was taken for a name");
        }
    }

    #[test]
    fn an_error_never_repeats_an_endless_name() {
        let message = "y".repeat(100_000).parse::<FunctionName>().unwrap_err().to_string();
        assert!(message.len() < 300, "{message}");
    }
}
