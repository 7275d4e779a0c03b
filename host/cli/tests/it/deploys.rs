//! Deploying: what is taken, what is refused, what survives.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use ureq::http::Request;

use crate::{
    faults::{files_in, names},
    fixture::{Host, agent, component, send, until},
};

#[test]
fn a_deploy_says_what_it_made() {
    let host = Host::start();
    let bytes = fs::read(component("hello")).unwrap();
    let made = host.upload("hello", &bytes);
    assert_eq!(made.status, 201);
    let mut info = made.json();
    assert_eq!(info["deployed"], 1);
    assert_eq!(info["deployed_url"], format!("http://{}/hello@1", host.data));
    for of_the_deploy in ["deployed", "deployed_url"] {
        info.as_object_mut().unwrap().remove(of_the_deploy);
    }
    assert_eq!((info["name"].as_str(), info["version"].as_u64()), (Some("hello"), Some(1)));
    assert_eq!(info["world"], "gust:function/handler");
    assert_eq!(info["urls"][0], format!("http://{}/hello", host.data));
    assert_eq!(host.upload("hello", &bytes).status, 200, "the same again makes no version");
    assert_eq!(host.api("GET", "/v1/functions/hello", "", b"").json(), info);
    let other = host.deploy_as("hello", "hello", "[limits]\nwall_ms = 5");
    assert_eq!((other.status, other.json()["version"].as_u64()), (201, Some(2)));
    let versions = host.api("GET", "/v1/functions/hello/versions", "", b"").json();
    assert_eq!(versions["versions"][0]["serving"], true);
    assert_eq!(versions["versions"][1]["version"], 1);
    assert_eq!(host.api("DELETE", "/v1/functions/hello", "", b"").status, 204);
    assert_eq!(host.api("DELETE", "/v1/functions/hello", "", b"").code(), "function.not_found");
    assert_eq!(host.get("/hello").status, 404);
    assert_eq!(files_in(&host, "components").len(), 0);
}

#[test]
fn large_components_are_taken_in_both_forms() {
    let host = Host::start();
    let mut large = fs::read(component("hello")).unwrap();
    // A custom section of 5 MiB: its id, its size and its name's, both in LEB128, and its name.
    let padding = vec![0_u8; 5 << 20];
    let size = (padding.len() + 2) as u32;
    let leb128 = [0, 7, 14, 21].map(|shift| (size >> shift) as u8 & 0x7f | if shift == 21 { 0 } else { 0x80 });
    large.extend([&[0_u8][..], &leb128, &[1, b'x'], &padding].concat());
    assert_eq!(host.upload("alone", &large).status, 201);
    assert_eq!(host.deploy_bytes("form", &large, "").status, 201);
    assert_eq!(host.get("/alone?name=Ada").text(), host.get("/form?name=Ada").text());
}

#[test]
fn only_the_token_opens_the_api() {
    let host = Host::start();
    let ask = |authorization: Option<&str>| {
        let mut request = Request::get(format!("http://{}/v1/functions", host.admin));
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        send(&agent(), request.body(()).unwrap())
    };
    let (none, wrong) = (ask(None), ask(Some("Bearer wrong")));
    assert_eq!((none.status, none.code().as_str(), none.header("www-authenticate")), (401, "auth.required", "Bearer"));
    assert_eq!(none.body, wrong.body);
    for path in ["/metrics", "/v1/functions/x", "/v1/functions/x/logs", "/anything"] {
        let request = Request::get(format!("http://{}{path}", host.admin)).body(()).unwrap();
        assert_eq!(send(&agent(), request).status, 401, "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        let request = Request::get(format!("http://{}{path}", host.admin)).body(()).unwrap();
        assert_eq!(send(&agent(), request).status, 200, "{path}");
    }
    assert_eq!(host.api("GET", "/v1/nothing", "", b"").code(), "api.not_found");
}

#[test]
fn concurrency_is_the_functions_over_all_its_versions() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "[limits]\nconcurrency = 1");
    let mut holder = TcpStream::connect(host.data).unwrap();
    holder.write_all(b"GET /hostile/sleep?n=60000 HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    host.until_serving(1);
    host.deploy_as("hostile", "hostile", "[limits]\nconcurrency = 1\nlog_kib = 8");
    assert_eq!(host.get("/hostile/state").code(), "limit.concurrency");
}

#[test]
fn a_strange_thing_among_the_components_is_in_nobodys_way() {
    let host = Host::start();
    host.deploy("hello");
    fs::create_dir_all(host.dir.join("components/strange/below")).unwrap();
    assert_eq!(host.api("DELETE", "/v1/functions/hello", "", b"").status, 204);
    assert!(names(&host).is_empty());
    fs::create_dir_all(host.dir.join("tmp/strange")).unwrap();
    let host = host.kill_and_restart();
    assert!(names(&host).is_empty());
    assert_eq!((files_in(&host, "components").len(), files_in(&host, "tmp").len()), (0, 0));
}

#[test]
fn a_deleted_function_leaves_no_metrics() {
    let host = Host::start();
    host.deploy("hello");
    host.get("/hello");
    let has_metrics = || host.api("GET", "/metrics", "", b"").text().contains("function=\"hello\"");
    until("the request is counted", || host.metric("gust_requests_total", &["function=\"hello\""]) == 1.0);
    assert!(has_metrics());
    host.deploy_as("hello", "hello", "[limits]\nwall_ms = 5000");
    host.api("DELETE", "/v1/functions/hello", "", b"");
    assert!(!has_metrics());
}

#[test]
fn artifacts_that_nobody_needs_are_gone_after_the_next_start() {
    let host = Host::start();
    host.deploy("hello");
    host.deploy("auth");
    for name in ["hello", "auth"] {
        host.until_optimised(name);
    }
    assert_eq!(host.api("DELETE", "/v1/functions/auth", "", b"").status, 204);
    let host = host.kill_and_restart();
    let engine = fs::read_dir(host.dir.join("artifacts")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read_dir(engine).unwrap().count(), 1);
    assert_eq!(host.get("/hello").text(), "Hello, world!");
}

#[test]
fn a_new_upload_swaps_without_a_failed_request() {
    let host = Arc::new(Host::start());
    host.deploy("hello");
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (host, stop, answered) = (host.clone(), stop.clone(), answered.clone());
            thread::spawn(move || {
                let agent = agent();
                while !stop.load(Ordering::Relaxed) {
                    let request = Request::get(format!("http://{}/hello", host.data)).body(()).unwrap();
                    let answer = send(&agent, request);
                    assert_eq!((answer.status, answer.text()), (200, "Hello, world!"));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 1..=30 {
        let swapped = host.deploy_as("hello", "hello", &format!("[limits]\nwall_ms = {}", 30_000 + round));
        assert_eq!(swapped.status, 201);
        let before = answered.load(Ordering::Relaxed);
        until("requests go on", || answered.load(Ordering::Relaxed) > before);
    }
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    until("all are counted", || {
        host.metric("gust_requests_total", &["function=\"hello\""]) as u32 == answered.load(Ordering::Relaxed)
    });
}

#[test]
fn logs_are_followed_as_they_come() {
    let host = Host::start();
    host.deploy("hello");
    let mut stream = TcpStream::connect(host.admin).unwrap();
    let path = "/v1/functions/hello/logs?follow=true&tail=0";
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n", host.token);
    stream.write_all(head.as_bytes()).unwrap();
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains("text/event-stream") {
        let read = stream.read(&mut buffer).unwrap();
        seen.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    let id = host.get("/hello").header("x-request-id").to_owned();
    while !seen.contains(&id) {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0);
        seen.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
}
