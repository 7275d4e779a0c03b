//! JSON Web Tokens (RFC 7519) signed with HMAC-SHA-256 (RFC 7515, RFC 7518 section 3.2), and no others.
//!
//! The header is compared with the only one that is made here, byte for byte, so a token cannot choose how it is checked.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gust_sdk::Error;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// By how much clocks may differ, in seconds.
pub const SKEW_S: u64 = 30;

/// The shortest key, in bytes: as long as the hash (RFC 7518, section 3.2).
const KEY_BYTES_MIN: usize = 32;

/// The longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 8 << 10;

/// `{"alg":"HS256","typ":"JWT"}` in base64url.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// Whom it is about.
    pub sub: String,
    /// When it was issued: seconds since 1970-01-01T00:00Z.
    pub iat: u64,
    /// When it ends.
    pub exp: u64,
    /// When it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// Everything else.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// A key that signs.
pub struct Key(Hmac<Sha256>);

impl Key {
    /// A key of at least 32 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() < KEY_BYTES_MIN {
            let text =
                format!("AUTH_KEY has {} bytes; set one of at least {KEY_BYTES_MIN} in gust.toml's [env]", bytes.len());
            return Err(Error::failed(text));
        }
        Ok(Self(Hmac::new_from_slice(bytes)?))
    }

    /// A token of these claims.
    pub fn sign(&self, claims: &Claims) -> Result<String, Error> {
        let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims)?));
        let signature = self.0.clone().chain_update(&signed).finalize().into_bytes();
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The claims of a token that this key signed and that is in force, or why it is no good.
    pub fn check(&self, token: &str, now_unix_s: u64) -> Result<Claims, &'static str> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err("the token is too long");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("the token is malformed")?;
        let (header, claims) = signed.split_once('.').ok_or("the token is malformed")?;
        if header != HEADER {
            return Err("the token is not signed with HS256");
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "the token is malformed")?;
        // Compared in constant time.
        self.0.clone().chain_update(signed).verify_slice(&signature).map_err(|_| "the signature is wrong")?;
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| "the token is malformed")?;
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| "the claims are malformed")?;
        if now_unix_s > claims.exp.saturating_add(SKEW_S) {
            return Err("the token has expired");
        }
        if claims.nbf.unwrap_or(claims.iat) > now_unix_s.saturating_add(SKEW_S) {
            return Err("the token is not in force yet");
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims { sub: "ada".into(), iat: 1000, exp: 2000, nbf: None, other: serde_json::Map::new() }
    }

    #[test]
    fn other_algorithms_and_keys_are_refused() {
        let key = Key::new(&[1; 32]).unwrap();
        let token = key.sign(&claims()).unwrap();
        assert_eq!(key.check(&token, 1500).unwrap(), claims());
        let payload = token.split('.').nth(1).unwrap();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        assert_eq!(key.check(&format!("{none}.{payload}."), 1500), Err("the token is not signed with HS256"));
        assert_eq!(key.check(&format!("{HEADER}.{payload}."), 1500), Err("the signature is wrong"));
        assert_eq!(Key::new(&[2; 32]).unwrap().check(&token, 1500), Err("the signature is wrong"));
        for bad in ["", "a", "a.b", "..", &"x".repeat(9000)] {
            assert!(key.check(bad, 1500).is_err());
        }
    }

    #[test]
    fn every_flipped_character_is_seen() {
        let key = Key::new(&[1; 32]).unwrap();
        let token = key.sign(&claims()).unwrap();
        for at in 0..token.len() - 1 {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(key.check(&String::from_utf8(bytes).unwrap(), 1500).is_err(), "at {at}");
        }
    }

    #[test]
    fn times_hold_within_the_skew() {
        let key = Key::new(&[1; 32]).unwrap();
        let token = key.sign(&claims()).unwrap();
        assert!(key.check(&token, 1000 - SKEW_S).is_ok() && key.check(&token, 2000 + SKEW_S).is_ok());
        assert!(key.check(&token, 1000 - SKEW_S - 1).is_err() && key.check(&token, 2000 + SKEW_S + 1).is_err());
    }
}
