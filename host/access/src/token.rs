//! API tokens: `gust_<id>_<secret>`, made of random bytes, shown once and kept as a digest.
//!
//! The id says which token is meant and is no secret: lists and logs show it. The secret has 256 random bits, so one round of
//! SHA-256 is all that is needed to keep it: there is nothing to guess that a slow hash would protect. The prefix lets
//! scanners of repositories find tokens that were committed by mistake.

use std::{fmt, str::FromStr};

use gust_core::{Digest, name::TokenName};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::Scopes;

const PREFIX: &str = "gust_";
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;

/// How a token is sent in `Authorization` (RFC 6750).
const BEARER: &[u8] = b"Bearer ";

/// The token that a value of `Authorization` carries, if it carries one. The scheme is in any case (RFC 9110, section 11.1).
pub fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then_some(token)
}

/// How many random bytes a token is made of.
pub const RANDOM_BYTES: usize = ID_BYTES + SECRET_BYTES;

/// Which token: 12 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenId(u64);

/// A text that is no token's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a token's id is {} hexadecimal digits in lower case", 2 * ID_BYTES)]
pub struct TokenIdError;

/// A token as its holder has it. It is not kept: whoever loses it needs a new one.
pub struct TokenText {
    id: TokenId,
    text: Zeroizing<String>,
}

/// What is kept of a token. Nobody can make the token from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredToken {
    /// What people call it; logs name it so.
    pub name: TokenName,
    /// What its text says it is.
    pub id: TokenId,
    /// The digest of its whole text.
    pub secret_hash: Digest,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made.
    pub created_unix_ms: u64,
    /// From when on it is worth nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_unix_ms: Option<u64>,
}

impl TokenText {
    /// A new token from bytes that nobody can foresee.
    pub fn from_random(random: &[u8; RANDOM_BYTES]) -> Self {
        let (id, secret) = random.split_at(ID_BYTES);
        let id = TokenId(id.iter().fold(0, |id, byte| id << 8 | u64::from(*byte)));
        // Room for all of it at once: a text that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + 2 * RANDOM_BYTES + 1));
        text.push_str(PREFIX);
        text.push_str(&id.to_string());
        text.push('_');
        let nibbles = secret.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        text.extend(nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)));
        Self { id, text }
    }

    /// Its id.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// What is kept of it.
    pub fn hash(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }

    /// The text itself, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

/// The id of what has the whole form of a token.
pub(crate) fn id_of(presented: &[u8]) -> Option<TokenId> {
    let (id, rest) = presented.strip_prefix(PREFIX.as_bytes())?.split_at_checked(2 * ID_BYTES)?;
    let secret = rest.strip_prefix(b"_")?;
    let has_form = secret.len() == 2 * SECRET_BYTES && secret.iter().all(|byte| hex_value(*byte).is_some());
    has_form.then(|| TokenId::from_hex(id)).flatten()
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl TokenId {
    fn from_hex(digits: &[u8]) -> Option<Self> {
        if digits.len() != 2 * ID_BYTES {
            return None;
        }
        let id = digits.iter().try_fold(0, |id, digit| Some(id << 4 | u64::from(hex_value(*digit)?)));
        id.map(TokenId)
    }
}

impl FromStr for TokenId {
    type Err = TokenIdError;

    fn from_str(text: &str) -> Result<Self, TokenIdError> {
        Self::from_hex(text.as_bytes()).ok_or(TokenIdError)
    }
}

impl TryFrom<String> for TokenId {
    type Error = TokenIdError;

    fn try_from(text: String) -> Result<Self, TokenIdError> {
        text.parse()
    }
}

impl From<TokenId> for String {
    fn from(id: TokenId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$x}", self.0, width = 2 * ID_BYTES)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenText").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_its_random_bytes() {
        let text = TokenText::from_random(&std::array::from_fn(|i| (i * 7) as u8));
        let id = "00070e151c23";
        let secret = "2a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9e0e7eef5fc03";
        assert_eq!(text.expose(), format!("gust_{id}_{secret}"));
        assert_eq!(text.id(), id.parse().unwrap());
        assert_eq!(text.hash(), Digest::of(text.expose().as_bytes()));
        let shown = format!("{text:?}");
        assert!(shown.contains(id) && !shown.contains(&secret[..4]), "{shown}");
    }

    #[test]
    fn what_is_kept_reads_back() {
        let text = TokenText::from_random(&[0xab; RANDOM_BYTES]);
        let stored = StoredToken {
            name: "ci".parse().unwrap(),
            id: text.id(),
            secret_hash: text.hash(),
            scopes: ["deploy:app/shop".parse().unwrap()].into_iter().collect(),
            created_unix_ms: 1,
            expires_unix_ms: None,
        };
        let json = serde_json::to_string(&stored).unwrap();
        assert!(json.starts_with(r#"{"name":"ci","id":"abababababab","secret_hash":""#), "{json}");
        assert!(!json.contains("expires"), "{json}");
        assert_eq!(serde_json::from_str::<StoredToken>(&json).unwrap(), stored);
        assert!(serde_json::from_str::<StoredToken>(&json.replace("abababababab", "ABABABABABAB")).is_err());
    }

    #[test]
    fn other_forms_have_no_id() {
        let good = TokenText::from_random(&[0xab; RANDOM_BYTES]).expose().to_owned();
        assert!(id_of(good.as_bytes()).is_some());
        for bad in [
            "",
            "gust_",
            &good[1..],
            &good[..good.len() - 1],
            &format!("{good}0"),
            &good.replace('a', "A"),
            &good.replace("_a", "-a"),
            &format!(" {good}"),
        ] {
            assert_eq!(id_of(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_token_names_its_id(random: [u8; 32], id: [u8; ID_BYTES]) {
            let bytes: Vec<u8> = id.into_iter().chain(random).collect();
            let text = TokenText::from_random(&bytes.try_into().unwrap());
            prop_assert_eq!(id_of(text.expose().as_bytes()), Some(text.id()));
            prop_assert_eq!(text.id().to_string().parse(), Ok(text.id()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            id_of(&bytes);
            bytes.splice(..0, PREFIX.bytes());
            if let Some(id) = id_of(&bytes) {
                prop_assert_eq!(id.to_string().into_bytes(), &bytes[5..17]);
            }
        }
    }
}
