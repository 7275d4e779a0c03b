//! Tokens from outside: real keys, tokens that another library signs, and everything that must be refused.

mod issuer;
mod jwks;
mod refused;
mod tampered;
mod verified;
