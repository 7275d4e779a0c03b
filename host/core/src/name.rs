//! The names of functions, apps, aliases and tokens, checked once.
//!
//! A name is part of URLs, of file names and of log lines, so only `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?` is one: what a DNS
//! label allows (RFC 1123, section 2.1), in lower case. Whoever holds a name need not check it again.

use std::{
    borrow::Borrow,
    fmt,
    str::FromStr,
    sync::{Arc, LazyLock},
};

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// Why a text is not a name. Its message says what a name is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has not the form of a name.
    #[error(
        "{0:?} is not a name: 1 to 63 of the characters a-z, 0-9 and -, beginning and ending with a letter or digit"
    )]
    Form(String),
    /// It could be taken for a version.
    #[error("{0:?} is not an alias: digits alone are a version")]
    Digits(String),
}

impl NameError {
    /// Of a text that has not the form of a name; shortened where it is long.
    fn form(text: &str) -> Self {
        Self::Form(text.chars().take(NAME_BYTES_MAX + 1).collect())
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $check:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    )*};
}

names! {
    /// A function's name: 1 to 63 lower-case letters, digits and inner hyphens. Cheap to clone.
    FunctionName: must_be_name;
    /// An app's name, of the same form.
    AppName: must_be_name;
    /// An alias of a function: a name that is not digits alone, so that none is taken for a version.
    AliasName: must_be_alias;
    /// A token's name, of the same form as a function's.
    TokenName: must_be_name;
    /// The name of a bucket of key-values or of a container of blobs, of the same form.
    StateName: must_be_name;
}

/// The app of functions that are deployed to none by name.
const DEFAULT_APP: &str = "default";

/// The alias that requests go through where they name no other.
const LIVE: &str = "live";

impl AppName {
    /// The app of functions that are deployed to none by name.
    pub fn default_app() -> Self {
        static NAME: LazyLock<AppName> = LazyLock::new(|| AppName(DEFAULT_APP.into()));
        NAME.clone()
    }

    /// Whether it is that one.
    pub fn is_default(&self) -> bool {
        self.as_str() == DEFAULT_APP
    }
}

impl AliasName {
    /// The alias that requests go through where they name no other.
    pub fn live() -> Self {
        static NAME: LazyLock<AliasName> = LazyLock::new(|| AliasName(LIVE.into()));
        NAME.clone()
    }

    /// Whether it is that one.
    pub fn is_live(&self) -> bool {
        self.as_str() == LIVE
    }
}

/// What a request asks for behind `@`: a version, or an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// One version.
    Version(u64),
    /// Whatever the alias points to.
    Alias(AliasName),
}

impl FromStr for Reference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(version) if is_number => Ok(Self::Version(version)),
            _ => text.parse().map(Self::Alias),
        }
    }
}

fn must_be_name(text: &str) -> Result<(), NameError> {
    if is_name(text) { Ok(()) } else { Err(NameError::form(text)) }
}

fn must_be_alias(text: &str) -> Result<(), NameError> {
    must_be_name(text)?;
    if text.bytes().all(|byte| byte.is_ascii_digit()) { Err(NameError::Digits(text.to_owned())) } else { Ok(()) }
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
    fn an_alias_is_never_taken_for_a_version() {
        assert!("7".parse::<AliasName>().is_err());
        assert_eq!("7".parse(), Ok(Reference::Version(7)));
        assert_eq!("7a".parse(), Ok(Reference::Alias("7a".parse().unwrap())));
        for bad in ["", "+7", "99999999999999999999999", "A", "-"] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_never_repeats_an_endless_name() {
        let message = "y".repeat(100_000).parse::<FunctionName>().unwrap_err().to_string();
        assert!(message.len() < 300, "{message}");
    }
}
