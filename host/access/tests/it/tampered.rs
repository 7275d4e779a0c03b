//! A token of which anything was changed is not taken, whatever it was.

use gust_access::Issuers;

use crate::issuer::{self, NOW_MS};

fn is_taken(issuers: &Issuers, token: &[u8]) -> bool {
    str::from_utf8(token).is_ok_and(|token| issuers.verify(token, NOW_MS).is_ok())
}

#[test]
fn no_bit_of_a_token_can_be_flipped() {
    for key in issuer::all() {
        let (issuers, token) = (key.issuers(), key.token());
        assert!(is_taken(&issuers, token.as_bytes()));
        for (at, bit) in (0..token.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut tampered = token.clone().into_bytes();
            tampered[at] ^= 1 << bit;
            assert!(!is_taken(&issuers, &tampered), "{:?}: byte {at}, bit {bit}", key.algorithm);
        }
    }
}

#[test]
fn no_byte_of_a_token_can_be_left_out_or_doubled() {
    for key in issuer::all() {
        let (issuers, token) = (key.issuers(), key.token().into_bytes());
        for at in 0..token.len() {
            let without = [&token[..at], &token[at + 1..]].concat();
            let doubled = [&token[..=at], &token[at..]].concat();
            assert!(!is_taken(&issuers, &without) && !is_taken(&issuers, &doubled), "{:?}: byte {at}", key.algorithm);
        }
    }
}

#[test]
fn no_part_of_another_token_fits() {
    for key in issuer::all() {
        let issuers = key.issuers();
        let [a, b] = ["ada", "bob"].map(|subject| key.token_with(serde_json::json!({ "sub": subject })));
        let [a, b] = [&a, &b].map(|token| token.rsplit_once('.').unwrap());
        for (message, signature) in [(a.0, b.1), (b.0, a.1)] {
            assert!(!is_taken(&issuers, format!("{message}.{signature}").as_bytes()), "{:?}", key.algorithm);
        }
    }
}
