//! Apps: one function in several, each with its own configuration, secrets, limits, quotas and keys.

use std::{fs, io::Write as _, path::Path, process::Stdio, thread};

use serde_json::json;
use ureq::http::Request;

use crate::fixture::{Answer, Host, agent, gust, send, until};

/// A call of the admin API with a token of one's own.
fn api_as(host: &Host, token: &str, method: &str, path: &str, body: &str) -> Answer {
    let request = Request::builder().method(method).uri(format!("http://{}{path}", host.admin));
    let request = request.header("authorization", format!("Bearer {token}")).header("content-type", "application/json");
    send(&agent(), request.body(body.as_bytes()).unwrap())
}

fn put(host: &Host, path: &str, document: &serde_json::Value) -> Answer {
    host.api("PUT", path, "application/json", document.to_string().as_bytes())
}

fn token(host: &Host, name: &str, scopes: &[&str]) -> String {
    let document = json!({"name": name, "scopes": scopes}).to_string();
    let made = host.api("POST", "/v1/tokens", "application/json", document.as_bytes());
    assert_eq!(made.status, 201, "{made:?}");
    made.json()["token"].as_str().unwrap().to_owned()
}

#[test]
fn one_function_serves_two_apps_each_with_its_configuration() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "[env]\nGREETING = \"plain\"");
    assert_eq!(put(&host, "/v1/apps/shop", &json!({})).status, 201);
    assert_eq!(put(&host, "/v1/apps/shop/functions/hostile", &json!({})).status, 204);
    let greeting = |mount: &str| host.get(&format!("/{mount}/config/GREETING")).text().to_owned();
    assert_eq!(
        (greeting("hostile"), greeting("~shop/hostile")),
        ("Some(\"plain\")".to_owned(), "Some(\"plain\")".to_owned())
    );
    let set = host.gust(&["config", "set", "GREETING", "shop's", "--app", "shop"]);
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    assert_eq!(
        (greeting("hostile"), greeting("~shop/hostile")),
        ("Some(\"plain\")".to_owned(), "Some(\"shop's\")".to_owned())
    );
    let info = host.api("GET", "/v1/apps/shop", "", b"").json();
    assert_eq!(info["config"]["GREETING"], "shop's");
    assert!(info["revision"].as_u64().unwrap() >= 3, "{info}");
    assert_eq!(host.info("hostile")["version"], 1, "no upload was needed");
    let host = host.kill_and_restart();
    assert_eq!(host.get("/~shop/hostile/config/GREETING").text(), "Some(\"shop's\")");
    assert_eq!(host.api("DELETE", "/v1/apps/shop", "", b"").code(), "app.not_empty");
    assert_eq!(host.api("DELETE", "/v1/apps/shop/functions/hostile", "", b"").status, 204);
    assert_eq!(host.get("/~shop/hostile/state").status, 404);
    assert_eq!(host.api("DELETE", "/v1/apps/shop", "", b"").status, 204);
    assert_eq!(host.get("/~shop/hostile/state").status, 404);
}

#[test]
fn an_app_calls_a_function_by_an_alias_that_is_there() {
    let host = Host::start();
    host.deploy_as("hello", "hello", "");
    put(&host, "/v1/apps/shop", &json!({}));
    let bound = |alias: &str| put(&host, "/v1/apps/shop/functions/hello", &json!({"alias": alias}));
    assert_eq!(bound("stable").code(), "alias.invalid");
    let own = put(&host, "/v1/apps/default/functions/hello", &json!({"alias": "stable"}));
    assert_eq!(own.code(), "alias.invalid", "nor may its own app");
    put(&host, "/v1/functions/hello/aliases/stable", &json!({"targets": [{"version": 1}]}));
    assert_eq!(bound("stable").status, 204);
    assert_eq!(host.get("/~shop/hello").text(), "Hello, world!");
    assert_eq!(host.api("DELETE", "/v1/functions/hello/aliases/stable", "", b"").code(), "alias.invalid");
    assert_eq!(bound("live").status, 204);
    assert_eq!(host.api("DELETE", "/v1/functions/hello/aliases/stable", "", b"").status, 204);
}

#[test]
fn an_app_sees_of_a_function_what_it_is_there() {
    let host = Host::start();
    host.deploy_as("hello", "hello", "");
    for app in ["shop", "blog"] {
        put(&host, &format!("/v1/apps/{app}"), &json!({}));
        put(&host, &format!("/v1/apps/{app}/functions/hello"), &json!({}));
    }
    put(&host, "/v1/apps/shop", &json!({"limits": {"wall_ms": 123}}));
    let reader = token(&host, "shop-reads", &["read:app/shop"]);
    let seen = api_as(&host, &reader, "GET", "/v1/functions/hello", "").json();
    assert_eq!((&seen["apps"], &seen["limits"]["wall_ms"]), (&json!(["shop"]), &json!(123)), "{seen}");
    assert_eq!((seen["urls"].as_array().unwrap().len(), &seen["app"]), (1, &json!("shop")));
    let live = api_as(&host, &reader, "GET", "/v1/functions/hello/aliases/live", "").json();
    assert!(live["url"].as_str().unwrap().ends_with("/~shop/hello"), "{live}");
    // A list is without what its component is.
    let mut listed = seen.clone();
    assert!(listed.as_object_mut().unwrap().remove("component").is_some(), "{seen}");
    assert_eq!(api_as(&host, &reader, "GET", "/v1/functions", "").json()["functions"][0], listed);
    let versions = api_as(&host, &reader, "GET", "/v1/functions/hello/versions", "").json();
    let all = [seen.to_string(), versions.to_string()].concat();
    assert!(!all.contains("blog") && all.contains("/~shop/hello@1"), "{all}");
    // What another app lacks could keep the owner from deploying, so it takes the owner to share it.
    put(&host, "/v1/apps/thief", &json!({}));
    let thief = token(&host, "thief", &["admin:app/thief", "read:function/hello"]);
    let taken = api_as(&host, &thief, "PUT", "/v1/apps/thief/functions/hello", "{}");
    assert_eq!((taken.status, taken.code().as_str()), (403, "auth.forbidden"));
}

#[test]
fn a_version_that_lacks_its_secret_gets_no_alias() {
    let host = Host::start();
    put(&host, "/v1/apps/default/secrets/API_KEY", &json!({"value": "x"}));
    host.deploy_as("hello", "hello", "secrets = [\"API_KEY\"]");
    host.deploy_as("hello", "hello", "");
    assert_eq!(host.api("DELETE", "/v1/apps/default/secrets/API_KEY", "", b"").status, 204);
    let back = put(&host, "/v1/functions/hello/aliases/live", &json!({"targets": [{"version": 1}]}));
    assert_eq!((back.status, back.code().as_str()), (409, "secret.missing"), "{back:?}");
}

#[test]
fn a_secret_that_a_watched_deploy_would_go_back_to_stays() {
    let host = Host::start();
    put(&host, "/v1/apps/default/secrets/API_KEY", &json!({"value": "x"}));
    host.deploy_as("hostile", "hostile", "secrets = [\"API_KEY\"]");
    host.deploy_as("hostile?errors_percent_max=10&requests_min=3&window_s=600", "hostile", "");
    assert_eq!(host.api("DELETE", "/v1/apps/default/secrets/API_KEY", "", b"").code(), "secret.in_use");
    until("it is taken back", || {
        host.get("/hostile/trap");
        host.info("hostile")["version"] == 1
    });
}

#[test]
fn an_issuer_is_one_however_many_add_it_at_once() {
    let host = Host::start();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let spec = json!({"issuer": "https://i", "audiences": ["a"], "jwks": {"keys": [jwk]}});
    let set = |name: &str| put(&host, &format!("/v1/apps/default/issuers/{name}"), &spec).status;
    let done: Vec<u16> = thread::scope(|scope| {
        let set = &set;
        let all: Vec<_> = (0..6).map(|n| scope.spawn(move || set(&format!("n{n}")))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(done.iter().filter(|status| **status == 204).count(), 1, "{done:?}");
}

/// Files below a directory that hold these bytes.
fn holding(dir: &Path, canary: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, canary));
        } else if fs::read(&path).unwrap_or_default().windows(canary.len()).any(|bytes| bytes == canary) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_secret_is_seen_by_functions_that_name_it_and_by_nobody_else() {
    const CANARY: &str = "canary-5f3a9b1c7d";
    let host = Host::start();
    let wants = "secrets = [\"API_KEY\"]";
    assert_eq!(host.deploy_as("hostile", "hostile", wants).code(), "secret.missing");
    let mut set = gust();
    set.args(["--admin", &host.admin.to_string(), "--token-file"]).arg(host.dir.join("admin.token"));
    let mut set = set.args(["secret", "set", "API_KEY"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(set.stdin.take().unwrap(), "{CANARY}").unwrap();
    assert!(set.wait().unwrap().success());
    assert_eq!(host.deploy_as("hostile", "hostile", wants).status, 201);
    host.deploy_as("other", "hostile", "");
    assert_eq!(host.get("/hostile/config/API_KEY").text(), format!("Some(\"{CANARY}\")"));
    assert_eq!(host.get("/other/config/API_KEY").text(), "None");
    for path in ["/v1/apps", "/v1/apps/default", "/v1/functions/hostile", "/v1/functions/hostile/logs", "/metrics"] {
        assert!(!host.api("GET", path, "", b"").text().contains(CANARY), "{path}");
    }
    let malformed =
        host.api("PUT", "/v1/apps/default/secrets/API_KEY", "application/json", format!("\"{CANARY}\"").as_bytes());
    assert!(malformed.status == 400 && !malformed.text().contains(CANARY), "{malformed:?}");
    let nul = json!({"value": format!("{CANARY}\0")}).to_string();
    let nul = host.api("PUT", "/v1/apps/default/secrets/API_KEY", "application/json", nul.as_bytes());
    assert!(nul.code() == "config.invalid" && !nul.text().contains(CANARY), "{nul:?}");
    assert_eq!(holding(&host.dir, CANARY.as_bytes()), Vec::<String>::new());
    assert_eq!(host.api("DELETE", "/v1/apps/default/secrets/API_KEY", "", b"").code(), "secret.in_use");
    let host = host.kill_and_restart();
    assert_eq!(host.get("/hostile/config/API_KEY").text(), format!("Some(\"{CANARY}\")"));
    put(&host, "/v1/apps/default/secrets/API_KEY", &json!({"value": "another"}));
    assert_eq!(host.get("/hostile/config/API_KEY").text(), "Some(\"another\")", "without a deploy");
}

#[test]
fn secrets_are_sealed_with_the_hosts_key() {
    let dir = tempfile::tempdir().unwrap();
    let (data, key) = (dir.path().join("data"), dir.path().join("secrets.key"));
    let write_key = |digit: &str| {
        fs::write(&key, digit.repeat(64)).unwrap();
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    write_key("a");
    let way = "[[route]]\npath = \"/way\"";
    let variables = [("GUST_SECRETS_KEY_FILE", key.to_str().unwrap())];
    let mut host = Host::start_in(&data, &variables);
    put(&host, "/v1/apps/default/secrets/API_KEY", &json!({"value": "x"}));
    host.deploy_as("hostile", "hostile", &format!("secrets = [\"API_KEY\"]\n{way}"));
    host.deploy_as("hello", "hello", "");
    assert!(!data.join("secrets.key").exists(), "the key is outside");
    host.child.kill().unwrap();
    host.child.wait().unwrap();
    write_key("b");
    let host = Host::start_in(&data, &variables);
    assert_eq!(host.get("/hello").status, 200);
    let answer = host.get("/hostile/state");
    assert!(answer.status == 503 && !answer.text().contains("API_KEY"), "{}", answer.text());
    assert!(host.info("hostile")["unavailable"].as_str().unwrap().contains("secret.unreadable"));
    // What it has stays its own.
    assert_eq!(
        (host.get("/way").status, host.deploy_as("hello", "hello", way).code().as_str()),
        (503, "route.conflict")
    );
    assert_eq!(host.api("DELETE", "/v1/apps/default/secrets/API_KEY", "", b"").code(), "secret.in_use");
    put(&host, "/v1/apps/default/secrets/API_KEY", &json!({"value": "y"}));
    assert_eq!(host.get("/hostile/config/API_KEY").text(), "Some(\"y\")");
}

#[test]
fn what_changes_nothing_leaves_an_apps_tag_as_it_is() {
    let host = Host::start();
    put(&host, "/v1/apps/shop", &json!({}));
    host.deploy_as("hello", "hello", "");
    let tag = |path: &str| host.api("GET", path, "", b"").header("etag").to_owned();
    let before = (tag("/v1/apps/shop"), tag("/v1/functions/hello"));
    for path in ["config/NOPE", "secrets/NOPE", "issuers/nope", "functions/hello"] {
        assert_eq!(host.api("DELETE", &format!("/v1/apps/shop/{path}"), "", b"").status, 404, "{path}");
    }
    assert_eq!((tag("/v1/apps/shop"), tag("/v1/functions/hello")), before);
    let url = format!("http://{}/v1/apps/shop", host.admin);
    let request = Request::builder().method("PUT").uri(url).header("if-match", &before.0);
    let root = std::fs::read_to_string(host.dir.join("admin.token")).unwrap();
    let request = request.header("authorization", format!("Bearer {}", root.trim()));
    let request = request.header("content-type", "application/json").body(&b"{}"[..]).unwrap();
    assert_eq!(send(&agent(), request).status, 200);
}

#[test]
fn tenants_see_and_change_their_own_and_nothing_else() {
    let host = Host::start();
    for app in ["a", "b"] {
        put(&host, &format!("/v1/apps/{app}"), &json!({}));
    }
    host.deploy_as("mine?app=a", "hello", "");
    host.deploy_as("yours?app=b", "hello", "");
    let (a, reader) = (token(&host, "a-deploys", &["deploy:app/a"]), token(&host, "a-reads", &["read:app/a"]));
    let admin = token(&host, "a-admin", &["admin:app/a"]);
    let seen = api_as(&host, &a, "GET", "/v1/functions", "").json();
    assert_eq!(seen["functions"].as_array().unwrap().len(), 1);
    let (hidden, missing) =
        (api_as(&host, &a, "GET", "/v1/functions/yours", ""), api_as(&host, &a, "GET", "/v1/functions/nobody", ""));
    assert_eq!((hidden.status, missing.status), (404, 404));
    assert_eq!(hidden.text().replace("yours", "X"), missing.text().replace("nobody", "X"), "nothing tells them apart");
    for path in ["versions", "logs", "aliases/live"] {
        assert_eq!(api_as(&host, &a, "GET", &format!("/v1/functions/yours/{path}"), "").status, 404, "{path}");
    }
    assert_eq!(api_as(&host, &a, "DELETE", "/v1/functions/yours", "").status, 404);
    assert_eq!(api_as(&host, &a, "GET", "/v1/apps/b", "").status, 404);
    assert_eq!(api_as(&host, &a, "PUT", "/v1/apps/a/config/X", "{\"value\":\"1\"}").code(), "auth.forbidden");
    assert_eq!(api_as(&host, &admin, "PUT", "/v1/apps/a/config/X", "{\"value\":\"1\"}").status, 204);
    assert_eq!(api_as(&host, &admin, "PUT", "/v1/apps/a", "{}").code(), "auth.forbidden", "quotas are the host's");
    assert_eq!(api_as(&host, &reader, "DELETE", "/v1/functions/mine", "").code(), "auth.forbidden");
    let refused = api_as(&host, &reader, "GET", "/metrics", "");
    assert!(refused.code() == "auth.forbidden" && refused.text().contains("scope read:* "), "{}", refused.text());
    assert_eq!(api_as(&host, &admin, "PUT", "/v1/apps/a/functions/yours", "{}").code(), "function.not_found");
    let (hidden, missing) = (
        api_as(&host, &admin, "DELETE", "/v1/apps/a/functions/yours", ""),
        api_as(&host, &admin, "DELETE", "/v1/apps/a/functions/nobody", ""),
    );
    let detail = |answer: &Answer| answer.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!(detail(&hidden).replace("yours", "X"), detail(&missing).replace("nobody", "X"));
    // Whoever may make no tokens sees none.
    assert_eq!(api_as(&host, &reader, "GET", "/v1/tokens", "").json(), json!({"tokens": []}));
    // A token gives no more than it has.
    let more = json!({"name": "more", "scopes": ["admin:*"]}).to_string();
    assert_eq!(api_as(&host, &admin, "POST", "/v1/tokens", &more).code(), "auth.forbidden");
    let less = json!({"name": "less", "scopes": ["read:app/a"]}).to_string();
    assert_eq!(api_as(&host, &admin, "POST", "/v1/tokens", &less).status, 201);
    assert_eq!(api_as(&host, &a, "DELETE", "/v1/functions/mine", "").status, 204);
    // Revoked is revoked, at once and after a restart, and tokens are nowhere in what is stored.
    assert!(host.gust(&["token", "rm", "a-reads"]).status.success());
    assert_eq!(api_as(&host, &reader, "GET", "/v1/functions", "").status, 401);
    assert_eq!(holding(&host.dir, a.as_bytes()), Vec::<String>::new());
    let host = host.kill_and_restart();
    assert_eq!(api_as(&host, &reader, "GET", "/v1/functions", "").status, 401);
    assert_eq!(api_as(&host, &a, "GET", "/v1/functions", "").status, 200);
}

#[test]
fn a_token_ends_when_it_said() {
    let host = Host::start();
    let soon = std::time::SystemTime::now() + std::time::Duration::from_millis(1500);
    let soon_ms = soon.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let document = json!({"name": "brief", "scopes": ["read:*"], "expires_unix_ms": soon_ms}).to_string();
    let made = host.api("POST", "/v1/tokens", "application/json", document.as_bytes()).json();
    let token = made["token"].as_str().unwrap();
    assert_eq!(api_as(&host, token, "GET", "/v1/functions", "").status, 200);
    until("it has expired", || api_as(&host, token, "GET", "/v1/functions", "").status == 401);
    for (document, code) in [
        (json!({"name": "x", "scopes": []}), "token.invalid"),
        (json!({"name": "x", "scopes": ["fly:*"]}), "token.invalid"),
        (json!({"name": "x", "scopes": ["read:*"], "expires_unix_ms": 1}), "token.invalid"),
        (json!({"name": "root", "scopes": ["read:*"]}), "token.exists"),
        (json!({"name": "brief", "scopes": ["read:*"]}), "token.exists"),
    ] {
        let answer = host.api("POST", "/v1/tokens", "application/json", document.to_string().as_bytes());
        assert_eq!(answer.code(), code, "{document}");
    }
}

#[test]
fn quotas_are_an_apps_and_name_themselves() {
    let host = Host::start();
    let quotas = |quotas: serde_json::Value| {
        let set = put(&host, "/v1/apps/small", &json!({"quotas": quotas}));
        assert!(set.status < 300, "{set:?}");
    };
    quotas(json!({}));
    host.deploy_as("hostile?app=small", "hostile", "");
    host.deploy_as("hello", "hello", "");
    let call = |path: &str| host.get(&format!("/~small/hostile{path}"));
    quotas(json!({"requests_per_s": 5}));
    let answers: Vec<_> = (0..20).map(|_| call("/state")).collect();
    let refused = answers.iter().find(|answer| answer.status == 429).expect("more than five in a second");
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("quota.requests_per_s", "1"));
    assert_eq!(host.get("/hello").status, 200, "another app");
    quotas(json!({"concurrency": 1}));
    thread::scope(|scope| {
        let slow = scope.spawn(|| call("/sleep?n=1500"));
        host.until_serving(1);
        assert_eq!(call("/state").code(), "quota.concurrency");
        assert_eq!(slow.join().unwrap().status, 200);
    });
    quotas(json!({"cpu_ms_per_day": 300}));
    assert_eq!(call("/spin?n=400").status, 200, "what has begun is finished");
    until("it is used up", || call("/state").status == 429);
    let refused = call("/state");
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!(refused.code() == "quota.cpu_ms_per_day" && (1..=86_400).contains(&seconds), "{refused:?}");
    until("it is written down", || {
        host.api("GET", "/v1/apps/small", "", b"").json()["cpu_ms_today"].as_u64() >= Some(300)
    });
    quotas(json!({"stored_bytes": 1000}));
    let over = host.deploy_as("hello2?app=small", "hello", "");
    assert_eq!((over.status, over.code().as_str()), (429, "quota.stored_bytes"));
    assert!(over.headers.contains_key("retry-after"));
    assert_eq!(put(&host, "/v1/apps/small", &json!({"quotas": {"concurrency": 0}})).code(), "app.invalid");
}

#[test]
fn a_name_is_one_apps() {
    let host = Host::start();
    put(&host, "/v1/apps/shop", &json!({}));
    host.deploy_as("hello?app=shop", "hello", "");
    assert_eq!(host.deploy_as("hello?app=default", "hello", "").code(), "function.elsewhere");
    assert_eq!(host.deploy_as("new?app=nobody", "hello", "").code(), "app.not_found");
    assert_eq!(host.get("/hello").status, 404, "it is in the other app");
    assert_eq!(host.get("/~shop/hello").text(), "Hello, world!");
}
