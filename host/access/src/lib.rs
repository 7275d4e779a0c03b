//! Who may do what: scopes, API tokens, JSON Web Tokens, and how secrets are sealed.
//!
//! Everything here is pure, as in `gust-core`: no files, sockets or clocks. The time and random bytes are arguments, keys and
//! tokens come in as text, a decision or an error that teaches goes out. Nothing that a token or a key is made of is ever in
//! an error or in what `Debug` shows.

mod algorithm;
pub mod claims;
pub mod issuers;
mod jwk;
pub mod jwks;
mod jwt;
pub mod jwt_error;
pub mod scope;
pub mod seal;
pub mod secret;
pub mod token;
pub mod token_book;

pub use claims::Claims;
pub use issuers::{Issuer, Issuers};
pub use jwks::Jwks;
pub use jwt_error::JwtError;
pub use scope::{Action, Resource, Scope, Scopes, Target};
pub use seal::{SealedPlace, SealingKey};
pub use secret::SecretValue;
pub use token::{StoredToken, TokenId, TokenText};
pub use token_book::{Grant, TokenBook, TokenError};
