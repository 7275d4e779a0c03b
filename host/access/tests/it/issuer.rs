//! An issuer for tests: keys from files, key sets, and tokens that the crate `jsonwebtoken` signs.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gust_access::{Issuer, Issuers, Jwks};
pub use jsonwebtoken::Algorithm;
use jsonwebtoken::{EncodingKey, crypto, jwk::Jwk};
use serde_json::{Value, json};

pub const NOW_S: u64 = 1_800_000_000;
pub const NOW_MS: u64 = NOW_S * 1000;
pub const ISSUER: &str = "https://issuer.example";
pub const AUDIENCE: &str = "shop";

/// A private key and what its public part is in a set.
pub struct TestKey {
    key: EncodingKey,
    pub algorithm: Algorithm,
}

/// Every algorithm that is served, with a key for it.
pub fn all() -> Vec<TestKey> {
    use Algorithm::*;
    let rsa = [RS256, RS384, RS512, PS256].map(|algorithm| TestKey { algorithm, ..TestKey::rsa() });
    rsa.into_iter().chain([TestKey::p256(), TestKey::p384(), TestKey::ed25519()]).collect()
}

impl TestKey {
    pub fn rsa() -> Self {
        let der = include_bytes!("../keys/rsa2048.der");
        Self { key: EncodingKey::from_rsa_der(der), algorithm: Algorithm::RS256 }
    }

    pub fn other_rsa() -> Self {
        let der = include_bytes!("../keys/rsa2048-other.der");
        Self { key: EncodingKey::from_rsa_der(der), algorithm: Algorithm::RS256 }
    }

    pub fn p256() -> Self {
        let der = include_bytes!("../keys/p256.der");
        Self { key: EncodingKey::from_ec_der(der), algorithm: Algorithm::ES256 }
    }

    pub fn p384() -> Self {
        let der = include_bytes!("../keys/p384.der");
        Self { key: EncodingKey::from_ec_der(der), algorithm: Algorithm::ES384 }
    }

    pub fn ed25519() -> Self {
        let der = include_bytes!("../keys/ed25519.der");
        Self { key: EncodingKey::from_ed_der(der), algorithm: Algorithm::EdDSA }
    }

    /// The public key, with its `alg` but without a `kid`.
    pub fn jwk(&self) -> Value {
        serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap()).unwrap()
    }

    /// The public key with these members set, or removed where they are null.
    pub fn jwk_with(&self, members: Value) -> Value {
        let mut jwk = self.jwk();
        for (name, value) in members.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        jwk.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        jwk
    }

    /// A token of these parts, whatever they say.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
        let signature = crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }

    /// A header that says the truth.
    pub fn header(&self) -> Value {
        json!({ "alg": self.algorithm, "typ": "JWT" })
    }

    /// A good token.
    pub fn token(&self) -> String {
        self.sign(&self.header(), &claims())
    }

    /// A token with these claims changed, or removed where they are null.
    pub fn token_with(&self, changes: Value) -> String {
        let mut claims = claims();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.sign(&self.header(), &claims)
    }

    /// What believes tokens of this key.
    pub fn issuers(&self) -> Issuers {
        issuers([self.jwk()])
    }
}

pub fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": NOW_S, "exp": NOW_S + 3600 })
}

pub fn set(keys: impl IntoIterator<Item = Value>) -> Vec<u8> {
    json!({ "keys": keys.into_iter().collect::<Vec<_>>() }).to_string().into_bytes()
}

pub fn issuers(keys: impl IntoIterator<Item = Value>) -> Issuers {
    let keys = Jwks::parse(&set(keys)).unwrap();
    Issuers::new(vec![Issuer { issuer: ISSUER.to_owned(), audiences: vec![AUDIENCE.to_owned()], keys }]).unwrap()
}
