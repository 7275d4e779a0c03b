//! What it takes to know who calls: the check of an API token, and of a JSON Web Token that is new or that is remembered.
//!
//! New tokens are also checked with the crate `jsonwebtoken`, in turns. It has the same signatures from the same library, and
//! reads its keys anew for each token.

use std::{hint::black_box, time::Instant};

use anyhow::Result;
use gust_access::{Issuer, Issuers, Jwks, StoredToken, TokenBook, TokenText};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, jwk::Jwk};
use serde_json::{Value, json};

use crate::{machine::Machine, report::Table, statistics::median};

const ROUNDS: usize = 15;

/// New tokens a round. Together they are fewer than are remembered, so none is forgotten meanwhile.
const NEW_TOKENS: usize = 200;

/// Checks a round of what takes far less than a signature.
const QUICK_CHECKS: usize = 20_000;

/// API tokens that the host knows.
const KNOWN_TOKENS: u8 = 100;

const ROOT: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

const NOW_MS: u64 = 1_800_000_000_000;

/// Writes the table to `target/bench`.
pub fn run() -> Result<()> {
    let mut table = Table::new(&["check of", "us", "`jsonwebtoken`, us"]);
    api_tokens(&mut table);
    let rsa = EncodingKey::from_rsa_der(include_bytes!("../../host/access/tests/keys/rsa2048.der"));
    let p256 = EncodingKey::from_ec_der(include_bytes!("../../host/access/tests/keys/p256.der"));
    let ed25519 = EncodingKey::from_ed_der(include_bytes!("../../host/access/tests/keys/ed25519.der"));
    for (what, algorithm, key) in [
        ("a new JWT, RS256 (2048 bits)", Algorithm::RS256, &rsa),
        ("a new JWT, ES256", Algorithm::ES256, &p256),
        ("a new JWT, EdDSA", Algorithm::EdDSA, &ed25519),
    ] {
        new_tokens(&mut table, what, &Signer::new(algorithm, key));
    }
    remembered(&mut table, &Signer::new(Algorithm::RS256, &rsa));
    let heading =
        format!("{}; one thread; medians of {ROUNDS} rounds. Made by `cargo xtask bench access`.", Machine::here());
    table.write("access", &heading)
}

fn api_tokens(table: &mut Table) {
    let texts: Vec<TokenText> = (0..KNOWN_TOKENS).map(|byte| TokenText::from_random(&[byte; 38])).collect();
    let stored = texts.iter().enumerate().map(|(number, text)| StoredToken {
        name: format!("token-{number}").parse().unwrap(),
        id: text.id(),
        secret_hash: text.hash(),
        scopes: ["deploy:app/shop".parse().unwrap()].into_iter().collect(),
        created_unix_ms: 0,
        expires_unix_ms: Some(NOW_MS + 1),
    });
    let book = TokenBook::new(ROOT, stored).unwrap();
    let unknown = TokenText::from_random(&[KNOWN_TOKENS; 38]);
    for (what, text, is_known) in [
        ("an API token", texts[0].expose(), true),
        ("an API token with an id that nobody has", unknown.expose(), false),
        ("the admin token", ROOT, true),
    ] {
        let check = |_| assert_eq!(book.check(black_box(text.as_bytes()), NOW_MS).is_ok(), is_known);
        let micros = (0..ROUNDS).map(|_| micros_each(QUICK_CHECKS, check)).collect();
        table.row(&[what.to_owned(), format!("{:.3}", median(micros)), String::new()]);
    }
}

/// An issuer and what the two sides know of it.
struct Signer<'a> {
    key: &'a EncodingKey,
    algorithm: Algorithm,
    issuers: Issuers,
    public: DecodingKey,
    validation: Validation,
}

impl<'a> Signer<'a> {
    fn new(algorithm: Algorithm, key: &'a EncodingKey) -> Self {
        let jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
        let keys = Jwks::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap();
        let issuer = Issuer { issuer: "https://issuer.example".to_owned(), audiences: vec!["shop".to_owned()], keys };
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&["https://issuer.example"]);
        validation.set_audience(&["shop"]);
        // It would take the time from the clock.
        validation.validate_exp = false;
        let issuers = Issuers::new(vec![issuer]).unwrap();
        Self { key, algorithm, issuers, public: DecodingKey::from_jwk(&jwk).unwrap(), validation }
    }

    fn token(&self, number: usize) -> String {
        let seconds = NOW_MS / 1000;
        let claims = json!({
            "iss": "https://issuer.example", "aud": "shop", "sub": format!("user-{number}"),
            "iat": seconds, "exp": seconds + 3600, "scope": "openid profile email",
        });
        jsonwebtoken::encode(&Header::new(self.algorithm), &claims, self.key).unwrap()
    }
}

fn new_tokens(table: &mut Table, what: &str, signer: &Signer) {
    let mut micros = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        let tokens: Vec<String> = (0..NEW_TOKENS).map(|number| signer.token(round * NEW_TOKENS + number)).collect();
        micros[0].push(micros_each(NEW_TOKENS, |at| {
            black_box(signer.issuers.verify(&tokens[at], NOW_MS)).unwrap();
        }));
        micros[1].push(micros_each(NEW_TOKENS, |at| {
            black_box(jsonwebtoken::decode::<Value>(&tokens[at], &signer.public, &signer.validation)).unwrap();
        }));
    }
    let [ours, theirs] = micros.map(median);
    table.row(&[what.to_owned(), format!("{ours:.1}"), format!("{theirs:.1}")]);
}

fn remembered(table: &mut Table, signer: &Signer) {
    let tokens: Vec<String> = (0..NEW_TOKENS).map(|number| signer.token(number)).collect();
    let check = |at: usize| {
        black_box(signer.issuers.verify(&tokens[at % NEW_TOKENS], NOW_MS)).unwrap();
    };
    micros_each(NEW_TOKENS, check);
    let micros = (0..ROUNDS).map(|_| micros_each(QUICK_CHECKS, check)).collect();
    table.row(&["a remembered JWT".to_owned(), format!("{:.2}", median(micros)), String::new()]);
}

fn micros_each(times: usize, check: impl Fn(usize)) -> f64 {
    let began = Instant::now();
    (0..times).for_each(check);
    began.elapsed().as_secs_f64() * 1e6 / times as f64
}
