//! Key sets: what is taken, passed over and refused, and that an error shows no key.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gust_access::{
    Jwks,
    jwks::{JwksError, KEYS_MAX, KeyProblem, SET_BYTES_MAX},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::issuer::{TestKey, set};

fn parse(keys: impl IntoIterator<Item = Value>) -> Result<usize, JwksError> {
    Jwks::parse(&set(keys)).map(|keys| keys.count())
}

/// What is wrong with the second key of a set.
fn problem(key: Value) -> KeyProblem {
    match parse([TestKey::rsa().jwk(), key]) {
        Err(JwksError::Key { number: 2, problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

/// An RSA key of this size, of which nobody has the private part.
fn rsa_of(bits: usize) -> Value {
    let mut n = vec![0xff; bits.div_ceil(8)];
    n[0] >>= n.len() * 8 - bits;
    json!({ "kty": "RSA", "e": "AQAB", "n": BASE64_URL_SAFE_NO_PAD.encode(n) })
}

#[test]
fn keys_for_something_else_are_passed_over() {
    let rsa = TestKey::rsa();
    let others = [
        rsa.jwk_with(json!({ "use": "enc" })),
        rsa.jwk_with(json!({ "key_ops": ["encrypt", "wrapKey"] })),
        rsa.jwk_with(json!({ "alg": "RSA-OAEP" })),
        rsa.jwk_with(json!({ "alg": "PS512" })),
        TestKey::p256().jwk_with(json!({ "crv": "P-521", "alg": "ES512" })),
        TestKey::p256().jwk_with(json!({ "crv": "secp256k1", "alg": null })),
        TestKey::ed25519().jwk_with(json!({ "crv": "X25519", "alg": null })),
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" }),
    ];
    for other in others {
        assert_eq!(parse([rsa.jwk(), other.clone()]), Ok(1), "{other}");
        assert_eq!(parse([other.clone()]), Err(JwksError::NoKey), "{other}");
    }
    assert_eq!(parse([rsa.jwk_with(json!({ "use": "sig", "key_ops": ["verify"], "x5t": "x", "new": {} }))]), Ok(1));
    assert_eq!(parse([]), Err(JwksError::NoKey));
}

#[test]
fn symmetric_keys_and_private_parts_are_refused() {
    assert_eq!(problem(json!({ "kty": "oct", "k": "c2VjcmV0" })), KeyProblem::Symmetric);
    assert_eq!(problem(json!({ "kty": "oct" })), KeyProblem::Symmetric);
    for part in ["k", "d", "p", "q", "dp", "dq", "qi", "oth", "priv"] {
        for key in [TestKey::rsa(), TestKey::p256(), TestKey::ed25519()] {
            assert_eq!(problem(key.jwk_with(json!({ part: "c2VjcmV0", "use": "enc" }))), KeyProblem::Private, "{part}");
        }
    }
}

#[test]
fn rsa_keys_are_neither_weak_nor_slow() {
    for bits in [2048, 2049, 3072, 4096] {
        assert_eq!(parse([rsa_of(bits)]), Ok(1), "{bits}");
    }
    for bits in [1, 512, 1024, 2047, 4097, 8192] {
        assert_eq!(problem(rsa_of(bits)), KeyProblem::RsaBits(bits));
    }
    let zero = rsa_of(2048)["n"].as_str().map(|n| BASE64_URL_SAFE_NO_PAD.decode(n).unwrap()).unwrap();
    let zero = BASE64_URL_SAFE_NO_PAD.encode([&[0][..], &zero].concat());
    assert_eq!(parse([TestKey::rsa().jwk_with(json!({ "n": zero }))]), Ok(1), "a leading zero is none of its bits");
    for e in [vec![], vec![0], vec![1], vec![2], vec![0, 1, 0, 0], vec![1, 0, 0, 0, 1]] {
        let key = TestKey::rsa().jwk_with(json!({ "e": BASE64_URL_SAFE_NO_PAD.encode(e) }));
        assert_eq!(problem(key), KeyProblem::RsaNumbers);
    }
    assert_eq!(parse([TestKey::rsa().jwk_with(json!({ "e": "Aw" }))]), Ok(1));
}

#[test]
fn points_are_on_their_curves() {
    let (p256, p384, ed25519) = (TestKey::p256(), TestKey::p384(), TestKey::ed25519());
    let y = p256.jwk()["y"].clone();
    for key in [
        p256.jwk_with(json!({ "x": y })),
        p256.jwk_with(json!({ "y": "" })),
        p256.jwk_with(json!({ "crv": "P-384", "alg": "ES384" })),
        p384.jwk_with(json!({ "crv": "P-256", "alg": "ES256" })),
        p384.jwk_with(json!({ "x": "AA" })),
        ed25519.jwk_with(json!({ "x": "AAAA" })),
    ] {
        assert_eq!(problem(key.clone()), KeyProblem::Point, "{key}");
    }
}

#[test]
fn members_are_there_and_fit() {
    for (key, members) in [
        (TestKey::rsa(), &["kty", "n", "e"][..]),
        (TestKey::p256(), &["kty", "crv", "x", "y"]),
        (TestKey::ed25519(), &["x"]),
    ] {
        for member in members {
            assert_eq!(problem(key.jwk_with(json!({ *member: null }))), KeyProblem::Missing(member));
        }
    }
    for text in ["AQAB=", "A", "+/8", "AQ AB", "AR"] {
        assert_eq!(problem(TestKey::rsa().jwk_with(json!({ "e": text }))), KeyProblem::Encoding("e"), "{text}");
    }
    for (key, alg) in [(TestKey::rsa(), "ES256"), (TestKey::p256(), "ES384"), (TestKey::ed25519(), "RS256")] {
        assert_eq!(problem(key.jwk_with(json!({ "alg": alg }))), KeyProblem::Algorithm, "{alg}");
    }
}

#[test]
fn a_set_is_bounded() {
    let many = |keys: usize| parse((0..keys).map(|_| TestKey::ed25519().jwk()));
    assert_eq!(many(KEYS_MAX), Ok(KEYS_MAX));
    assert_eq!(many(KEYS_MAX + 1), Err(JwksError::TooMany(KEYS_MAX + 1)));
    let mut padded = set([TestKey::ed25519().jwk()]);
    padded.resize(SET_BYTES_MAX, b' ');
    assert!(Jwks::parse(&padded).is_ok());
    padded.push(b' ');
    assert_eq!(Jwks::parse(&padded).unwrap_err(), JwksError::TooLarge(SET_BYTES_MAX + 1));
}

#[test]
fn an_error_says_where_and_shows_no_key() {
    let key = TestKey::rsa().jwk_with(json!({ "kid": "k".repeat(1000), "d": "hunter2" }));
    let error = parse([TestKey::rsa().jwk(), key]).unwrap_err().to_string();
    assert!(error.starts_with("key 2 of the set (kid \"kkk"), "{error}");
    assert!(error.contains("private part") && error.len() < 300, "{error}");
    for json in [r#"{"keys": "hunter2"}"#, r#"{"keys": [{"kty": "RSA", "d": hunter2}]}"#, r#"["hunter2"]"#, "hunter2"] {
        let error = Jwks::parse(json.as_bytes()).unwrap_err();
        assert!(matches!(error, JwksError::Form { line: 1, .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    assert!(!format!("{:?}", Jwks::parse(&set([TestKey::rsa().jwk()])).unwrap()).contains("AQAB"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Jwks::parse(&bytes).is_err());
    }

    #[test]
    fn any_members_are_read_or_refused(
        kty in "RSA|EC|OKP|oct|.{0,3}", crv in "P-256|P-384|Ed25519|.{0,5}", alg in "RS256|ES256|EdDSA|.{0,5}",
        numbers in prop::array::uniform4("[A-Za-z0-9_-]{0,400}"),
    ) {
        let [n, e, x, y] = numbers;
        let _ = parse([json!({ "kty": kty, "crv": crv, "alg": alg, "n": n, "e": e, "x": x, "y": y })]);
    }
}
