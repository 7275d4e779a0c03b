//! A JSON Web Token as it is sent (RFC 7519 in the compact form of RFC 7515), taken apart but not believed.
//!
//! Of its header only `alg`, `kid` and `typ` mean something here. A key that comes with a token, or a place to fetch one
//! (`jwk`, `jku`, `x5c`, `x5u`), is never looked at; `crit` asks for something that is not served, so it is refused.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{algorithm::Algorithm, claims::Claimed, jwt_error::JwtError};

/// What a token may say that it is: what it is made for, not a receipt of a logout or a proof of something else, that the
/// same key signed (RFC 8725, section 3.11).
const TYPES: [&str; 2] = ["JWT", "at+jwt"];

/// A token in its parts. Nothing that it says is known to be true.
pub(crate) struct Jwt<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    pub(crate) claimed: Claimed,
    /// What was signed.
    pub(crate) message: &'a [u8],
    pub(crate) signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default, deserialize_with = "is_present")]
    crit: bool,
}

/// Whatever it is, `null` too.
fn is_present<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

impl<'a> Jwt<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, JwtError> {
        let (message, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(JwtError::Malformed)?;
        let Header { alg, kid, typ, crit } = json(header)?;
        let algorithm = alg.parse().map_err(|_| JwtError::Algorithm)?;
        if crit {
            return Err(JwtError::Critical);
        }
        if typ.is_some_and(|typ| !is_type(&typ)) {
            return Err(JwtError::Type);
        }
        let (claimed, signature) = (json(claims)?, bytes(signature)?);
        Ok(Self { algorithm, kid, claimed, message: message.as_bytes(), signature })
    }
}

/// `application/` may be left out of a type, and case does not count (RFC 7515, section 4.1.9).
fn is_type(typ: &str) -> bool {
    const TREE: &str = "application/";
    let is_long = typ.get(..TREE.len()).is_some_and(|tree| tree.eq_ignore_ascii_case(TREE));
    let name = if is_long { typ.get(TREE.len()..).unwrap_or_default() } else { typ };
    TYPES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// There is one way to write some bytes: padding and left-over bits are refused.
fn bytes(part: &str) -> Result<Vec<u8>, JwtError> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::Malformed)
}

fn json<T: DeserializeOwned>(part: &str) -> Result<T, JwtError> {
    serde_json::from_slice(&bytes(part)?).map_err(|_| JwtError::Malformed)
}
