//! Good tokens are taken, for as long as they are good.

use std::sync::Arc;

use gust_access::{Claims, Issuer, Issuers, Jwks, JwtError, issuers::IssuersError};
use serde_json::json;

use crate::issuer::{self, AUDIENCE, ISSUER, NOW_MS, NOW_S, TestKey, set};

fn expected() -> Claims {
    Claims { issuer: ISSUER.into(), subject: Some("ada".into()), expires_unix_ms: NOW_MS + 3_600_000 }
}

#[test]
fn every_algorithm_is_taken() {
    for key in issuer::all() {
        assert_eq!(*key.issuers().verify(&key.token(), NOW_MS).unwrap(), expected(), "{:?}", key.algorithm);
    }
}

#[test]
fn one_set_serves_all_of_its_keys() {
    let keys = [TestKey::rsa(), TestKey::p256(), TestKey::p384(), TestKey::ed25519()];
    let jwks = keys.iter().enumerate().map(|(at, key)| key.jwk_with(json!({ "kid": at.to_string(), "alg": null })));
    let issuers = issuer::issuers(jwks);
    for (at, key) in keys.iter().enumerate() {
        for header in [json!({}), json!({ "kid": at.to_string() })] {
            let mut header = header;
            header["alg"] = json!(key.algorithm);
            issuers.verify(&key.sign(&header, &issuer::claims()), NOW_MS).unwrap();
        }
    }
}

/// What RFC 7515 signs in its appendices has no audience; that is only said of what has a good signature.
#[test]
fn the_examples_of_the_rfc_are_signed_well() {
    let rsa = json!({ "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-\
        Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXnd\
        S5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NA\
        co9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" });
    let ec = json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
    let keys = Jwks::parse(&set([rsa, ec])).unwrap();
    let joe = Issuer { issuer: "joe".to_owned(), audiences: vec!["x".to_owned()], keys };
    let issuers = Issuers::new(vec![joe]).unwrap();
    let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    for (header, signature) in [
        (
            "eyJhbGciOiJSUzI1NiJ9",
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CU\
             Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO\
             --xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN\
             _IoypGlUPQGe77Rw",
        ),
        (
            "eyJhbGciOiJFUzI1NiJ9",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
    ] {
        let verify = |signature: &str| issuers.verify(&format!("{header}.{claims}.{signature}"), 0);
        assert_eq!(verify(signature), Err(JwtError::Audience));
        assert_eq!(verify(&signature.replacen('Q', "R", 1)), Err(JwtError::Signature));
    }
}

#[test]
fn types_of_tokens_are_told_apart() {
    let key = TestKey::ed25519();
    let verify = |typ: &str| {
        let header = json!({ "alg": "EdDSA", "typ": typ });
        key.issuers().verify(&key.sign(&header, &issuer::claims()), NOW_MS)
    };
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt", "Application/JWT"] {
        assert!(verify(typ).is_ok(), "{typ}");
    }
    for typ in ["", "logout+jwt", "dpop+jwt", "application/", "application/x", "é", "text/JWT"] {
        assert_eq!(verify(typ), Err(JwtError::Type), "{typ}");
    }
}

#[test]
fn a_token_is_good_within_its_times() {
    let key = TestKey::ed25519();
    let issuers = key.issuers();
    let verify = |changes, now_ms| issuers.verify(&key.token_with(changes), now_ms).map(|_| ());
    assert_eq!(verify(json!({}), NOW_MS + 3_599_999), Ok(()));
    assert_eq!(verify(json!({ "iat": null }), NOW_MS), Ok(()));
    assert_eq!(verify(json!({ "exp": NOW_S as f64 + 0.5 }), NOW_MS + 499), Ok(()));
    assert_eq!(verify(json!({ "exp": NOW_S as f64 + 0.25 }), NOW_MS + 250), Err(JwtError::Expired));
    assert_eq!(verify(json!({ "exp": NOW_S }), NOW_MS), Err(JwtError::Expired));
    assert_eq!(verify(json!({ "exp": -1 }), 0), Err(JwtError::Expired));
    assert_eq!(verify(json!({ "exp": null }), NOW_MS), Err(JwtError::NoExpiry));
    assert_eq!(verify(json!({ "exp": 1e300, "sub": "for ever" }), u64::MAX - 1), Ok(()));
    for begins in ["nbf", "iat"] {
        assert_eq!(verify(json!({ begins: NOW_S + 60 }), NOW_MS), Ok(()), "{begins}");
        assert_eq!(verify(json!({ begins: NOW_S + 61 }), NOW_MS), Err(JwtError::NotYetValid), "{begins}");
        assert_eq!(verify(json!({ begins: -5, "jti": 1 }), NOW_MS), Ok(()), "{begins}");
    }
}

#[test]
fn a_remembered_token_expires_all_the_same() {
    for key in issuer::all() {
        let (issuers, token) = (key.issuers(), key.token());
        let first = issuers.verify(&token, NOW_MS).unwrap();
        let second = issuers.verify(&token, NOW_MS + 3_599_999).unwrap();
        assert!(Arc::ptr_eq(&first, &second), "it was verified twice");
        for _ in 0..2 {
            assert_eq!(issuers.verify(&token, NOW_MS + 3_600_000), Err(JwtError::Expired));
        }
    }
}

#[test]
fn other_issuers_remember_nothing() {
    let (key, token) = (TestKey::rsa(), TestKey::rsa().token());
    key.issuers().verify(&token, NOW_MS).unwrap();
    let changed = issuer::issuers([TestKey::other_rsa().jwk()]);
    assert_eq!(changed.verify(&token, NOW_MS), Err(JwtError::Signature));
}

#[test]
fn each_issuer_has_its_own_keys_and_audiences() {
    let (a, b) = (TestKey::rsa(), TestKey::other_rsa());
    let issuer = |name: &str, audience: &str, key: &TestKey| Issuer {
        issuer: name.to_owned(),
        audiences: vec![audience.to_owned(), "both".to_owned()],
        keys: Jwks::parse(&set([key.jwk()])).unwrap(),
    };
    let issuers = Issuers::new(vec![issuer("a", "for-a", &a), issuer("b", "for-b", &b)]).unwrap();
    let verify = |key: &TestKey, iss: &str, aud: &str| {
        let token = key.token_with(json!({ "iss": iss, "aud": aud }));
        issuers.verify(&token, NOW_MS).map(|claims| claims.issuer.to_string())
    };
    assert_eq!(verify(&a, "a", "for-a"), Ok("a".to_owned()));
    assert_eq!(verify(&b, "b", "both"), Ok("b".to_owned()));
    assert_eq!(verify(&a, "b", "for-b"), Err(JwtError::Signature));
    assert_eq!(verify(&a, "a", "for-b"), Err(JwtError::Audience));
    assert_eq!(verify(&a, "c", "for-a"), Err(JwtError::Issuer));
}

#[test]
fn issuers_are_told_apart_and_bound_to_an_audience() {
    let issuer = |name: &str, audiences: &[&str]| Issuer {
        issuer: name.to_owned(),
        audiences: audiences.iter().map(|audience| (*audience).to_owned()).collect(),
        keys: Jwks::parse(&set([TestKey::ed25519().jwk()])).unwrap(),
    };
    let error = |list| Issuers::new(list).unwrap_err();
    assert_eq!(error(vec![issuer("", &[AUDIENCE])]), IssuersError::NoName);
    assert_eq!(error(vec![issuer("a", &[])]), IssuersError::NoAudience("a".to_owned()));
    assert_eq!(error(vec![issuer("a", &["x", ""])]), IssuersError::NoAudience("a".to_owned()));
    assert_eq!(error(vec![issuer("a", &["x"]), issuer("a", &["y"])]), IssuersError::Twice("a".to_owned()));
    let none = Issuers::new(vec![]).unwrap();
    assert_eq!(none.verify(&TestKey::ed25519().token(), NOW_MS), Err(JwtError::Issuer));
}
