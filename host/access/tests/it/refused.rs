//! Tokens that must not be taken, each for the reason that it should be.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gust_access::{JwtError, jwt_error::TOKEN_BYTES_MAX};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::issuer::{self, NOW_MS, TestKey, claims, issuers};

/// Why a token of these parts, well signed by the key, is refused.
fn refused(key: &TestKey, header: &Value, claims: &Value) -> JwtError {
    key.issuers().verify(&key.sign(header, claims), NOW_MS).unwrap_err()
}

fn encoded(header: &Value) -> String {
    [header, &claims()].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string())).join(".")
}

#[test]
fn what_is_not_signed_with_a_key_pair_is_refused() {
    let rsa = TestKey::rsa();
    for alg in
        ["none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "RS1", "PS384", "ES512", "ES256K", "rs256"]
    {
        assert_eq!(refused(&rsa, &json!({ "alg": alg }), &claims()), JwtError::Algorithm, "{alg}");
    }
    let none = encoded(&json!({ "alg": "none" }));
    for token in [format!("{none}."), format!("{none}.e30")] {
        assert_eq!(rsa.issuers().verify(&token, NOW_MS), Err(JwtError::Algorithm));
    }
}

/// The trick of RFC 8725, section 2.1: the public key is no secret, so it must not be taken for one.
#[test]
fn a_public_key_is_not_taken_for_a_shared_secret() {
    let rsa = TestKey::rsa();
    let jwk = rsa.jwk();
    let n = BASE64_URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    for secret in [n, jwk.to_string().into_bytes(), jwk["n"].as_str().unwrap().into()] {
        for (says, error) in [("HS256", JwtError::Algorithm), ("RS256", JwtError::Signature)] {
            let message = encoded(&json!({ "alg": says }));
            let key = EncodingKey::from_secret(&secret);
            let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
            assert_eq!(rsa.issuers().verify(&format!("{message}.{signature}"), NOW_MS), Err(error));
        }
    }
}

#[test]
fn the_algorithm_fits_the_key() {
    let keys = issuer::all();
    for (key, other) in keys.iter().flat_map(|key| keys.iter().map(move |other| (key, other))) {
        if key.algorithm != other.algorithm {
            let says_other = refused(key, &other.header(), &claims());
            assert_eq!(says_other, JwtError::Key, "{:?} {:?}", key.algorithm, other.algorithm);
            let signed_by_other = key.issuers().verify(&other.sign(&key.header(), &claims()), NOW_MS);
            assert_eq!(signed_by_other, Err(JwtError::Signature), "{:?} {:?}", key.algorithm, other.algorithm);
        }
    }
}

#[test]
fn the_key_is_the_one_that_is_named() {
    let (a, b) = (TestKey::rsa(), TestKey::other_rsa());
    let issuers = issuers([a.jwk_with(json!({ "kid": "a" })), b.jwk_with(json!({ "kid": "b" }))]);
    let verify = |key: &TestKey, header| issuers.verify(&key.sign(&header, &claims()), NOW_MS).map(|_| ());
    assert_eq!(verify(&b, json!({ "alg": "RS256", "kid": "b" })), Ok(()));
    assert_eq!(verify(&b, json!({ "alg": "RS256" })), Ok(()));
    assert_eq!(verify(&b, json!({ "alg": "RS256", "kid": "a" })), Err(JwtError::Signature));
    assert_eq!(verify(&b, json!({ "alg": "RS256", "kid": "c" })), Err(JwtError::Key));
    assert_eq!(verify(&b, json!({ "alg": "RS256", "kid": "" })), Err(JwtError::Key));
    let unnamed = TestKey::rsa().issuers();
    let token = a.sign(&json!({ "alg": "RS256", "kid": "a" }), &claims());
    assert_eq!(unnamed.verify(&token, NOW_MS), Err(JwtError::Key));
}

#[test]
fn a_token_without_a_name_tries_few_keys() {
    let (rsa, p256) = (TestKey::rsa(), TestKey::p256());
    let four = || (0..4).map(|at| TestKey::rsa().jwk_with(json!({ "kid": at.to_string() })));
    assert!(issuers(four().chain([p256.jwk()])).verify(&rsa.token(), NOW_MS).is_ok());
    let five = issuers(four().chain([rsa.jwk()]));
    assert_eq!(five.verify(&rsa.token(), NOW_MS), Err(JwtError::KeyUnnamed));
    assert!(five.verify(&rsa.sign(&json!({ "alg": "RS256", "kid": "3" }), &claims()), NOW_MS).is_ok());
}

#[test]
fn a_key_in_the_token_is_not_looked_at() {
    let (trusted, attacker) = (TestKey::rsa(), TestKey::other_rsa());
    let header = json!({ "alg": "RS256", "jwk": attacker.jwk(), "jku": "https://attacker.example/keys", "x5c": ["x"] });
    let token = attacker.sign(&header, &claims());
    assert_eq!(trusted.issuers().verify(&token, NOW_MS), Err(JwtError::Signature));
}

#[test]
fn extensions_are_refused() {
    let key = TestKey::ed25519();
    for crit in [json!(["b64"]), json!([]), json!(["exp"]), Value::Null, json!(1)] {
        let header = json!({ "alg": "EdDSA", "crit": crit, "b64": false });
        assert_eq!(refused(&key, &header, &claims()), JwtError::Critical);
    }
}

#[test]
fn issuer_and_audience_are_there_and_match() {
    let key = TestKey::ed25519();
    let verify = |changes: Value| key.issuers().verify(&key.token_with(changes), NOW_MS).map(|_| ());
    for iss in [Value::Null, json!("https://issuer.example/"), json!("HTTPS://ISSUER.EXAMPLE"), json!("")] {
        assert_eq!(verify(json!({ "iss": iss })), Err(JwtError::Issuer), "{iss}");
    }
    for aud in [Value::Null, json!("Shop"), json!(""), json!([]), json!(["a", "b"]), json!("shop,other")] {
        assert_eq!(verify(json!({ "aud": aud })), Err(JwtError::Audience), "{aud}");
    }
    assert_eq!(verify(json!({ "aud": ["other", "shop"] })), Ok(()));
    assert_eq!(verify(json!({ "sub": "a".repeat(255) })), Ok(()));
    assert_eq!(verify(json!({ "sub": "a".repeat(256) })), Err(JwtError::Subject));
    assert_eq!(verify(json!({ "sub": null })), Ok(()));
}

#[test]
fn what_is_no_token_is_refused() {
    let key = TestKey::ed25519();
    let (header, body) = (key.header().to_string(), claims().to_string());
    let good = key.token();
    let twice = body.replacen('{', r#"{"exp":9999999999,"#, 1);
    let signed = [
        key.sign_text("", &body),
        key.sign_text("[]", &body),
        key.sign_text("{}", &body),
        key.sign_text(r#"{"alg":null}"#, &body),
        key.sign_text(r#"{"alg":"EdDSA","alg":"EdDSA"}"#, &body),
        key.sign_text(r#"{"alg":"EdDSA","kid":1}"#, &body),
        key.sign_text(&header, ""),
        key.sign_text(&header, "[]"),
        key.sign_text(&header, &twice),
        key.sign_text(&header, &format!("{body}x")),
        key.sign_text(&header, &"[".repeat(5000)),
    ];
    let with = |changes: Value| key.token_with(changes);
    let wrong_types = [
        with(json!({ "exp": "9999999999" })),
        with(json!({ "iss": ["https://issuer.example"] })),
        with(json!({ "aud": 1 })),
        with(json!({ "aud": ["shop", 1] })),
        with(json!({ "sub": 1 })),
        with(json!({ "nbf": true })),
    ];
    let (message, signature) = good.rsplit_once('.').unwrap();
    let cut =
        ["".to_owned(), "..".to_owned(), message.to_owned(), format!("{good}.x"), format!("{message}..{signature}")];
    let padded = [format!("{good}=="), format!(" {good}"), format!("{good}\n"), good.replacen('.', "=.", 1)];
    for token in signed.into_iter().chain(wrong_types).chain(cut).chain(padded) {
        assert_eq!(key.issuers().verify(&token, NOW_MS), Err(JwtError::Malformed), "{token}");
    }
}

#[test]
fn endless_tokens_are_refused_unread() {
    let key = TestKey::ed25519();
    let of_length = |filler: usize| key.token_with(json!({ "filler": "x".repeat(filler) }));
    let most = (1..).map(of_length).take_while(|token| token.len() <= TOKEN_BYTES_MAX).last().unwrap();
    assert!(most.len() > TOKEN_BYTES_MAX - 3);
    assert!(key.issuers().verify(&most, NOW_MS).is_ok());
    for token in [of_length(6000), "x".repeat(TOKEN_BYTES_MAX + 1)] {
        assert!(token.len() > TOKEN_BYTES_MAX);
        assert_eq!(key.issuers().verify(&token, NOW_MS), Err(JwtError::TooLarge));
    }
}

proptest! {
    #[test]
    fn any_text_is_refused(text in ".{0,200}") {
        prop_assert!(TestKey::ed25519().issuers().verify(&text, NOW_MS).is_err());
    }

    #[test]
    fn any_parts_are_refused(
        header in r#"\{("(alg|kid|typ|crit)":("EdDSA"|"JWT"|null|\[\]|1),?){0,4}\}"#,
        claims in prop::collection::vec(any::<u8>(), 0..100),
        signature in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let parts = [header.as_bytes(), &claims, &signature].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        prop_assert!(TestKey::ed25519().issuers().verify(&parts.join("."), NOW_MS).is_err());
    }

    #[test]
    fn any_claims_are_taken_or_refused(name in "iss|aud|sub|exp|nbf|iat", value in any_json()) {
        let key = TestKey::ed25519();
        if let Ok(claims) = key.issuers().verify(&key.token_with(json!({ name: value })), NOW_MS) {
            prop_assert!(claims.expires_unix_ms > NOW_MS);
            prop_assert_eq!(&*claims.issuer, issuer::ISSUER);
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f64>().prop_map(|number| json!(number)),
        any::<i64>().prop_map(|number| json!(number)),
        ".{0,20}".prop_map(Value::String),
        any::<bool>().prop_map(Value::Bool),
        prop::collection::vec("[a-z]{0,5}", 0..4).prop_map(|texts| json!(texts)),
        Just(json!({ "a": {} })),
    ]
}
