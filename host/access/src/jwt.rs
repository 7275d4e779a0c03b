//! A JSON Web Token as it is sent (RFC 7519 in the compact form of RFC 7515), taken apart but not believed; and all that can
//! be wrong with one.
//!
//! Of its header only `alg`, `kid` and `typ` mean something here. A key that comes with a token, or a place to fetch one
//! (`jwk`, `jku`, `x5c`, `x5u`), is never looked at; `crit` asks for something that is not served, so it is refused.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{algorithm::Algorithm, claims::Claimed};

/// The longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// What a token may say that it is: what it is made for, not a receipt of a logout or a proof of something else, that the
/// same key signed (RFC 8725, section 3.11).
const TYPES: [&str; 2] = ["JWT", "at+jwt"];

/// Why a token is refused. Its message is for the client and repeats nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// It is longer than any that is taken.
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes; ask for one with fewer claims")]
    TooLarge,
    /// It is something else.
    #[error(
        "this is not a JSON Web Token; send the one you got from the issuer, whole, as `Authorization: Bearer <token>`"
    )]
    Malformed,
    /// Its algorithm is not in the list.
    #[error("the token is signed in a way that is not taken; RS256, RS384, RS512, PS256, ES256, ES384 and EdDSA are")]
    Algorithm,
    /// It asks for an extension.
    #[error("the token's header has \"crit\", and no extension is served; ask the issuer for a token without it")]
    Critical,
    /// It is made for something else.
    #[error("the token is of another type than JWT or at+jwt; send an access token or an ID token")]
    Type,
    /// Its issuer is not one of those that are trusted.
    #[error("the token is not from an issuer that is trusted here; get one from the issuer that was named to you")]
    Issuer,
    /// The issuer has no such key.
    #[error("the token is signed with a key that its issuer has not, or no longer; get a new token")]
    Key,
    /// Too many keys could be meant.
    #[error("the token does not say which of its issuer's keys signed it; ask the issuer for tokens with \"kid\"")]
    KeyUnnamed,
    /// No key that may be meant made the signature.
    #[error("the token's signature is wrong: it was changed, or signed with another key; get a new token")]
    Signature,
    /// It is for somebody else.
    #[error("the token is for another audience; ask the issuer for one that is for this function")]
    Audience,
    /// It would be good for ever.
    #[error("the token never expires (it has no \"exp\"); ask the issuer for one that does")]
    NoExpiry,
    /// Its time is over.
    #[error("the token has expired; get a new one")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet; wait, or have the clocks of the issuer and this host set right")]
    NotYetValid,
    /// Its subject is longer than OpenID Connect allows.
    #[error("the token's subject is longer than 255 bytes; ask the issuer for a shorter one")]
    Subject,
}

impl JwtError {
    /// One word, the same for every occurrence, for logs and metrics.
    pub fn reason(self) -> &'static str {
        match self {
            JwtError::TooLarge => "too_large",
            JwtError::Malformed => "malformed",
            JwtError::Algorithm => "algorithm",
            JwtError::Critical => "critical",
            JwtError::Type => "type",
            JwtError::Issuer => "issuer",
            JwtError::Key => "key",
            JwtError::KeyUnnamed => "key_unnamed",
            JwtError::Signature => "signature",
            JwtError::Audience => "audience",
            JwtError::NoExpiry => "no_expiry",
            JwtError::Expired => "expired",
            JwtError::NotYetValid => "not_yet_valid",
            JwtError::Subject => "subject",
        }
    }
}

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
