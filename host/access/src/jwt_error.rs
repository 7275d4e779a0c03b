//! Why a JSON Web Token is refused.

/// The longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

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
