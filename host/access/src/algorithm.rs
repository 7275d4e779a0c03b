//! The algorithms that a token may be signed with, and the keys that each takes (RFC 7518, section 3; RFC 8037).
//!
//! Only signatures are here. `none` has no key and HMAC's key can make what it checks, so neither is in the list, and a token
//! that asks for one is refused before any key is looked at.

use std::str::FromStr;

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RsaParameters,
};

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rsa(RsaScheme),
    Es256,
    Es384,
    EdDsa,
}

/// How RSA pads and digests. One key serves all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RsaScheme {
    Pkcs1Sha256,
    Pkcs1Sha384,
    Pkcs1Sha512,
    PssSha256,
}

impl RsaScheme {
    pub(crate) const ALL: [RsaScheme; 4] =
        [RsaScheme::Pkcs1Sha256, RsaScheme::Pkcs1Sha384, RsaScheme::Pkcs1Sha512, RsaScheme::PssSha256];

    pub(crate) fn parameters(self) -> &'static RsaParameters {
        match self {
            RsaScheme::Pkcs1Sha256 => &RSA_PKCS1_2048_8192_SHA256,
            RsaScheme::Pkcs1Sha384 => &RSA_PKCS1_2048_8192_SHA384,
            RsaScheme::Pkcs1Sha512 => &RSA_PKCS1_2048_8192_SHA512,
            RsaScheme::PssSha256 => &RSA_PSS_2048_8192_SHA256,
        }
    }
}

/// A name that is not in the list.
#[derive(Debug)]
pub(crate) struct NotServed;

impl FromStr for Algorithm {
    type Err = NotServed;

    fn from_str(name: &str) -> Result<Self, NotServed> {
        Ok(match name {
            "RS256" => Algorithm::Rsa(RsaScheme::Pkcs1Sha256),
            "RS384" => Algorithm::Rsa(RsaScheme::Pkcs1Sha384),
            "RS512" => Algorithm::Rsa(RsaScheme::Pkcs1Sha512),
            "PS256" => Algorithm::Rsa(RsaScheme::PssSha256),
            "ES256" => Algorithm::Es256,
            "ES384" => Algorithm::Es384,
            "EdDSA" => Algorithm::EdDsa,
            _ => return Err(NotServed),
        })
    }
}
