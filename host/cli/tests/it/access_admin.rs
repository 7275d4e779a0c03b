//! Who may call the admin API, and from where.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::fixture::{Host, PATIENCE};

/// A call with exactly these lines in its head; status, code and body of the answer.
fn ask(host: &Host, call: &str, head: &[&str]) -> (u16, String, String) {
    let mut stream = TcpStream::connect(host.admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("{call} HTTP/1.1\r\nconnection: close\r\n{}\r\n\r\n", head.join("\r\n"));
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let document: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    (status, document["code"].as_str().unwrap_or_default().to_owned(), body.to_owned())
}

fn token(host: &Host) -> String {
    format!("authorization: Bearer {}", host.token)
}

#[test]
fn a_token_that_is_revoked_while_its_call_arrives_does_nothing_more() {
    let host = Host::start();
    let scopes = serde_json::json!({"name": "brief", "scopes": ["admin:app/default"]}).to_string();
    let made = host.api("POST", "/v1/tokens", "application/json", scopes.as_bytes()).json();
    let body = serde_json::json!({"name": "heir", "scopes": ["read:app/default"]}).to_string();
    let head = format!(
        "POST /v1/tokens HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        made["token"].as_str().unwrap(),
        body.len()
    );
    let mut stream = TcpStream::connect(host.admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    // It was let in: its body is asked for.
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(host.api("DELETE", "/v1/tokens/brief", "", b"").status, 204);
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("auth.required"), "{answer}");
    assert!(!host.api("GET", "/v1/tokens", "", b"").text().contains("heir"));
}

#[test]
fn no_token_and_a_wrong_one_get_the_same_answer() {
    let host = Host::start();
    let none = ask(&host, "GET /v1/functions", &["host: localhost"]);
    assert_eq!((none.0, none.1.as_str()), (401, "auth.required"));
    let almost = format!("authorization: Bearer {}", &host.token[1..]);
    let scheme = format!("authorization: Basic {}", host.token);
    let twice = format!("{}\r\n{0}", "authorization: Bearer x");
    for wrong in ["authorization: Bearer wrong", "authorization:", "authorization: Bearer", &almost, &scheme, &twice] {
        assert_eq!(ask(&host, "GET /v1/functions", &["host: localhost", wrong]), none, "{wrong}");
    }
    assert_eq!(ask(&host, "GET /v1/functions", &["host: localhost", &token(&host)]).0, 200);
}

#[test]
fn the_admin_api_is_called_by_its_own_names_only() {
    let host = Host::start_with(&[("GUST_ADMIN_HOSTS", "gust.example.com, other.example")]);
    let called = |name: &str| ask(&host, "GET /v1/functions", &[&format!("host: {name}"), &token(&host)]);
    for own in ["localhost", "localhost:1", "127.0.0.1", "[::1]:3001", "GUST.example.com", "other.example:443"] {
        assert_eq!(called(own).0, 200, "{own}");
    }
    for foreign in ["evil.example", "127.0.0.2", "example.com", "localhost.evil.example:3001", ""] {
        let (status, code, _) = called(foreign);
        assert_eq!((status, code.as_str()), (421, "api.wrong_host"), "{foreign}");
    }
    assert_eq!(ask(&host, "GET /v1/functions", &[&token(&host)]).0, 421, "no host at all");
    assert_eq!(ask(&host, "GET http://evil.example/v1/functions", &["host: localhost", &token(&host)]).0, 421);
    assert_eq!(ask(&host, "GET /nothing", &["host: evil.example"]).1, "api.wrong_host", "before the token");
    for health in ["/healthz", "/readyz"] {
        assert_eq!(ask(&host, &format!("GET {health}"), &["host: evil.example"]).0, 200);
    }
}

#[test]
fn the_admin_api_is_called_by_its_own_names_only_over_http2_too() {
    let host = Host::start();
    let script = format!(
        "const client = require('http2').connect('http://{}');
        const ask = (authority) => new Promise((done) => {{
          const head = {{ ':path': '/v1/functions', ':authority': authority, authorization: 'Bearer {}' }};
          client.request(head).on('response', (h) => done(h[':status'])).resume();
        }});
        (async () => {{ console.log(await ask('localhost:9'), await ask('evil.example')); client.close(); }})();",
        host.admin, host.token
    );
    assert_eq!(host.node(&script).trim(), "200 421");
}

#[test]
fn pages_of_other_origins_cannot_call_the_admin_api() {
    let host = Host::start();
    let (own, token) = (format!("host: {}", host.admin), token(&host));
    let from = |origin: &str| ask(&host, "GET /v1/functions", &[&own, &token, &format!("origin: {origin}")]);
    assert_eq!(from(&format!("http://{}", host.admin)).0, 200);
    for foreign in ["https://evil.example", "null", "http://127.0.0.1", "http://localhost:3000"] {
        let (status, code, _) = from(foreign);
        assert_eq!((status, code.as_str()), (403, "api.foreign_origin"), "{foreign}");
    }
    // What a browser asks before it sends more than a form could.
    let asks = ["origin: https://evil.example", "access-control-request-method: PUT"];
    let before_the_token = ask(&host, "OPTIONS /v1/functions/x", &[&own, asks[0], asks[1]]);
    assert_eq!(before_the_token.1, "api.foreign_origin");
}

#[test]
fn forms_cannot_call_the_admin_api() {
    let host = Host::start();
    let post = |path: &str, kind: &str, token: &str| {
        let kind = format!("content-type: {kind}");
        ask(&host, path, &["host: localhost", "content-length: 0", &kind, token])
    };
    for kind in ["application/x-www-form-urlencoded", "text/plain;charset=UTF-8", "multipart/form-data; boundary=x"] {
        for call in ["POST /v1/functions/x", "POST /v1/functions", "DELETE /v1/functions/x", "PUT /v1/functions"] {
            let (status, code, _) = post(call, kind, &token(&host));
            assert_eq!((status, code.as_str()), (415, "api.content_type"), "{call} {kind}");
        }
        assert_eq!(post("POST /v1/functions/x", kind, "x: y").0, 401, "the token comes first");
    }
    assert_eq!(post("POST /v1/functions/x", "application/json", &token(&host)).1, "api.method_not_allowed");
    assert_eq!(post("PUT /v1/functions/x", "text/plain", &token(&host)).1, "upload.content_type");
    assert_eq!(host.deploy_as("hello", "hello", "").status, 201, "an upload may be a form");
}
