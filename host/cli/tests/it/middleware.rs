//! Functions that come before others, as their manifests say.

use std::thread;

use ureq::http::Request;

use crate::{
    fixture::{Answer, Host, agent, send},
    internal::lines,
};

/// A gate under a name, which it marks what it hands on with.
fn gate(host: &Host, name: &str) {
    let manifest = format!("access = \"private\"\n[env]\nPASS = \"sesame\"\nMARK = \"{name}\"\n");
    assert_eq!(host.deploy_as(name, "gate", &manifest).status, 201);
}

fn behind(names: &str) -> String {
    format!("middleware = [{names}]\n")
}

/// A host with two gates, and what is behind both.
fn host() -> Host {
    let host = Host::start();
    ["outer", "inner"].iter().for_each(|name| gate(&host, name));
    assert_eq!(host.deploy_as("back", "hostile", &behind("\"outer\", \"inner\"")).status, 201);
    host
}

fn with_pass(host: &Host, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = Request::get(format!("http://{}{path}", host.data)).header("x-pass", "sesame");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    send(&agent(), request.body(()).unwrap())
}

fn marks(answer: &Answer) -> Vec<&str> {
    answer.headers.get_all("x-gate").iter().map(|value| value.to_str().unwrap()).collect()
}

#[test]
fn requests_go_through_all_of_them_in_order() {
    let host = host();
    let answer = with_pass(&host, "/back/headers?a=b", &[("x-request-id", "trace-1"), ("traceparent", "00-aa-bb-01")]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = answer.text();
    assert!(seen.find("\"x-gate\": \"outer\"") < seen.find("\"x-gate\": \"inner\""), "{seen}");
    for header in ["\"x-gate\": \"inner\"", "\"x-forwarded-prefix\": \"/back\"", "\"traceparent\": \"00-aa-bb-01\""] {
        assert!(seen.contains(header), "{header}: {seen}");
    }
    assert!(seen.contains(&format!("\"host\": \"{}\"", host.data)) && !seen.contains("x-gust-caller"), "{seen}");
    assert_eq!(marks(&answer), ["inner", "outer"]);
    // Each has a receipt of its own, under the same id, and no two have one instance.
    for line in lines(&host, ["outer", "inner", "back"]) {
        assert_eq!((line["request_id"].as_str(), line["status"].as_u64()), (Some("trace-1"), Some(200)), "{line}");
        assert!(line["cpu_us"].as_u64().unwrap() > 0, "{line}");
    }
}

#[test]
fn who_is_not_handed_on_never_reaches_the_function() {
    let host = host();
    let answer = host.get("/back/headers");
    assert_eq!((answer.status, answer.text().contains("x-pass")), (403, true), "{}", answer.text());
    let line = host.logged(|line| line["target"] == "gust::request");
    assert_eq!((line["function"].as_str(), line["status"].as_u64()), (Some("outer"), Some(403)));
    assert_eq!(with_pass(&host, "/back/status?n=204", &[]).status, 204);
    let line = host.logged(|line| line["target"] == "gust::request");
    assert_eq!(line["function"], "back", "only the second request was its: {line}");
    // They are not for clients, who are given no address of theirs, and have nothing to hand on to where none comes after them.
    assert_eq!(with_pass(&host, "/outer/", &[]).code(), "function.not_found");
    for command in [&["inspect", "outer"][..], &["ls"]] {
        let shown = String::from_utf8(host.gust(command).stdout).unwrap();
        assert!(shown.contains("only by other functions") && !shown.contains("/outer"), "{shown}");
    }
    let shown = String::from_utf8(host.gust(&["inspect", "back"]).stdout).unwrap();
    assert!(shown.contains("goes through       outer\n") && shown.contains("                   inner\n"), "{shown}");
    assert_eq!(host.deploy_as("open", "gate", "[env]\nPASS = \"sesame\"\n").status, 201);
    assert_eq!(with_pass(&host, "/open/", &[]).status, 500);
    let told = host.logged(|line| line["target"] == "gust::guest" && line["function"] == "open");
    assert!(told["message"].as_str().unwrap().contains("nothing comes after this function"), "{told}");
}

#[test]
fn bodies_are_handed_on_as_they_come() {
    let host = host();
    // What a middleware hands on is not what its own calls carry.
    let manifest = "access = \"private\"\n[env]\nPASS = \"sesame\"\n[limits]\ncalls_body_mib = 1\n";
    assert_eq!(host.deploy_as("outer", "gate", manifest).status, 201);
    assert_eq!(host.deploy_as("raw", "raw", &behind("\"outer\"")).status, 201);
    // It is answered while it is sent, so whoever sends must read meanwhile.
    let echoed = "const sent = Buffer.alloc(5000000, 'abcdefg');
        const options = { method: 'POST', headers: { 'x-pass': 'sesame' } };
        require('http').request('URL/raw/echo', options, async (answer) => {
            const got = Buffer.concat(await answer.toArray());
            console.log(answer.statusCode, sent.equals(got));
        }).end(sent);";
    assert_eq!(host.node(echoed), "200 true\n");
    let request = Request::post(format!("http://{}/back/count", host.data)).header("x-pass", "sesame");
    assert_eq!(send(&agent(), request.body(&vec![b'x'; 5_000_000][..]).unwrap()).text(), "5000000");
    assert_eq!(with_pass(&host, "/raw/stream?n=1000", &[]).body, vec![b'x'; 1000 * 4096]);
    // What breaks off behind does so before.
    let request = "GET /raw/trap-late?n=64 HTTP/1.1\r\nhost: x\r\nx-pass: sesame\r\nconnection: close\r\n\r\n";
    let answer = host.raw(request.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.ends_with("0\r\n\r\n"), "the body looks whole");
    host.logged(|line| line["target"] == "gust::request" && line["function"] == "raw" && line["code"] == "trap");
}

#[test]
fn failures_behind_are_answers_and_limits_are_each_ones_own() {
    let host = host();
    for (path, status, code) in
        [("trap", 500, "trap"), ("fail", 500, "guest.failed"), ("big?n=99999999", 500, "limit.response_body")]
    {
        let answer = with_pass(&host, &format!("/back/{path}"), &[]);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{path}");
    }
    // The function's time ends its own call; that of a middleware ends all that comes after it.
    let short = format!("{}[limits]\nwall_ms = 200\n", behind("\"outer\""));
    assert_eq!(host.deploy_as("back", "hostile", &short).status, 201);
    let answer = with_pass(&host, "/back/loop", &[]);
    assert_eq!((answer.status, answer.code().as_str()), (504, "limit.wall_ms"));
    assert_eq!(marks(&answer), ["outer"]);
    let short = "access = \"private\"\n[env]\nPASS = \"sesame\"\n[limits]\nwall_ms = 200\n";
    assert_eq!(host.deploy_as("outer", "gate", short).status, 201);
    assert_eq!(host.deploy_as("back", "hostile", &behind("\"outer\"")).status, 201);
    let answer = with_pass(&host, "/back/loop", &[]);
    assert_eq!((answer.status, answer.code().as_str()), (504, "limit.wall_ms"));
    assert_eq!(with_pass(&host, "/back/headers", &[]).status, 200);
}

#[test]
fn who_may_call_is_decided_for_the_function_itself() {
    let host = host();
    let manifest = format!("access = \"key\"\n{}", behind("\"outer\""));
    assert_eq!(host.deploy_as("back", "hostile", &manifest).status, 201);
    assert_eq!(with_pass(&host, "/back/headers", &[]).code(), "access.key_required");
    let line = host.logged(|line| line["target"] == "gust::request");
    assert_eq!((line["function"].as_str(), line["code"].as_str()), (Some("back"), Some("access.key_required")));
}

#[test]
fn every_way_to_the_function_leads_through_them() {
    let host = host();
    let routed = format!("{}[[route]]\npath = \"/users/{{id}}/headers\"\n", behind("\"outer\""));
    assert_eq!(host.deploy_as("back", "hostile", &routed).status, 201);
    assert_eq!(host.get("/users/7/headers").status, 403);
    // Another function's call too, which is who the last of them hears of.
    assert_eq!(host.deploy_as("front", "raw", "[allow]\nfunctions = [\"back\"]\n").status, 201);
    let url = "/front/call?url=http://back.gust.internal/headers";
    assert_eq!(host.get(url).status, 403);
    let seen = with_pass(&host, url, &[("send", "x-pass: sesame")]);
    assert!(seen.text().contains("\"x-gust-caller\": \"front\""), "{}", seen.text());
    // Others that go through it at the same time are not mixed up.
    thread::scope(|scope| {
        for client in 0..4 {
            let host = &host;
            scope.spawn(move || {
                for n in 0..25 {
                    let own = format!("{client}-{n}");
                    let seen = with_pass(host, "/back/headers", &[("x-own", &own)]);
                    assert!(seen.text().contains(&format!("\"x-own\": \"{own}\"")), "{own}: {}", seen.text());
                }
            });
        }
    });
}

#[test]
fn without_its_middleware_a_function_is_not_called() {
    let host = host();
    let refused = host.deploy_as("lone", "hello", &behind("\"absent\""));
    assert_eq!((refused.status, refused.code().as_str()), (400, "manifest.invalid"));
    assert!(refused.text().contains("absent, which is not in the app default"), "{}", refused.text());
    let refused = host.deploy_as("lone", "hello", &behind("\"lone\""));
    assert_eq!((refused.status, refused.code().as_str()), (400, "manifest.invalid"));
    assert!(refused.text().contains("lone, which is the function itself"), "{}", refused.text());
    // One that is in use stays.
    let refused = host.api("DELETE", "/v1/functions/inner", "", b"");
    assert_eq!((refused.status, refused.code().as_str()), (409, "function.in_use"));
    assert!(refused.text().contains("inner is the middleware of back in the app default"), "{}", refused.text());
    assert_eq!(host.deploy_as("back", "hostile", "").status, 201);
    assert_eq!(host.api("DELETE", "/v1/functions/inner", "", b"").status, 204);
    // But a version may be gone back to that names one which is gone.
    assert!(host.gust(&["rollback", "back"]).status.success());
    let answer = with_pass(&host, "/back/headers", &[]);
    assert_eq!((answer.status, answer.code().as_str()), (500, "middleware.not_found"), "{}", answer.text());
    assert_eq!(marks(&answer), ["outer"]);
    gate(&host, "inner");
    assert_eq!(with_pass(&host, "/back/headers", &[]).status, 200);
}

#[test]
fn a_circle_has_an_end() {
    let host = Host::start();
    host.deploy("hello");
    assert_eq!(host.deploy_as("outer", "raw", "[allow]\nfunctions = [\"back\"]\n").status, 201);
    assert_eq!(host.deploy_as("back", "hello", &behind("\"outer\"")).status, 201);
    let url = (0..20).fold(String::new(), |url, _| format!("/call?url=http://back.gust.internal{url}"));
    let answer = host.get(&format!("/back{url}"));
    assert!(answer.status == 508 && answer.text().contains("request.loop"), "{} {}", answer.status, answer.text());
    assert_eq!(host.get("/back/").text(), "Hello from wasi:http");
}
