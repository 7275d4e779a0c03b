//! What a token says of its holder (RFC 7519, section 4.1): as it was claimed, and as it holds once it was checked.

use std::sync::Arc;

use serde::Deserialize;

use crate::jwt_error::JwtError;

/// How far an issuer's clock may be ahead of ours. A token is never good after its `exp`, so this lengthens no token's life.
const LEEWAY_MS: u64 = 60_000;

/// The longest subject (OpenID Connect Core, section 2).
const SUBJECT_BYTES_MAX: usize = 255;

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who made the token.
    pub issuer: Arc<str>,
    /// Whom it is about. It is the issuer's text and may hold any character.
    pub subject: Option<Arc<str>>,
    /// From when on it is worth nothing.
    pub expires_unix_ms: u64,
}

/// What a token says, not yet believed. A claim that is there twice is refused by whoever reads this.
#[derive(Deserialize)]
pub(crate) struct Claimed {
    pub(crate) iss: Option<String>,
    sub: Option<String>,
    aud: Option<Audience>,
    exp: Option<NumericDate>,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Seconds since 1970, perhaps with a fraction.
#[derive(Deserialize, Clone, Copy)]
#[serde(transparent)]
struct NumericDate(f64);

impl NumericDate {
    /// What is out of range ends at the range's end.
    fn unix_ms(self) -> u64 {
        (self.0 * 1000.0) as u64
    }
}

impl Claimed {
    /// What holds of a token of this issuer, whose signature was checked.
    pub(crate) fn checked(self, issuer: &Arc<str>, audiences: &[String], now_unix_ms: u64) -> Result<Claims, JwtError> {
        if !self.is_for(audiences) {
            return Err(JwtError::Audience);
        }
        let expires_unix_ms = self.exp.ok_or(JwtError::NoExpiry)?.unix_ms();
        if expires_unix_ms <= now_unix_ms {
            return Err(JwtError::Expired);
        }
        let latest = now_unix_ms.saturating_add(LEEWAY_MS);
        if [self.nbf, self.iat].into_iter().flatten().any(|begins| begins.unix_ms() > latest) {
            return Err(JwtError::NotYetValid);
        }
        if self.sub.as_ref().is_some_and(|subject| subject.len() > SUBJECT_BYTES_MAX) {
            return Err(JwtError::Subject);
        }
        Ok(Claims { issuer: issuer.clone(), subject: self.sub.map(Into::into), expires_unix_ms })
    }

    fn is_for(&self, audiences: &[String]) -> bool {
        match &self.aud {
            None => false,
            Some(Audience::One(audience)) => audiences.contains(audience),
            Some(Audience::Several(several)) => several.iter().any(|audience| audiences.contains(audience)),
        }
    }
}
