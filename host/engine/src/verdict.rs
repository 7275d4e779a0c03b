//! What a component's instances need, and whether they can be put back: the end of what [`compile`](crate::compile()) makes, after the
//! machine code.
//!
//! It is a reason why not, or nothing; then a byte of flags; then how long the reason is, in four bytes.

use crate::settings::Concurrency;

/// The most of a reason that is kept, in bytes.
const REASON_BYTES_MAX: usize = 2 << 10;

/// What the flags may be.
const NO_FLAGS: u8 = 0;
const RESTORES_ITSELF: u8 = 1;
const CONCURRENT: u8 = 2;

/// What was found out about a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They can.
    Rewindable {
        /// Whether every call of its typed handler that returns has put the globals back.
        restores_itself: bool,
    },
    /// They cannot: one sentence for the function's owner.
    Not(String),
    /// They cannot, and need what WASI 0.3 does.
    Concurrent,
}

impl Verdict {
    /// What its instances need.
    pub(crate) fn concurrency(&self) -> Concurrency {
        match self {
            Self::Rewindable { .. } | Self::Not(_) => Concurrency::Off,
            Self::Concurrent => Concurrency::On,
        }
    }

    /// The most that it takes, in bytes.
    pub(crate) const TAIL_BYTES_MAX: u64 = 4 << 10;

    /// Appends it to an artifact.
    pub(crate) fn append(&self, artifact: &mut Vec<u8>) {
        let (reason, flags) = match self {
            Self::Rewindable { restores_itself: true } => ("", RESTORES_ITSELF),
            Self::Rewindable { restores_itself: false } => ("", NO_FLAGS),
            Self::Not(reason) => (&**reason, NO_FLAGS),
            Self::Concurrent => ("", CONCURRENT),
        };
        let reason = reason.get(..reason.floor_char_boundary(REASON_BYTES_MAX)).unwrap_or_default();
        artifact.extend_from_slice(reason.as_bytes());
        artifact.push(flags);
        artifact.extend_from_slice(&(reason.len() as u32).to_le_bytes());
    }

    /// Reads it from the end of an artifact; none where that holds no verdict.
    pub(crate) fn of(artifact: &[u8]) -> Option<Self> {
        let (rest, len) = artifact.split_last_chunk()?;
        let (flags, rest) = rest.split_last()?;
        let from = rest.len().checked_sub(u32::from_le_bytes(*len) as usize)?;
        let reason = String::from_utf8(rest.get(from..)?.to_vec()).ok()?;
        match (reason.is_empty(), *flags) {
            (true, NO_FLAGS) => Some(Self::Rewindable { restores_itself: false }),
            (true, RESTORES_ITSELF) => Some(Self::Rewindable { restores_itself: true }),
            (true, CONCURRENT) => Some(Self::Concurrent),
            (false, NO_FLAGS) => Some(Self::Not(reason)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_found_at_the_end() {
        for verdict in [
            Verdict::Rewindable { restores_itself: false },
            Verdict::Rewindable { restores_itself: true },
            Verdict::Not("its module `main` changes a table".to_owned()),
            Verdict::Concurrent,
        ] {
            let mut artifact = b"machine code".to_vec();
            verdict.append(&mut artifact);
            assert_eq!(Verdict::of(&artifact), Some(verdict));
        }
    }

    #[test]
    fn a_reason_is_not_kept_beyond_what_is_read() {
        let mut artifact = Vec::new();
        Verdict::Not("ß".repeat(5000)).append(&mut artifact);
        assert!(artifact.len() as u64 <= Verdict::TAIL_BYTES_MAX);
        assert_eq!(Verdict::of(&artifact), Some(Verdict::Not("ß".repeat(1024))));
    }

    #[test]
    fn what_is_none_is_not_taken_for_one() {
        // Too short; longer than there is; flags that nobody gave; flags beside a reason; no text.
        for end in [&b"abc"[..], b"x\0\x09\0\0\0", b"\x03\0\0\0\0", b"x\x01\x01\0\0\0", b"\xff\0\x01\0\0\0"] {
            assert_eq!(Verdict::of(end), None, "{end:?}");
        }
    }
}
