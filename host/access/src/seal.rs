//! Secrets at rest: sealed with a key that is kept elsewhere, and bound to the place that they are for.
//!
//! AES-256-GCM-SIV (RFC 8452), of the library that checks signatures too. Nonces are random, and with 96 bits of them two
//! could meet after some billions of secrets, or at once where a machine is copied while it runs. With SIV that tells no more
//! than that two secrets are the same; with plain GCM or ChaCha20-Poly1305 it would give the texts away.
//!
//! What is sealed: a version (1 byte), the nonce (12), the encrypted text, a tag (16). The version, the app and the secret's
//! name are authenticated with it, so that none can be moved to where another is expected.

use std::{fmt, str::FromStr};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use gust_core::AppName;
use zeroize::{Zeroize as _, Zeroizing};

use crate::SecretValue;

/// How long a key is.
pub const KEY_BYTES: usize = 32;

/// How many random bytes sealing takes.
pub const NONCE_BYTES: usize = NONCE_LEN;

const VERSION: u8 = 1;

/// What secrets are sealed with. The library overwrites it when it is dropped.
pub struct SealingKey(LessSafeKey);

/// Where a secret belongs. What is sealed for one place opens at no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedPlace<'a> {
    /// The app that it is for.
    pub app: &'a AppName,
    /// What it is called there.
    pub secret: &'a str,
}

/// Why a text is not a key. It repeats nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealing key is 32 random bytes, as 64 hexadecimal digits or as base64; `openssl rand -hex 32` makes one")]
pub struct KeyError;

/// Why a secret cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is longer than can be sealed.
    #[error("the secret is too long to be sealed")]
    TooLong,
    /// Written by something newer, or not sealed at all.
    #[error("the secret is not sealed in a way that this version knows")]
    Version,
    /// The key is another, or what is sealed was changed or moved.
    #[error("the secret cannot be opened: it was sealed with another key or for another place, or it was changed")]
    Refused,
}

impl SealingKey {
    /// The key of these bytes.
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Result<Self, KeyError> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, bytes).map_err(|_| KeyError)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// The secret, sealed. Of `nonce` only chance may decide.
    pub fn seal(
        &self,
        secret: &SecretValue,
        place: SealedPlace<'_>,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Vec<u8>, SealError> {
        let text = secret.expose().as_bytes();
        let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + text.len() + AES_256_GCM_SIV.tag_len());
        sealed.push(VERSION);
        sealed.extend(nonce);
        sealed.extend(text);
        let encrypted = sealed.get_mut(1 + NONCE_BYTES..).unwrap_or_default();
        let nonce = Nonce::assume_unique_for_key(nonce);
        match self.0.seal_in_place_separate_tag(nonce, place.authenticated(), encrypted) {
            Ok(tag) => {
                sealed.extend(tag.as_ref());
                Ok(sealed)
            }
            Err(_) => {
                sealed.zeroize();
                Err(SealError::TooLong)
            }
        }
    }

    /// The secret that was sealed for this place.
    pub fn open(&self, sealed: &[u8], place: SealedPlace<'_>) -> Result<SecretValue, SealError> {
        let (nonce, encrypted) = match sealed.split_first() {
            Some((&VERSION, rest)) => rest.split_first_chunk().ok_or(SealError::Refused)?,
            _ => return Err(SealError::Version),
        };
        let mut text = Zeroizing::new(encrypted.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.open_in_place(nonce, place.authenticated(), &mut text).map_err(|_| SealError::Refused)?;
        let secret = str::from_utf8(opened).map_err(|_| SealError::Refused)?;
        Ok(SecretValue::from(secret.to_owned()))
    }
}

impl SealedPlace<'_> {
    /// An app's name has no zero byte, so no two places are written alike.
    fn authenticated(&self) -> Aad<Vec<u8>> {
        Aad::from([&[VERSION][..], self.app.as_str().as_bytes(), &[0], self.secret.as_bytes()].concat())
    }
}

impl FromStr for SealingKey {
    type Err = KeyError;

    /// Space around it, such as a file's last line end, does not count.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        let is_key = from_hex(text, &mut bytes) || from_base64(text, &mut bytes);
        if is_key { Self::from_bytes(&bytes) } else { Err(KeyError) }
    }
}

fn from_hex(text: &str, bytes: &mut [u8; KEY_BYTES]) -> bool {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return false };
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut values = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?));
    pairs.len() == KEY_BYTES
        && bytes.iter_mut().all(|byte| values.next().flatten().map(|value| *byte = value).is_some())
}

fn from_base64(text: &str, bytes: &mut [u8; KEY_BYTES]) -> bool {
    // The decoder asks for room for whole groups of three.
    let mut decoded = Zeroizing::new([0; KEY_BYTES + 1]);
    let length = BASE64_STANDARD.decode_slice(text, decoded.as_mut_slice());
    match decoded.first_chunk() {
        Some(key) if length == Ok(KEY_BYTES) => {
            *bytes = *key;
            true
        }
        _ => false,
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn key() -> SealingKey {
        HEX.parse().unwrap()
    }

    fn seal(app: &str, secret: &str, text: &str) -> Vec<u8> {
        let app = app.parse().unwrap();
        key().seal(&text.to_owned().into(), SealedPlace { app: &app, secret }, [7; NONCE_BYTES]).unwrap()
    }

    fn open(app: &str, secret: &str, sealed: &[u8]) -> Result<String, SealError> {
        let app = app.parse().unwrap();
        key().open(sealed, SealedPlace { app: &app, secret }).map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn what_was_sealed_by_an_older_version_opens() {
        let sealed = seal("shop", "API_KEY", "hunter2");
        let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        // Made with another library (the crate aes-gcm-siv).
        assert_eq!(hex, "0107070707070707070707070729e3f6cc3497de86267391ccd929e1ddbb3b8bf51ddb0e");
        assert_eq!(open("shop", "API_KEY", &sealed), Ok("hunter2".to_owned()));
    }

    #[test]
    fn a_secret_opens_at_its_place_only() {
        let sealed = seal("shop", "API_KEY", "hunter2");
        for (app, secret) in [("shop", "API_KEY2"), ("shop2", "API_KEY"), ("s", "hopAPI_KEY"), ("s", "hop\0API_KEY")] {
            assert_eq!(open(app, secret, &sealed), Err(SealError::Refused), "{app} {secret}");
        }
        let other = SealingKey::from_bytes(&[1; KEY_BYTES]).unwrap();
        let app = "shop".parse().unwrap();
        let refused = other.open(&sealed, SealedPlace { app: &app, secret: "API_KEY" }).unwrap_err();
        assert_eq!(refused, SealError::Refused);
    }

    #[test]
    fn other_versions_are_told_apart() {
        let mut sealed = seal("shop", "a", "b");
        sealed[0] = 2;
        assert_eq!(open("shop", "a", &sealed), Err(SealError::Version));
        assert_eq!(open("shop", "a", b""), Err(SealError::Version));
        assert_eq!(open("shop", "a", &[VERSION]), Err(SealError::Refused));
        assert_eq!(open("shop", "a", &[VERSION; 13]), Err(SealError::Refused));
    }

    #[test]
    fn keys_are_read_in_both_forms_and_no_other() {
        let sealed = seal("shop", "a", "b");
        for text in [HEX, &HEX.to_uppercase(), &format!(" {HEX}\n"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="] {
            let app = "shop".parse().unwrap();
            let key: SealingKey = text.parse().unwrap();
            assert_eq!(key.open(&sealed, SealedPlace { app: &app, secret: "a" }).unwrap().expose(), "b", "{text}");
        }
        let short = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==";
        for text in ["", &HEX[2..], &format!("{HEX}00"), &HEX.replace("1f", "1g"), short, &HEX.replace('0', "é")] {
            let error = text.parse::<SealingKey>().unwrap_err();
            assert!(!error.to_string().contains(HEX), "{error}");
        }
    }

    #[test]
    fn nothing_shows_a_key() {
        assert_eq!(format!("{:?}", key()), "SealingKey(..)");
    }

    proptest! {
        #[test]
        fn every_secret_opens_and_no_changed_one(text in ".{0,60}", at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut sealed = seal("shop", "a", &text);
            prop_assert_eq!(open("shop", "a", &sealed), Ok(text));
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(open("shop", "a", &sealed).is_err(), "byte {at}");
        }

        #[test]
        fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(open("shop", "a", &bytes).is_err());
        }

        #[test]
        fn any_text_is_a_key_or_refused(text in ".{0,70}") {
            let _ = text.parse::<SealingKey>();
        }
    }
}
