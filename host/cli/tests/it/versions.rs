//! Versions and aliases: what is tried, promoted, taken back, and that no request is hurt by it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use serde_json::{Value, json};
use ureq::http::Request;

use crate::fixture::{Answer, Host, agent, send, until};

/// A guest that says which one it is: `/hostile/config/WHO` answers `Some("n")`.
fn manifest(who: u64) -> String {
    format!("[env]\nWHO = \"{who}\"")
}

fn deploy(host: &Host, who: u64, query: &str) -> Answer {
    host.deploy_as(&format!("hostile{query}"), "hostile", &manifest(who))
}

/// Who answers at an address below `/`.
fn who(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().trim_start_matches("Some(\"").trim_end_matches("\")").parse().unwrap()
}

fn ask(host: &Host, mount: &str) -> u64 {
    who(&host.get(&format!("/{mount}/config/WHO")))
}

fn alias(host: &Host, alias: &str) -> Value {
    alias_of(host, "hostile", alias)
}

fn alias_of(host: &Host, function: &str, alias: &str) -> Value {
    host.api("GET", &format!("/v1/functions/{function}/aliases/{alias}"), "", b"").json()
}

fn put_alias(host: &Host, alias: &str, document: &Value) -> Answer {
    let path = format!("/v1/functions/hostile/aliases/{alias}");
    host.api("PUT", &path, "application/json", document.to_string().as_bytes())
}

/// A request of the data listener with headers.
fn call(host: &Host, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(format!("http://{}{path}", host.data));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(&agent(), request.body(()).unwrap())
}

#[test]
fn a_canary_is_tried_promoted_and_rolled_back() {
    let host = Host::start();
    assert_eq!(deploy(&host, 1, "").status, 201);
    let canary = deploy(&host, 2, "?alias=canary");
    assert_eq!(
        (canary.status, canary.json()["deployed"].as_u64(), canary.json()["version"].as_u64()),
        (201, Some(2), Some(1))
    );
    assert_eq!((ask(&host, "hostile"), ask(&host, "hostile@canary")), (1, 2));
    assert_eq!(host.gust(&["promote", "hostile"]).status.code(), Some(0));
    assert_eq!(ask(&host, "hostile"), 2);
    deploy(&host, 3, "");
    for expected in [2, 1] {
        let output = host.gust(&["rollback", "hostile"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(ask(&host, "hostile"), expected);
    }
    let nothing = host.gust(&["rollback", "hostile"]);
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("rollback.nothing"));
    assert!(host.gust(&["rollback", "hostile", "--to", "3"]).status.success());
    assert_eq!(ask(&host, "hostile"), 3);
    let history = host.gust(&["alias", "history", "hostile", "live"]);
    assert!(String::from_utf8_lossy(&history.stdout).contains("rolled back to version 3"));
    let versions = String::from_utf8(host.gust(&["versions", "hostile"]).stdout).unwrap();
    assert_eq!(versions.lines().count(), 4, "{versions}");
    let host = host.kill_and_restart();
    assert_eq!((ask(&host, "hostile"), ask(&host, "hostile@canary")), (3, 2));
}

#[test]
fn one_version_is_called_by_its_number_with_a_key() {
    let host = Host::start();
    for who in 1..=3 {
        deploy(&host, who, "");
    }
    let refused = call(&host, "/hostile@1/config/WHO", &[]);
    assert_eq!((refused.status, refused.code().as_str()), (401, "access.key_required"));
    for version in 1..=3 {
        let answer = call(&host, &format!("/hostile@{version}/config/WHO"), &[("x-gust-key", &host.token)]);
        assert_eq!(who(&answer), version);
    }
    let seen = call(&host, "/hostile@1/headers", &[("x-gust-key", &host.token)]);
    assert!(!seen.text().contains(&host.token) && seen.text().contains("/hostile@1"), "{}", seen.text());
    let key = [("x-gust-key", &*host.token)];
    assert_eq!(call(&host, "/hostile@4/", &key).code(), "version.not_found");
    assert_eq!(call(&host, "/hostile@nobody/", &key).code(), "version.not_found");
    let invoked = host.gust(&["invoke", "hostile@1", "--path", "/config/WHO"]);
    assert_eq!(String::from_utf8_lossy(&invoked.stdout), "Some(\"1\")");
}

#[test]
fn only_so_many_versions_are_kept() {
    let host = Host::start_with(&[("GUST_VERSIONS_KEPT", "2")]);
    deploy(&host, 1, "?alias=first");
    for who in 2..=5 {
        deploy(&host, who, "");
    }
    let list = host.api("GET", "/v1/functions/hostile/versions", "", b"").json();
    let kept: Vec<_> = list["versions"].as_array().unwrap().iter().map(|v| v["version"].as_u64().unwrap()).collect();
    assert_eq!(kept, [5, 4, 1], "the alias keeps the first");
    assert_eq!(put_alias(&host, "live", &json!({"targets": [{"version": 3}]})).code(), "version.not_found");
}

#[test]
fn requests_are_split_by_weight_and_clients_stay_where_they_are() {
    let host = Host::start();
    deploy(&host, 1, "");
    let split = deploy(&host, 2, "?alias=canary&weight=30&sticky_header=x-user");
    assert_eq!(split.json()["aliases"]["live"]["targets"][1], json!({"version": 2, "weight": 30}));
    let as_user = |n: u32| who(&call(&host, "/hostile/config/WHO", &[("x-user", &n.to_string())]));
    let first: Vec<_> = (0..200).map(as_user).collect();
    assert_eq!((0..200).map(as_user).collect::<Vec<_>>(), first, "each user stays");
    let seconds = first.iter().filter(|who| **who == 2).count();
    assert!((30..=90).contains(&seconds), "{seconds} of 200");
    // More for the second moves users to it, and none away.
    let more = json!({"targets": [{"version": 1, "weight": 40}, {"version": 2, "weight": 60}], "sticky": {"header": "x-user"}});
    assert_eq!(put_alias(&host, "live", &more).status, 200);
    for (n, before) in (0..200).zip(&first) {
        assert!(*before == 1 || as_user(n) == 2, "user {n} was moved back");
    }
    let by_cookie = json!({"targets": [{"version": 1, "weight": 50}, {"version": 2, "weight": 50}], "sticky": {"cookie": "visitor"}});
    put_alias(&host, "live", &by_cookie);
    let answer = host.get("/hostile/config/WHO");
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("visitor="), "{cookie}");
    for _ in 0..20 {
        let again = call(&host, "/hostile/config/WHO", &[("cookie", &cookie)]);
        assert_eq!(again.text(), answer.text());
        assert!(again.headers.get("set-cookie").is_none());
    }
}

#[test]
fn a_change_of_what_was_changed_meanwhile_is_refused() {
    let host = Host::start();
    deploy(&host, 1, "");
    let seen = host.api("GET", "/v1/functions/hostile", "", b"");
    let tag = seen.header("etag").to_owned();
    deploy(&host, 2, "");
    let change = |method: &str, path: &str, if_match: Option<&str>, body: &str| {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}/v1/functions/hostile{path}", host.admin))
            .header("authorization", format!("Bearer {}", host.token))
            .header("content-type", "application/json");
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        send(&agent(), request.body(body.as_bytes()).unwrap())
    };
    for (method, path, body) in [
        ("DELETE", "", ""),
        ("DELETE", "/aliases/live", ""),
        ("PUT", "/aliases/live", "{\"targets\":[{\"version\":1}]}"),
    ] {
        assert_eq!(change(method, path, Some(&tag), body).code(), "api.changed", "{method} {path}");
    }
    let rollback = |if_match: Option<&str>, body: &str| change("POST", "/rollback", if_match, body);
    assert_eq!(rollback(Some(&tag), "{}").code(), "api.changed");
    assert_eq!(rollback(None, "{}").code(), "api.precondition_required");
    assert_eq!(ask(&host, "hostile"), 2);
    let tag = host.api("GET", "/v1/functions/hostile", "", b"").header("etag").to_owned();
    assert_eq!(rollback(Some(&tag), "{}").status, 200);
    assert_eq!(rollback(None, "{\"to\": 1}").status, 200, "the same twice is no other");
    assert_eq!(ask(&host, "hostile"), 1);
}

#[test]
fn aliases_that_cannot_be_are_refused() {
    let host = Host::start();
    deploy(&host, 1, "");
    for (name, document, code) in [
        ("live", json!({"targets": [{"version": 9}]}), "version.not_found"),
        ("live", json!({"targets": []}), "alias.invalid"),
        ("live", json!({"targets": [{"version": 1, "weight": 50}]}), "alias.invalid"),
        ("7", json!({"targets": [{"version": 1}]}), "name.invalid"),
        ("A", json!({"targets": [{"version": 1}]}), "name.invalid"),
        ("live", json!({"target": 1}), "api.malformed"),
    ] {
        assert_eq!(put_alias(&host, name, &document).code(), code, "{name} {document}");
    }
    assert_eq!(deploy(&host, 2, "?weight=100").code(), "alias.invalid");
    assert_eq!(deploy(&host, 2, "?weight=x").code(), "api.malformed");
    assert_eq!(deploy(&host, 2, "?wieght=5").code(), "api.malformed");
    assert_eq!(deploy(&host, 2, "?window_s=5").code(), "conditions.invalid");
    let last = host.api("DELETE", "/v1/functions/hostile/aliases/live", "", b"");
    assert_eq!(last.code(), "alias.invalid");
    assert_eq!(ask(&host, "hostile"), 1);
}

#[test]
fn a_canary_that_goes_bad_is_taken_back_by_the_host() {
    let host = Host::start();
    host.deploy_as("hello", "hello", "");
    for _ in 0..30 {
        assert_eq!(host.get("/hello").status, 200);
    }
    // A component that traps is deployed in the place of one that greets.
    let bad = std::fs::read(crate::fixture::component("hostile")).unwrap();
    let answer = host.deploy_bytes("hello?errors_percent_max=10&requests_min=5&window_s=600", &bad, "");
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["aliases"]["live"]["watched"]["version"], 2);
    until("the bad version is taken back", || {
        host.get("/hello/trap");
        host.info("hello")["version"] == 1
    });
    assert_eq!(host.get("/hello").text(), "Hello, world!");
    let live = host.api("GET", "/v1/functions/hello/aliases/live", "", b"").json();
    let why = live["changes"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("rolled back from version 2: errors: "), "{why}");
    assert!(live.get("watched").is_none(), "{live}");
    let rollbacks =
        || host.metric("gust_alias_rollbacks_total", &["function=\"hello\"", "alias=\"live\"", "condition=\"errors\""]);
    assert_eq!(rollbacks(), 1.0);
    let line = host.logged(|line| line["message"] == "a deploy was rolled back");
    assert!(line["why"].as_str().unwrap().starts_with("errors: "), "{line}");
    let log = String::from_utf8(host.gust(&["logs", "hello"]).stdout).unwrap();
    assert!(log.contains("live rolled back from version 2"), "{log}");
}

#[test]
fn a_canary_that_was_taken_back_is_not_promoted_by_mistake() {
    let host = Host::start();
    host.deploy_as("hello", "hello", "");
    let bad = fs::read(crate::fixture::component("hostile")).unwrap();
    host.deploy_bytes("hello?alias=canary&weight=50&errors_percent_max=10&requests_min=3&window_s=600", &bad, "");
    until("the bad version is taken back", || {
        host.get("/hello@canary/trap");
        alias_of(&host, "hello", "live").get("watched").is_none()
    });
    let promoted = host.gust(&["promote", "hello"]);
    let told = String::from_utf8_lossy(&promoted.stderr).into_owned();
    assert!(!promoted.status.success() && told.contains("version 2 was taken from live: rolled back"), "{told}");
    assert_eq!(host.info("hello")["version"], 1);
    assert!(host.gust(&["promote", "hello", "--version", "2"]).status.success());
    assert_eq!(host.info("hello")["version"], 2);
}

#[test]
fn what_is_rolled_back_to_is_optimised_however_early_it_was_given_up() {
    let host = Host::start();
    host.deploy_as("hello", "hello", "");
    host.deploy_as("hello", "hostile", "");
    assert!(host.gust(&["rollback", "hello"]).status.success());
    host.until_optimised("hello");
}

#[test]
fn a_deploy_that_cannot_be_taken_back_is_watched_until_its_time_is_over() {
    let mut host = Host::start();
    host.deploy_as("hostile", "hello", "");
    host.until_optimised("hostile");
    let digest = host.info("hostile")["digest"].as_str().unwrap().to_owned();
    host.deploy_as("hostile?errors_percent_max=10&requests_min=3&window_s=8", "hostile", "");
    // The disk has lost what it would go back to.
    fs::write(host.dir.join(format!("components/{digest}.wasm")), b"lost").unwrap();
    // In the meantime one for the second may be put there.
    until("its artifacts are lost", || fs::remove_dir_all(host.dir.join("artifacts")).is_ok());
    (0..5).for_each(|_| assert_eq!(host.get("/hostile/trap").status, 500));
    let line = host.logged(|line| line["message"] == "a deploy cannot be rolled back");
    assert!(line["problem"].as_str().unwrap().contains("function.unavailable"), "{line}");
    until("nobody watches any more", || alias(&host, "live").get("watched").is_none());
    assert_eq!(host.info("hostile")["version"], 2);
    host.child.kill().unwrap();
    let said = |line: &Value| line["message"] == "a deploy cannot be rolled back";
    assert_eq!(host.rest_of_log().iter().filter(|line| said(line)).count(), 0, "it was said once");
}

#[test]
fn what_is_watched_goes_on_to_count_where_the_apps_configuration_changes() {
    let host = Host::start();
    deploy(&host, 1, "");
    deploy(&host, 2, "?errors_percent_max=10&requests_min=11&window_s=600");
    let fails = |times: u32| (0..times).for_each(|_| assert_eq!(host.get("/hostile/trap").status, 500));
    fails(6);
    assert!(host.gust(&["config", "set", "GREETING", "another"]).status.success());
    assert_eq!(host.get("/hostile/config/GREETING").text(), "Some(\"another\")");
    fails(4);
    until("it is taken back", || host.info("hostile")["version"] == 1);
    let why = alias(&host, "live")["changes"][0]["why"].to_string();
    assert!(why.contains("10 of 11 requests failed"), "{why}");
}

#[test]
fn what_is_watched_goes_on_to_count_where_an_app_gives_the_function_up() {
    let host = Host::start();
    deploy(&host, 1, "");
    for arguments in [["app", "set", "shop", ""], ["app", "bind", "shop", "hostile"]] {
        let arguments: Vec<_> = arguments.into_iter().filter(|argument| !argument.is_empty()).collect();
        assert!(host.gust(&arguments).status.success(), "{arguments:?}");
    }
    deploy(&host, 2, "?errors_percent_max=10&requests_min=8&window_s=600");
    let fails = |path: &str, times: u32| (0..times).for_each(|_| assert_eq!(host.get(path).status, 500));
    fails("/~shop/hostile/trap", 6);
    assert!(host.gust(&["app", "unbind", "shop", "hostile"]).status.success());
    fails("/hostile/trap", 2);
    until("it is taken back", || host.info("hostile")["version"] == 1);
    let why = alias(&host, "live")["changes"][0]["why"].to_string();
    assert!(why.contains("8 of 8 requests failed"), "{why}");
}

/// Sends a body's first piece as soon as the function waits for it, and its end where that is wanted. Gives the answer's status.
fn hang(host: &Host, has_end: bool) -> String {
    let mut stream = TcpStream::connect(host.data).unwrap();
    let head = "POST /raw/hang HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 100"), "{line}");
    stream.write_all(if has_end { b"1\r\nx\r\n0\r\n\r\n" } else { b"1\r\nx\r\n" }).unwrap();
    answer.read_line(&mut line).unwrap();
    line.clear();
    answer.read_line(&mut line).unwrap();
    line.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn a_client_that_sends_slowly_is_no_fault_of_the_function_and_hanging_after_that_is() {
    let host = Host::start();
    host.deploy_as("raw", "hello", "");
    let watched = "raw?errors_percent_max=10&requests_min=4&window_s=600";
    assert_eq!(host.deploy_as(watched, "raw", "[limits]\nwall_ms = 300").status, 201);
    assert_eq!([hang(&host, false), hang(&host, false), hang(&host, true)], ["504", "504", "504"]);
    (0..3).for_each(|_| assert_eq!(host.get("/raw").text(), "Hello from wasi:http"));
    until("it is taken back", || host.info("raw")["version"] == 1);
    let why = alias_of(&host, "raw", "live")["changes"][0]["why"].to_string();
    assert!(why.contains("1 of 4 requests failed"), "{why}");
}

#[test]
fn a_version_that_got_slow_is_taken_back_and_one_that_holds_stays() {
    let host = Host::start();
    deploy(&host, 1, "");
    for _ in 0..25 {
        ask(&host, "hostile");
    }
    let watched = deploy(&host, 2, "?p99_factor_max=2&requests_min=8&window_s=600");
    assert_eq!(watched.status, 201);
    until("the slow version is taken back", || {
        host.get("/hostile/sleep?n=800");
        host.info("hostile")["version"] == 1
    });
    assert!(alias(&host, "live")["changes"][0]["why"].as_str().unwrap().contains("p99: "));
    // It holds what is asked of it, until the window is over; after that it may do what it likes.
    deploy(&host, 3, "?errors_percent_max=50&requests_min=5&window_s=1");
    until("nobody watches any more", || alias(&host, "live").get("watched").is_none());
    for _ in 0..10 {
        host.get("/hostile/trap");
    }
    assert_eq!(host.info("hostile")["version"], 3);
}

#[test]
fn a_thousand_swaps_under_load_hurt_no_request() {
    const SWAPS: u64 = 1000;
    let host = Arc::new(Host::start());
    deploy(&host, 0, "");
    deploy(&host, 1, "");
    // How many swaps were begun, and how many are done: after an even number version 2 serves, which is 1.
    let (begun, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (host, begun, done, stop, answered) =
                (host.clone(), begun.clone(), done.clone(), stop.clone(), answered.clone());
            thread::spawn(move || {
                let agent = agent();
                while !stop.load(SeqCst) {
                    let before = done.load(SeqCst);
                    let request = Request::get(format!("http://{}/hostile/config/WHO", host.data)).body(()).unwrap();
                    let who = who(&send(&agent, request));
                    let after = begun.load(SeqCst);
                    let may_serve = |swaps: u64| u64::from(swaps.is_multiple_of(2)) == who;
                    assert!((before..=after).any(may_serve), "{who} between swaps {before} and {after}");
                    answered.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    for swap in 1..=SWAPS {
        begun.store(swap, SeqCst);
        let version = if swap.is_multiple_of(2) { 2 } else { 1 };
        let swapped = put_alias(&host, "live", &json!({"targets": [{"version": version}]}));
        assert_eq!(swapped.status, 200, "{swapped:?}");
        done.store(swap, SeqCst);
    }
    stop.store(true, SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert!(answered.load(SeqCst) > SWAPS, "there was load");
    until("all are counted", || {
        host.metric("gust_requests_total", &["function=\"hostile\"", "status=\"200\""]) as u64 == answered.load(SeqCst)
    });
}
