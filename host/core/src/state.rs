//! State that the functions of an app share: what can be kept, and what may be asked of it.
//!
//! Key-values are in buckets, blobs in containers. Both have names and belong to an app.

use std::{str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Code, Problem};

/// The longest key of a value or name of a blob, in bytes.
pub const KEY_BYTES_MAX: usize = 1 << 10;

/// The largest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// Keys or names that are listed at once.
pub const PAGE_KEYS_MAX: usize = 1000;

/// Keys of one batch.
pub const BATCH_KEYS_MAX: usize = 1000;

/// Values of one batch together, in bytes.
pub const BATCH_BYTES_MAX: usize = 16 << 20;

/// The longest time that something is kept before it expires: what is to stay longer is kept without.
const TTL_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What is asked of a bucket: all of it is done, or nothing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets values by their keys.
    Set(Vec<(String, Vec<u8>)>),
    /// Removes keys, where they are there.
    Delete(Vec<String>),
    /// Adds to a number in decimal digits; what is not there is 0.
    Increment {
        /// Its key.
        key: String,
        /// What is added.
        by: i128,
        /// What it may become.
        range: (i128, i128),
    },
    /// Sets a value if it is still the one that was read.
    Swap {
        /// Its key.
        key: String,
        /// The new value.
        value: Vec<u8>,
        /// What was read: none where there was nothing.
        version: Option<u64>,
    },
}

/// What became of a [`Change`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It was made.
    Done,
    /// It was made, and the number is now this.
    Number(i128),
    /// Nothing was changed: the value is not the one that was read.
    Stale,
}

/// A value, and the number that is its own until it is set anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// What is kept.
    pub value: Vec<u8>,
    /// Grows with each change.
    pub version: u64,
}

/// What is known of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its name in its container.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// When it was written: milliseconds since 1970-01-01T00:00Z.
    pub created_unix_ms: u64,
}

impl Change {
    /// Whether it can be made at all.
    pub fn check(&self) -> Result<(), Problem> {
        match self {
            Self::Set(pairs) => {
                check_batch(pairs.len(), pairs.iter().map(|(_, value)| value.len()).sum())?;
                pairs.iter().try_for_each(|(key, value)| check_key(key).and_then(|()| check_value(value)))
            }
            Self::Delete(keys) => {
                check_batch(keys.len(), 0)?;
                keys.iter().try_for_each(|key| check_key(key))
            }
            Self::Increment { key, .. } => check_key(key),
            Self::Swap { key, value, .. } => check_key(key).and_then(|()| check_value(value)),
        }
    }

    /// What it holds, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Set(pairs) => pairs.iter().map(|(key, value)| key.len() + value.len()).sum(),
            Self::Delete(keys) => keys.iter().map(String::len).sum(),
            Self::Increment { key, .. } => key.len(),
            Self::Swap { key, value, .. } => key.len() + value.len(),
        }
    }
}

/// Checks a key of a value or a blob's name.
pub fn check_key(key: &str) -> Result<(), Problem> {
    match key.len() {
        0 => Err(invalid("a key is empty; it has at least one byte".to_owned())),
        1..=KEY_BYTES_MAX => Ok(()),
        bytes => Err(invalid(format!("a key has {bytes} bytes; it has at most {KEY_BYTES_MAX}"))),
    }
}

/// Checks a value.
pub fn check_value(value: &[u8]) -> Result<(), Problem> {
    match value.len() {
        0..=VALUE_BYTES_MAX => Ok(()),
        bytes => Err(invalid(format!(
            "a value has {bytes} bytes; it has at most {VALUE_BYTES_MAX}: what is larger is a blob"
        ))),
    }
}

/// Checks how much is asked for at once.
pub fn check_batch(keys: usize, bytes: usize) -> Result<(), Problem> {
    if keys > BATCH_KEYS_MAX {
        return Err(invalid(format!("a batch has {keys} keys; it has at most {BATCH_KEYS_MAX}")));
    }
    if bytes > BATCH_BYTES_MAX {
        return Err(invalid(format!("a batch has {bytes} bytes; it has at most {BATCH_BYTES_MAX}")));
    }
    Ok(())
}

/// Checks how long something is to be kept.
pub fn check_ttl(ttl: Duration) -> Result<(), Problem> {
    match ttl {
        Duration::ZERO => Err(invalid("a time to live is 0; it is at least a millisecond".to_owned())),
        ttl if ttl > TTL_MAX => Err(invalid("a time to live is more than ten years; leave it out".to_owned())),
        _ => Ok(()),
    }
}

fn invalid(detail: String) -> Problem {
    Problem::new(Code::StateInvalid, detail)
}

/// How long something is kept: `30s`, `30m`, `12h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ttl {
    seconds: u32,
}

/// A text that is no time to live.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time to live; write a number and s, m, h or d, as in 30m, at most ten years")]
pub struct TtlError(String);

/// The units, the longest first.
const UNITS: [(char, u32); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

impl Ttl {
    /// The time.
    pub fn as_duration(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

impl FromStr for Ttl {
    type Err = TtlError;

    fn from_str(text: &str) -> Result<Self, TtlError> {
        let wrong = || TtlError(text.chars().take(32).collect());
        let unit = |(unit, seconds): &(char, u32)| Some((text.strip_suffix(*unit)?, *seconds));
        let (number, seconds) = UNITS.iter().find_map(unit).ok_or_else(wrong)?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u32 = number.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
        let ttl = Self { seconds: number.checked_mul(seconds).ok_or_else(wrong)? };
        check_ttl(ttl.as_duration()).map_err(|_| wrong())?;
        Ok(ttl)
    }
}

impl TryFrom<String> for Ttl {
    type Error = TtlError;

    fn try_from(text: String) -> Result<Self, TtlError> {
        text.parse()
    }
}

impl From<Ttl> for String {
    fn from(Ttl { seconds }: Ttl) -> Self {
        let whole = UNITS.iter().find(|(_, unit)| seconds.is_multiple_of(*unit));
        let (unit, size) = whole.copied().unwrap_or(('s', 1));
        format!("{}{unit}", seconds / size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_to_live_is_a_number_and_a_unit() {
        for (text, seconds) in [("30s", 30), ("30m", 1800), ("12h", 43_200), ("7d", 604_800), ("90m", 5400)] {
            let ttl: Ttl = text.parse().unwrap();
            assert_eq!((ttl.as_duration().as_secs(), String::from(ttl).as_str()), (seconds, text));
        }
        for bad in ["", "m", "0s", "1", "1w", "-1s", "+1s", "1.5h", "1h30m", "99999999999d", "4000d", "1é"] {
            assert!(bad.parse::<Ttl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_over_a_limit_is_refused() {
        let set = |key: usize, value: usize| Change::Set(vec![("k".repeat(key), vec![0; value])]).check();
        assert!(set(1, 0).is_ok() && set(KEY_BYTES_MAX, VALUE_BYTES_MAX).is_ok());
        assert!(set(0, 1).is_err() && set(KEY_BYTES_MAX + 1, 1).is_err() && set(1, VALUE_BYTES_MAX + 1).is_err());
        let many = |keys: usize, bytes: usize| Change::Set(vec![("k".to_owned(), vec![0; bytes]); keys]).check();
        assert!(many(BATCH_KEYS_MAX, 1).is_ok() && many(16, VALUE_BYTES_MAX).is_ok());
        assert!(many(BATCH_KEYS_MAX + 1, 1).is_err() && many(17, VALUE_BYTES_MAX).is_err());
        assert!(Change::Delete(vec!["k".to_owned(); BATCH_KEYS_MAX + 1]).check().is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}") {
            if let Ok(ttl) = text.parse::<Ttl>() {
                prop_assert_eq!(String::from(ttl).parse(), Ok(ttl));
            }
        }
    }
}
