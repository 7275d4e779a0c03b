//! The public keys of an issuer: a JSON Web Key Set (RFC 7517), bounded and checked when it is read.

use std::fmt;

use serde::Deserialize;

pub use crate::jwk::KeyProblem;
use crate::{
    algorithm::Algorithm,
    jwk::{Jwk, Key},
    jwt_error::JwtError,
};

/// The largest set, in bytes.
pub const SET_BYTES_MAX: usize = 64 * 1024;

/// The most keys in a set.
pub const KEYS_MAX: usize = 32;

/// How many keys are tried for one token. More would let a token that is worth nothing cost much.
const TRIED_MAX: usize = 4;

/// How much of a key's id an error shows, in characters.
const SHOWN_CHARS_MAX: usize = 64;

/// The keys that an issuer signs with.
pub struct Jwks {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Written {
    keys: Vec<Jwk>,
}

/// Why there are no keys. It repeats nothing of a key but its id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// More bytes than a set may have.
    #[error("the key set has {0} bytes; {SET_BYTES_MAX} are taken")]
    TooLarge(usize),
    /// It is something else.
    #[error("this is not a key set, {{\"keys\": [{{\"kty\": ...}}, ...]}}: line {line}, column {column}")]
    Form {
        /// Where it stops being one.
        line: usize,
        /// Where in that line.
        column: usize,
    },
    /// More keys than a set may have.
    #[error("the key set has {0} keys; {KEYS_MAX} are taken")]
    TooMany(usize),
    /// A key that must not be there, or that is none.
    #[error("key {number} of the set{} {problem}", named(.kid))]
    Key {
        /// Which key, counted from 1.
        number: usize,
        /// What it is called.
        kid: Option<String>,
        /// What is wrong with it.
        problem: KeyProblem,
    },
    /// None is of use.
    #[error(
        "the key set has no key that a token can be checked with: RSA, EC (P-256, P-384) or Ed25519, for signatures \
         (RS256, RS384, RS512, PS256, ES256, ES384, EdDSA)"
    )]
    NoKey,
}

fn named(kid: &Option<String>) -> String {
    kid.as_ref().map(|kid| format!(" (kid {kid:?})")).unwrap_or_default()
}

impl Jwks {
    /// The keys of a set that is written as JSON.
    pub fn parse(json: &[u8]) -> Result<Self, JwksError> {
        if json.len() > SET_BYTES_MAX {
            return Err(JwksError::TooLarge(json.len()));
        }
        // The error's own text may repeat what it found.
        let form = |error: serde_json::Error| JwksError::Form { line: error.line(), column: error.column() };
        let Written { keys: written } = serde_json::from_slice(json).map_err(form)?;
        if written.len() > KEYS_MAX {
            return Err(JwksError::TooMany(written.len()));
        }
        let mut keys = Vec::new();
        for (at, jwk) in written.into_iter().enumerate() {
            let kid = jwk.kid.as_ref().map(|kid| kid.chars().take(SHOWN_CHARS_MAX).collect());
            keys.extend(jwk.into_key().map_err(|problem| JwksError::Key { number: at + 1, kid, problem })?);
        }
        if keys.is_empty() { Err(JwksError::NoKey) } else { Ok(Self { keys }) }
    }

    /// How many of its keys tokens can be checked with: one or more.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// Whether one of the keys that a token may mean signed the message.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), JwtError> {
        let meant = || self.keys.iter().filter_map(|key| key.verifier(kid, algorithm));
        match meant().take(TRIED_MAX + 1).count() {
            0 => Err(JwtError::Key),
            1..=TRIED_MAX => {
                let mut keys = meant();
                let fits = keys.any(|key| key.verify_sig(message, signature).is_ok());
                fits.then_some(()).ok_or(JwtError::Signature)
            }
            _ => Err(JwtError::KeyUnnamed),
        }
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwks").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}
