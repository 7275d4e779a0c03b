//! Tokens from outside: real keys, tokens that another library signs, and everything that must be refused.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod issuer;
mod jwks;
mod refused;
mod tampered;
mod verified;
