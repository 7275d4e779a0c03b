//! The id of one request: on the response, in every log line, in the receipt.
//!
//! A client's own `x-request-id` is kept where it is short and harmless, so that a trace begun elsewhere goes on here. The
//! text is held inline: making, copying and logging an id allocates nothing.

use std::fmt;

/// The longest id, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 64;

/// The id of one request: 1 to 64 of the characters `A-Z a-z 0-9 . _ -`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    bytes: [u8; REQUEST_ID_BYTES_MAX],
    len: u8,
}

impl RequestId {
    /// The id made of 128 random bits: 32 hexadecimal digits.
    pub fn from_random(bits: u128) -> Self {
        let mut bytes = [0; REQUEST_ID_BYTES_MAX];
        for (digits, quarter) in bytes.chunks_exact_mut(8).zip([96, 64, 32, 0]) {
            digits.copy_from_slice(&hexadecimal((bits >> quarter) as u32));
        }
        Self { bytes, len: 32 }
    }

    /// A client's own id, if it is one that may be repeated in headers and logs.
    pub fn from_client(text: &[u8]) -> Option<Self> {
        let harmless = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if text.is_empty() || !text.iter().all(harmless) {
            return None;
        }
        let mut bytes = [0; REQUEST_ID_BYTES_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { bytes, len: text.len() as u8 })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// Eight hexadecimal digits, made at once in the bytes of one word.
fn hexadecimal(bits: u32) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut nibbles = u64::from(bits);
    nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff;
    nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles << 4) & (0x0f * EACH);
    // One in each byte that is more than nine, for six more make it sixteen.
    let letters = (nibbles + 6 * EACH) >> 4 & EACH;
    let digits = nibbles + u64::from(b'0') * EACH + letters * u64::from(b'a' - b'0' - 10);
    digits.to_be_bytes()
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_are_hexadecimal() {
        let id = RequestId::from_random(0x0123_4567_89ab_cdef_0000_0000_0000_00ff);
        assert_eq!(id.as_str(), "0123456789abcdef00000000000000ff");
        for bits in [0, 1, u128::MAX, u128::MAX / 3, 0x9a9a_a9a9_0f0f_f0f0_1234_dead_beef_5678] {
            assert_eq!(RequestId::from_random(bits).as_str(), format!("{bits:032x}"));
        }
    }

    #[test]
    fn only_harmless_ids_are_taken_from_clients() {
        assert_eq!(RequestId::from_client(b"abc-1.2_3").unwrap().as_str(), "abc-1.2_3");
        assert_eq!(RequestId::from_client(&[b'a'; 64]).unwrap().as_str(), "a".repeat(64));
        for bad in [&b""[..], b"a b", b"a\n", b"\xff", b"\x1b[31m", &[b'a'; 65]] {
            assert_eq!(RequestId::from_client(bad), None);
        }
    }
}
