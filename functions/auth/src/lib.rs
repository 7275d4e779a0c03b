//! Issues and checks signed tokens: the function that is only asked for occasionally.

pub mod token;

use std::{
    env,
    time::{SystemTime, UNIX_EPOCH},
};

use gust_sdk::{
    Error, FromRequest, HeaderMap, IntoResponse, Json, Method, PathRest, Request, Response, StatusCode, handler, header,
};
use serde::{Deserialize, Serialize};
use token::{Claims, Key};

/// How long a token lives where its caller does not say, in seconds.
const TTL_S_DEFAULT: u64 = 3_600;

/// The longest life, in seconds.
const TTL_S_MAX: u64 = 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    sub: String,
    #[serde(default = "default_ttl_s")]
    ttl_s: u64,
    #[serde(default)]
    claims: serde_json::Map<String, serde_json::Value>,
}

fn default_ttl_s() -> u64 {
    TTL_S_DEFAULT
}

#[derive(Serialize)]
struct Issued {
    token: String,
    expires_unix_s: u64,
}

/// `POST /auth/token`, `GET /auth/verify`
#[handler]
fn auth(method: Method, path: PathRest, request: Request) -> Result<Response, Error> {
    let key = Key::new(env::var("AUTH_KEY").unwrap_or_default().as_bytes())?;
    let now_unix_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    answer(&method, &path.0, request, &key, now_unix_s)
}

/// The same with its key and clock given, for tests.
fn answer(method: &Method, path: &str, request: Request, key: &Key, now_unix_s: u64) -> Result<Response, Error> {
    match (method.as_str(), path) {
        ("POST", "/token") => Ok(issue(Json::from_request(request)?, key, now_unix_s)?.into_response()),
        ("GET" | "POST", "/verify") => Ok(verify(request.headers(), key, now_unix_s)),
        (_, "/token" | "/verify") => Err(Error::new(StatusCode::METHOD_NOT_ALLOWED, "POST /token, GET /verify")),
        _ => Err(Error::new(StatusCode::NOT_FOUND, "there are POST /token and GET /verify")),
    }
}

fn issue(Json(wanted): Json<Wanted>, key: &Key, now_unix_s: u64) -> Result<impl IntoResponse, Error> {
    if wanted.sub.is_empty() || wanted.sub.len() > 256 {
        return Err(Error::bad_request("sub is 1 to 256 bytes"));
    }
    if wanted.ttl_s == 0 || wanted.ttl_s > TTL_S_MAX {
        return Err(Error::bad_request(format!("ttl_s is 1 to {TTL_S_MAX}")));
    }
    if let Some(name) = ["sub", "iat", "exp", "nbf"].iter().find(|name| wanted.claims.contains_key(**name)) {
        return Err(Error::bad_request(format!("claims.{name} is this function's to set")));
    }
    let expires_unix_s = now_unix_s + wanted.ttl_s;
    let claims = Claims { sub: wanted.sub, iat: now_unix_s, exp: expires_unix_s, nbf: None, other: wanted.claims };
    let issued = Issued { token: key.sign(&claims)?, expires_unix_s };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(issued)))
}

fn verify(headers: &HeaderMap, key: &Key, now_unix_s: u64) -> Response {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = sent.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    let checked = token.ok_or("no bearer token was sent").and_then(|token| key.check(token, now_unix_s));
    match checked {
        Ok(claims) => ([(header::CACHE_CONTROL, "no-store")], Json(claims)).into_response(),
        Err(why) => {
            let challenge =
                [(header::WWW_AUTHENTICATE, format!("Bearer error=\"invalid_token\", error_description=\"{why}\""))];
            (challenge, Error::new(StatusCode::UNAUTHORIZED, why)).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use gust_sdk::Bytes;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key() -> Key {
        Key::new(&[7; 32]).unwrap()
    }

    fn post(body: &str) -> Result<Response, Error> {
        let request = gust_sdk::http::Request::post("/token").header("content-type", "application/json");
        answer(&Method::POST, "/token", request.body(Bytes::from(body.to_owned())).unwrap(), &key(), NOW)
    }

    fn check(token: &str, now: u64) -> Response {
        let request = gust_sdk::http::Request::get("/verify").header("authorization", format!("Bearer {token}"));
        answer(&Method::GET, "/verify", request.body(Bytes::new()).unwrap(), &key(), now).unwrap()
    }

    fn json(response: &Response) -> serde_json::Value {
        serde_json::from_slice(response.body()).unwrap()
    }

    #[test]
    fn a_token_is_good_until_it_expires() {
        let issued = json(&post(r#"{"sub":"ada","ttl_s":60,"claims":{"role":"admin"}}"#).unwrap());
        let token = issued["token"].as_str().unwrap();
        let good = check(token, NOW + 59);
        assert_eq!(good.status(), 200);
        assert_eq!(json(&good)["sub"], "ada");
        assert_eq!(json(&good)["role"], "admin");
        let late = check(token, NOW + 60 + token::SKEW_S + 1);
        assert_eq!(late.status(), 401);
        assert!(late.headers()["www-authenticate"].to_str().unwrap().contains("expired"));
    }

    #[test]
    fn senseless_wishes_are_refused() {
        for body in [
            r#"{"sub":""}"#,
            r#"{"sub":"a","ttl_s":0}"#,
            r#"{"sub":"a","ttl_s":86401}"#,
            r#"{"sub":"a","claims":{"exp":9}}"#,
            r#"{"sub":"a","x":1}"#,
            "{}",
            "",
        ] {
            assert!(post(body).unwrap_err().status().is_client_error(), "{body}");
        }
    }

    #[test]
    fn a_short_key_is_the_owners_mistake() {
        let error = Key::new(b"short").err().unwrap();
        assert_eq!(error.status(), 500);
        assert!(error.message().contains("AUTH_KEY"));
    }
}
