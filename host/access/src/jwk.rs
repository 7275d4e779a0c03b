//! One key of a set (RFC 7517), as it is written and as it is used.
//!
//! A key is checked when it is read, not when the first token comes: its size, its numbers, its point. What has no business in
//! a published set, a symmetric key or a private part, is refused, for the set was not meant to be shown. What is only not
//! for us, a key for encryption or of a type that is not served, is passed over, as RFC 7517 says (section 5).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RsaPublicKeyComponents,
    VerificationAlgorithm,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, de::IgnoredAny};

use crate::algorithm::{Algorithm, RsaScheme};

/// The sizes of an RSA key that are taken. A smaller one is weak, a larger one slow.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// The longest public exponent. What is larger makes checking slow and nothing safer.
const EXPONENT_BYTES_MAX: usize = 4;

/// A key as the set has it. Unknown members are allowed; private ones are seen but not read.
#[derive(Deserialize)]
pub(crate) struct Jwk {
    kty: Option<String>,
    pub(crate) kid: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<IgnoredAny>,
    d: Option<IgnoredAny>,
    p: Option<IgnoredAny>,
    q: Option<IgnoredAny>,
    dp: Option<IgnoredAny>,
    dq: Option<IgnoredAny>,
    qi: Option<IgnoredAny>,
    oth: Option<IgnoredAny>,
    #[serde(rename = "priv")]
    private: Option<IgnoredAny>,
}

/// A key that signatures are checked with, once for each algorithm that it serves.
pub(crate) struct Key {
    kid: Option<String>,
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
}

/// Why a key makes the whole set unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// Whoever can check with it can sign with it.
    #[error("is symmetric, so whoever knows it can make tokens; let the issuer sign with an RSA, EC or Ed25519 key")]
    Symmetric,
    /// What only the issuer should know.
    #[error(
        "has a private part; publish its public part alone, and have the issuer replace it, for it is no secret now"
    )]
    Private,
    /// A member that must be there.
    #[error("has no {0:?}")]
    Missing(&'static str),
    /// A member that is not what it should be.
    #[error("has a {0:?} that is not base64url without padding")]
    Encoding(&'static str),
    /// The size of an RSA key.
    #[error("is an RSA key of {0} bits; {min} to {max} are taken", min = RSA_BITS.start(), max = RSA_BITS.end())]
    RsaBits(usize),
    /// The numbers of an RSA key.
    #[error("is not an RSA key: n must be odd, and e odd, more than 1 and at most 4 bytes long")]
    RsaNumbers,
    /// The point of an EC or Ed25519 key.
    #[error("is not a point of its curve")]
    Point,
    /// Its algorithm belongs to another type of key.
    #[error("has an \"alg\" that does not fit its \"kty\" and \"crv\"")]
    Algorithm,
}

impl Jwk {
    /// The key, or nothing where it is not for checking tokens.
    pub(crate) fn into_key(self) -> Result<Option<Key>, KeyProblem> {
        let kty = self.kty.as_deref().ok_or(KeyProblem::Missing("kty"))?;
        if kty == "oct" {
            return Err(KeyProblem::Symmetric);
        }
        if self.has_private_part() {
            return Err(KeyProblem::Private);
        }
        let Some(only) = self.algorithm().filter(|_| self.is_for_signatures()) else { return Ok(None) };
        let mut verifiers = match (kty, self.crv.as_deref()) {
            ("RSA", _) => self.rsa()?,
            ("EC", Some("P-256")) => vec![(Algorithm::Es256, self.ec(&ECDSA_P256_SHA256_FIXED, 32)?)],
            ("EC", Some("P-384")) => vec![(Algorithm::Es384, self.ec(&ECDSA_P384_SHA384_FIXED, 48)?)],
            ("OKP", Some("Ed25519")) => vec![(Algorithm::EdDsa, self.ed25519()?)],
            ("EC" | "OKP", None) => return Err(KeyProblem::Missing("crv")),
            _ => return Ok(None),
        };
        verifiers.retain(|(algorithm, _)| only.is_none_or(|only| only == *algorithm));
        if verifiers.is_empty() {
            return Err(KeyProblem::Algorithm);
        }
        Ok(Some(Key { kid: self.kid, verifiers }))
    }

    fn has_private_part(&self) -> bool {
        let parts = [&self.k, &self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi, &self.oth, &self.private];
        parts.into_iter().any(Option::is_some)
    }

    fn is_for_signatures(&self) -> bool {
        self.used_for.as_ref().is_none_or(|used_for| used_for == "sig")
            && self.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|operation| operation == "verify"))
    }

    /// The one algorithm that the key is for, if it says so; nothing if that is not served.
    fn algorithm(&self) -> Option<Option<Algorithm>> {
        self.alg.as_ref().map(|name| name.parse().ok()).map_or(Some(None), |algorithm| algorithm.map(Some))
    }

    fn rsa(&self) -> Result<Vec<(Algorithm, ParsedPublicKey)>, KeyProblem> {
        let (n, e) = (number("n", self.n.as_ref())?, number("e", self.e.as_ref())?);
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(KeyProblem::RsaBits(bits));
        }
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        if !is_odd(&n) || !is_odd(&e) || e == [1] || e.len() > EXPONENT_BYTES_MAX {
            return Err(KeyProblem::RsaNumbers);
        }
        let key = RsaPublicKeyComponents { n, e };
        let parsed = RsaScheme::ALL.map(|scheme| {
            let key = key.to_parsed_public_key(scheme.parameters()).map_err(|_| KeyProblem::RsaNumbers)?;
            Ok((Algorithm::Rsa(scheme), key))
        });
        parsed.into_iter().collect()
    }

    fn ec(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        coordinate_bytes: usize,
    ) -> Result<ParsedPublicKey, KeyProblem> {
        let (x, y) = (bytes("x", self.x.as_ref())?, bytes("y", self.y.as_ref())?);
        if x.len() != coordinate_bytes || y.len() != coordinate_bytes {
            return Err(KeyProblem::Point);
        }
        let point = [&[UNCOMPRESSED][..], &x, &y].concat();
        ParsedPublicKey::new(algorithm, point).map_err(|_| KeyProblem::Point)
    }

    fn ed25519(&self) -> Result<ParsedPublicKey, KeyProblem> {
        ParsedPublicKey::new(&ED25519, bytes("x", self.x.as_ref())?).map_err(|_| KeyProblem::Point)
    }
}

/// What a point begins with whose two coordinates follow (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;

fn bytes(member: &'static str, text: Option<&String>) -> Result<Vec<u8>, KeyProblem> {
    let text = text.ok_or(KeyProblem::Missing(member))?;
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyProblem::Encoding(member))
}

/// A number without leading zeros: some issuers write one.
fn number(member: &'static str, text: Option<&String>) -> Result<Vec<u8>, KeyProblem> {
    let bytes = bytes(member, text)?;
    Ok(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

impl Key {
    /// The key for this algorithm, where a token names the key so, or names none.
    pub(crate) fn verifier(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        if kid.is_some() && kid != self.kid.as_deref() {
            return None;
        }
        self.verifiers.iter().find(|(served, _)| *served == algorithm).map(|(_, key)| key)
    }
}
