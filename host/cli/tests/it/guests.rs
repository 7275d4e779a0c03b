//! Guests that misbehave: each failure has its own code, and nobody else feels it.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

use crate::fixture::{Host, until};

const MANIFEST: &str = "[limits]\nwall_ms = 1000\nmemory_mib = 32\nlog_kib = 1";

#[test]
fn failures_have_their_own_codes_and_neighbours_serve() {
    let mut host = Host::start();
    host.deploy("hello");
    host.deploy_as("hostile", "hostile", MANIFEST);
    let pid = host.child.id();
    for (path, status, code) in [
        ("/trap", 500, "trap"),
        ("/loop", 504, "limit.wall_ms"),
        ("/sleep?n=60000", 504, "limit.wall_ms"),
        ("/fail", 500, "guest.failed"),
        ("/memory", 500, "limit.memory"),
        ("/deep?n=100000000", 500, "trap.stack_overflow"),
        ("/exit", 500, "guest.no_response"),
        ("/status?n=600", 500, "guest.bad_response"),
        ("/status?n=100", 500, "guest.bad_response"),
        ("/framing", 500, "guest.bad_response"),
    ] {
        let answer = host.get(&format!("/hostile{path}"));
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}");
        assert!(!answer.text().contains("secret"), "{path} tells what only the log may know");
        assert_eq!(host.get("/hello").text(), "Hello, world!", "after {path}");
        let logged = host.logged(|line| line["target"] == "gust::request" && line["function"] == "hostile");
        assert_eq!(logged["code"], code);
        assert_eq!(logged["request_id"], answer.json()["request_id"]);
    }
    assert_eq!(host.child.id(), pid);
    assert!(host.child.try_wait().unwrap().is_none(), "the host lives");
}

#[test]
fn what_a_guest_says_of_its_failure_is_cut() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "");
    assert_eq!(host.get("/hostile/fail?n=10000000").code(), "guest.failed");
    let logged = host.logged(|line| line["code"] == "guest.failed");
    assert!(logged["internal"].as_str().unwrap().len() < 5000);
}

#[test]
fn answers_that_are_no_http_are_the_guests_fault() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "");
    host.deploy_as("raw", "raw", "");
    assert_eq!(host.get("/hostile/many-headers?n=90").status, 200);
    for path in ["/hostile/many-headers?n=1001", "/hostile/many-headers?n=20000"] {
        assert_eq!(host.get(path).code(), "limit.headers", "{path}");
    }
    // A length that is not the body's, found out when the head is gone already.
    assert_eq!(host.get("/raw/length?n=4").text(), "four");
    assert_eq!(host.logged(|line| line["target"] == "gust::request" && line["function"] == "raw")["code"], "");
    for stated in [3, 5] {
        let request = format!("GET /raw/length?n={stated} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = host.raw(request.as_bytes());
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        assert!(answer.contains("500 Internal") || body.len() < stated, "it looks whole: {answer}");
        let logged =
            host.logged(|line| line["target"] == "gust::request" && line["function"] == "raw" && line["code"] != "");
        assert!(
            ["guest.bad_response", "guest.no_response", "trap"].contains(&logged["code"].as_str().unwrap()),
            "{logged}"
        );
    }
}

#[test]
fn what_the_host_keeps_for_a_guest_is_bounded() {
    let host = Host::start();
    host.deploy_as("raw", "raw", "[limits]\ncpu_ms = 60000\nwall_ms = 60000");
    assert_eq!(host.get("/raw/fields?n=500").text(), "500");
    let before = host.rss_mib();
    assert_eq!(host.get("/raw/fields?n=1000000").code(), "limit.handles");
    let script = format!(
        "const c = require('http2').connect('http://{}', {{ settings: {{ initialWindowSize: 0 }} }});
         const r = c.request({{ ':path': '/raw/empty?n=2000000' }});
         let bytes = 0;
         r.on('data', (d) => bytes += d.length);
         r.on('end', () => {{ c.close(); if (bytes !== 0) process.exit(1); }});
         c.on('error', () => process.exit(2));",
        host.data
    );
    assert!(Command::new("node").args(["-e", &script]).status().unwrap().success());
    let after = host.rss_mib();
    assert!(after < before + 64, "from {before} to {after} MiB");
}

#[test]
fn guests_that_loop_let_others_proceed() {
    let host = Host::start();
    host.deploy("hello");
    host.deploy_as("hostile", "hostile", "[limits]\nwall_ms = 4000");
    let loops: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(host.data).unwrap();
            stream.write_all(b"GET /hostile/loop HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            stream
        })
        .collect();
    until("they loop", || host.metric("gust_instances_free", &[]) == 60.0);
    for _ in 0..30 {
        assert_eq!(host.get("/hello").status, 200);
    }
    assert!(host.metric("gust_instances_free", &[]) <= 60.0, "the others waited until the loops had ended");
    drop(loops);
}

#[test]
fn the_text_of_a_wasi_error_is_cut() {
    let host = Host::start();
    host.deploy_as("raw", "raw", "");
    let answer = host.get("/raw/error?n=5000000");
    assert_eq!(answer.code(), "guest.failed");
    assert!(answer.body.len() < 64 << 10, "{}", answer.body.len());
}

#[test]
fn work_after_the_answer_holds_its_place_and_has_an_end() {
    let host = Host::start();
    host.deploy_as("raw", "raw", "[limits]\nconcurrency = 1\nwall_ms = 2000");
    assert_eq!(host.get("/raw/linger?n=60000").text(), "done");
    assert_eq!(host.get("/raw").code(), "limit.concurrency");
    until("its time is over", || host.get("/raw").status == 200);
}

#[test]
fn an_instance_serves_one_request() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "");
    for _ in 0..200 {
        assert_eq!(host.get("/hostile/state").text(), "1");
    }
}

#[test]
fn nothing_outside_is_reached() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "");
    host.deploy_as("raw", "raw", "");
    assert!(host.get("/hostile/files").text().starts_with("Err"));
    assert!(host.get("/hostile/dial").text().starts_with("Err"));
    let dialled = host.get("/raw/dial");
    assert!(dialled.text().contains("HttpRequestDenied"), "{}", dialled.text());
}

#[test]
fn what_a_guest_prints_is_kept_under_its_request() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", MANIFEST);
    let answer = host.get("/hostile/print?n=1000");
    let id = answer.header("x-request-id").to_owned();
    let lines = || {
        let logs = host.api("GET", "/v1/functions/hostile/logs?tail=1000", "", b"").json();
        logs["lines"].as_array().unwrap().clone()
    };
    until("the request's own line is there", || lines().iter().any(|line| line["stream"] == "request"));
    let printed: Vec<_> = lines().into_iter().filter(|line| line["stream"] != "request").collect();
    assert!(printed.iter().all(|line| line["request_id"] == id.as_str()));
    assert_eq!(printed[0]["text"], "line 0 \\u{1b}[31m");
    let last = printed.last().unwrap()["text"].as_str().unwrap();
    assert!(last.contains("bytes were printed and dropped"), "{last}");
    assert!(printed.len() < 100, "the cap holds: {}", printed.len());
}

#[test]
fn components_of_other_hosts_run() {
    let host = Host::start();
    let answer = host.deploy_as("raw", "raw", "[limits]\nwall_ms = 5000\nresponse_body_mib = 64");
    assert_eq!(answer.json()["world"], "wasi:http/incoming-handler");
    assert_eq!(host.get("/raw").text(), "Hello from wasi:http");
    assert_eq!(host.get("/raw/stream?n=2000").body.len(), 2000 * 4096);
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    assert_eq!(host.call("POST", "/raw/echo", &large).body, large);
    for (path, code) in [("/raw/nothing", "guest.no_response"), ("/raw/trap", "trap")] {
        assert_eq!(host.get(path).code(), code);
    }
}

#[test]
fn an_answer_that_breaks_off_does_not_look_whole() {
    let host = Host::start();
    host.deploy_as("raw", "raw", "");
    let answer = host.raw(b"GET /raw/trap-late?n=64 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "the body looks whole: {answer}");
    let logged = host.logged(|line| line["target"] == "gust::request");
    assert_eq!(logged["code"], "trap");
}

#[test]
fn a_function_at_its_concurrency_refuses_and_others_serve() {
    let host = Host::start();
    host.deploy("hello");
    host.deploy_as("hostile", "hostile", "[limits]\nconcurrency = 2\nwall_ms = 60000");
    let hold = || {
        let mut stream = TcpStream::connect(host.data).unwrap();
        stream.write_all(b"GET /hostile/sleep?n=60000 HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        stream
    };
    let held = [hold(), hold()];
    host.until_serving(2);
    let refused = host.get("/hostile/state");
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("limit.concurrency", "1"));
    assert_eq!(host.get("/hello").status, 200);
    drop(held);
    until("the places are free", || host.get("/hostile/state").status == 200);
}

#[test]
fn a_full_pool_queues_briefly_and_then_says_so() {
    let host = Host::start_with(&[("GUST_INSTANCES_MAX", "1"), ("GUST_QUEUE_MS", "100")]);
    host.deploy_as("hostile", "hostile", "");
    let mut holder = TcpStream::connect(host.data).unwrap();
    holder.write_all(b"GET /hostile/sleep?n=3000 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    until("the pool is full", || host.metric("gust_instances_free", &[]) == 0.0);
    let refused = host.get("/hostile/state");
    assert_eq!((refused.status, refused.code().as_str()), (503, "host.busy"));
    let mut answer = String::new();
    holder.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    assert_eq!(host.get("/hostile/state").status, 200);
}
