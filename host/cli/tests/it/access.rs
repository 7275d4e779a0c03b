//! Who may call a function: everyone, whoever has a key or a JSON Web Token, or other functions only.

use serde_json::json;
use ureq::http::Request;

use crate::fixture::{Answer, Host, agent, send};

fn call(host: &Host, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(format!("http://{}{path}", host.data));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(&agent(), request.body(()).unwrap())
}

fn token(host: &Host, name: &str, scope: &str) -> String {
    let document = json!({"name": name, "scopes": [scope]}).to_string();
    let made = host.api("POST", "/v1/tokens", "application/json", document.as_bytes());
    made.json()["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_function_that_takes_a_key_is_called_with_one() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "access = \"key\"");
    let none = call(&host, "/hostile/headers", &[]);
    assert_eq!((none.status, none.code().as_str()), (401, "access.key_required"));
    assert!(none.header("www-authenticate").starts_with("Bearer"));
    assert!(!none.headers.contains_key("server-timing"), "no instance was spent on it");
    let wrong = format!("gust_{}_{}", "0".repeat(12), "0".repeat(64));
    assert_eq!(call(&host, "/hostile/headers", &[("x-gust-key", &wrong)]).status, 401);
    let other = token(&host, "other", "invoke:function/other");
    assert_eq!(call(&host, "/hostile/headers", &[("x-gust-key", &other)]).code(), "access.forbidden");
    let reader = token(&host, "reader", "read:*");
    assert_eq!(call(&host, "/hostile/headers", &[("x-gust-key", &reader)]).code(), "access.forbidden");
    let key = token(&host, "caller", "invoke:function/hostile");
    let bearer = format!("Bearer {key}");
    for header in [("x-gust-key", &*key), ("authorization", &*bearer)] {
        let answer = call(&host, "/hostile/headers", &[header]);
        assert!(answer.status == 200 && !answer.text().contains(&key), "{answer:?}");
    }
    // However it is sent, the function does not see it.
    let lower = format!("bearer {key}");
    let answer = call(&host, "/hostile/headers", &[("x-gust-key", &key), ("authorization", &lower)]);
    assert!(answer.status == 200 && !answer.text().contains(&key), "{answer:?}");
    let twice = call(&host, "/hostile/headers", &[("authorization", &bearer), ("authorization", "Basic x")]);
    assert_eq!((twice.status, twice.code().as_str()), (400, "request.malformed"));
    host.api("DELETE", "/v1/tokens/caller", "", b"");
    assert_eq!(call(&host, "/hostile/headers", &[("x-gust-key", &key)]).status, 401, "revoked at once");
}

#[test]
fn a_private_function_is_not_there_for_clients() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "access = \"private\"");
    let (hidden, missing) = (host.get("/hostile/state"), host.get("/nobody/state"));
    assert_eq!(hidden.status, 404);
    let told =
        |answer: &Answer| answer.json()["detail"].as_str().unwrap().replace("hostile", "X").replace("nobody", "X");
    assert_eq!(told(&hidden), told(&missing));
    assert_eq!(call(&host, "/hostile/state", &[("x-gust-key", &host.token)]).status, 404);
    for reference in ["1", "99", "live", "other", "+1", "A B"] {
        let answer = host.get(&format!("/hostile@{}/state", reference.replace(' ', "%20")));
        assert_eq!((answer.status, told(&answer)), (404, told(&missing)), "{reference}");
    }
    // Nor is a version that is kept and nobody's.
    host.deploy_as("hostile", "hostile", "access = \"private\"\n[env]\nA = \"1\"");
    assert_eq!(told(&host.get("/hostile@1/state")), told(&missing));
}

mod jwt {
    use std::time::{SystemTime, UNIX_EPOCH};

    use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};

    use super::*;

    const ISSUER: &str = "https://login.example.com";

    fn key(der: &str) -> EncodingKey {
        let path = crate::fixture::project(&format!("host/access/tests/keys/{der}.der"));
        EncodingKey::from_rsa_der(&std::fs::read(path).unwrap())
    }

    fn jwks(key: &EncodingKey) -> serde_json::Value {
        let mut jwk = Jwk::from_encoding_key(key, Algorithm::RS256).unwrap();
        jwk.common.key_id = Some("k1".to_owned());
        json!({"keys": [jwk]})
    }

    fn signed(key: &EncodingKey, audience: &str, lives_s: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::RS256) };
        let claims = json!({"iss": ISSUER, "aud": audience, "sub": "ada", "exp": now + lives_s});
        format!("Bearer {}", jsonwebtoken::encode(&header, &claims, key).unwrap())
    }

    #[test]
    fn a_function_that_takes_a_jwt_is_called_with_one_of_its_apps_issuer() {
        let host = Host::start();
        host.deploy_as("hostile", "hostile", "access = \"jwt\"");
        let (ours, others) = (key("rsa2048"), key("rsa2048-other"));
        let good = signed(&ours, "shop", 600);
        let ask = |bearer: &str| call(&host, "/hostile/headers", &[("authorization", bearer)]);
        assert_eq!(ask(&good).code(), "access.jwt_required", "no issuer is believed yet");
        let spec = json!({"issuer": ISSUER, "audiences": ["shop"], "jwks": jwks(&ours)}).to_string();
        let set = host.api("PUT", "/v1/apps/default/issuers/login", "application/json", spec.as_bytes());
        assert_eq!(set.status, 204, "{set:?}");
        let answer = ask(&good);
        assert!(
            answer.status == 200 && answer.text().contains("authorization"),
            "it is the function's to read: {answer:?}"
        );
        let mut tampered = good.clone();
        tampered.replace_range(
            good.len() - 20..good.len() - 19,
            if good.as_bytes()[good.len() - 20] == b'A' { "B" } else { "A" },
        );
        for (bearer, what) in [
            ("", "none"),
            ("Bearer x.y.z", "no token"),
            (&*tampered, "tampered"),
            (&*signed(&others, "shop", 600), "another key"),
            (&*signed(&ours, "elsewhere", 600), "another audience"),
            (&*signed(&ours, "shop", -600), "expired"),
        ] {
            let answer = ask(bearer);
            assert_eq!((answer.status, answer.code().as_str()), (401, "access.jwt_required"), "{what}");
        }
        // Keys change without a deploy.
        let spec = json!({"issuer": ISSUER, "audiences": ["shop"], "jwks": jwks(&others)}).to_string();
        host.api("PUT", "/v1/apps/default/issuers/login", "application/json", spec.as_bytes());
        assert_eq!(ask(&good).status, 401);
        assert_eq!(ask(&signed(&others, "shop", 600)).status, 200);
        let private = json!({"issuer": ISSUER, "audiences": [], "jwks": {"keys": []}}).to_string();
        let refused = host.api("PUT", "/v1/apps/default/issuers/x", "application/json", private.as_bytes());
        assert_eq!(refused.code(), "issuer.invalid");
    }
}
