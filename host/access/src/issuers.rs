//! Whose tokens are believed, and the check of one (RFC 7519, RFC 8725).
//!
//! A signature takes tens of microseconds, and a client sends one token many times. So tokens that were found good are
//! remembered by their digest until they expire. Nothing is ever forgotten too late: whoever changes what is trusted makes new
//! [`Issuers`], which remember nothing.

use std::{fmt, sync::Arc};

use quick_cache::sync::Cache;

use crate::{
    claims::Claims,
    jwks::Jwks,
    jwt::Jwt,
    jwt_error::{JwtError, TOKEN_BYTES_MAX},
};

/// How many good tokens are remembered, about. Those that are used little are forgotten first.
const REMEMBERED_MAX: usize = 4096;

/// Somebody who makes tokens that are believed.
#[derive(Debug)]
pub struct Issuer {
    /// What its tokens have as `iss`, to the letter.
    pub issuer: String,
    /// For whom a token must be: one of these is in its `aud`.
    pub audiences: Vec<String>,
    /// What it signs with.
    pub keys: Jwks,
}

/// All whose tokens are believed.
pub struct Issuers {
    trusted: Vec<Trusted>,
    remembered: Cache<TokenDigest, Arc<Claims>>,
}

/// BLAKE3 of a token. Only tokens with a good signature are kept by it.
type TokenDigest = [u8; 32];

struct Trusted {
    name: Arc<str>,
    audiences: Vec<String>,
    keys: Jwks,
}

/// Why these issuers cannot be told apart, or would let too much through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuersError {
    /// An issuer without a name.
    #[error("an issuer's name is empty; write what its tokens have as \"iss\"")]
    NoName,
    /// Two of one name.
    #[error("the issuer {0:?} is there twice; give it once, with all of its audiences and keys")]
    Twice(String),
    /// A token for anybody would be taken.
    #[error("the issuer {0:?} has no audience, or an empty one; say for whom its tokens must be (their \"aud\")")]
    NoAudience(String),
}

impl Issuers {
    /// Those of this list.
    pub fn new(list: Vec<Issuer>) -> Result<Self, IssuersError> {
        let mut trusted: Vec<Trusted> = Vec::with_capacity(list.len());
        for Issuer { issuer, audiences, keys } in list {
            if issuer.is_empty() {
                return Err(IssuersError::NoName);
            }
            if audiences.is_empty() || audiences.iter().any(String::is_empty) {
                return Err(IssuersError::NoAudience(issuer));
            }
            if trusted.iter().any(|other| *other.name == *issuer) {
                return Err(IssuersError::Twice(issuer));
            }
            trusted.push(Trusted { name: issuer.into(), audiences, keys });
        }
        Ok(Self { trusted, remembered: Cache::new(REMEMBERED_MAX) })
    }

    /// What a token says, if it is to be believed now.
    pub fn verify(&self, token: &str, now_unix_ms: u64) -> Result<Arc<Claims>, JwtError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(JwtError::TooLarge);
        }
        let digest: TokenDigest = blake3::hash(token.as_bytes()).into();
        match self.remembered.get(&digest) {
            Some(claims) if now_unix_ms < claims.expires_unix_ms => Ok(claims),
            Some(_) => {
                self.remembered.remove(&digest);
                Err(JwtError::Expired)
            }
            None => {
                let claims = Arc::new(self.verify_anew(token, now_unix_ms)?);
                self.remembered.insert(digest, claims.clone());
                Ok(claims)
            }
        }
    }

    /// The issuer's keys are asked before anything else is said about what a token claims.
    fn verify_anew(&self, token: &str, now_unix_ms: u64) -> Result<Claims, JwtError> {
        let Jwt { algorithm, kid, claimed, message, signature } = Jwt::parse(token)?;
        let issuer = self.trusted.iter().find(|issuer| Some(&*issuer.name) == claimed.iss.as_deref());
        let Trusted { name, audiences, keys } = issuer.ok_or(JwtError::Issuer)?;
        keys.verify(algorithm, kid.as_deref(), message, &signature)?;
        claimed.checked(name, audiences, now_unix_ms)
    }
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.trusted.iter().map(|issuer| &*issuer.name).collect();
        f.debug_struct("Issuers").field("trusted", &names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
    use serde_json::json;

    use super::*;

    fn key() -> EncodingKey {
        EncodingKey::from_ed_der(include_bytes!("../tests/keys/ed25519.der"))
    }

    fn issuers() -> Issuers {
        let jwk = Jwk::from_encoding_key(&key(), Algorithm::EdDSA).unwrap();
        let keys = Jwks::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap();
        Issuers::new(vec![Issuer { issuer: "i".to_owned(), audiences: vec!["a".to_owned()], keys }]).unwrap()
    }

    fn token(number: usize, aud: &str) -> String {
        let claims = json!({ "iss": "i", "aud": aud, "exp": 10, "jti": number });
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &key()).unwrap()
    }

    #[test]
    fn only_good_tokens_are_remembered_and_not_for_ever() {
        let issuers = issuers();
        issuers.verify(&token(0, "other"), 0).unwrap_err();
        issuers.verify("x", 0).unwrap_err();
        assert_eq!(issuers.remembered.len(), 0);
        issuers.verify(&token(0, "a"), 0).unwrap();
        assert_eq!(issuers.remembered.len(), 1);
        issuers.verify(&token(0, "a"), 10_000).unwrap_err();
        assert_eq!(issuers.remembered.len(), 0);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let issuers = issuers();
        for number in 0..2 * REMEMBERED_MAX {
            issuers.verify(&token(number, "a"), 0).unwrap();
        }
        let remembered = issuers.remembered.len();
        assert!((REMEMBERED_MAX / 2..=REMEMBERED_MAX + REMEMBERED_MAX / 8).contains(&remembered), "{remembered}");
    }
}
