//! Guests that mean harm: whatever they do is ended within their limits, and nobody else feels it.

use std::{io::ErrorKind, net::TcpListener};

use serde_json::{Value, json};
use ureq::http::Request;

use super::{Watch, components::Answering};
use crate::fixture::{Host, agent, send};

const LOOP: &str = "(loop (br 0))";

/// The limits of a guest that is to reach them.
const SHORT: &str = "[limits]\ncpu_ms = 100\nwall_ms = 20000\nmemory_mib = 32";

/// By how much a guest may have computed beyond its limit when it is ended, in microseconds.
const OVERRUN_US_MAX: u64 = 50_000;

/// The time that threads ran the guest of a function's last request.
fn cpu_us(host: &Host, code: &str) -> u64 {
    host.logged(|line| line["target"] == "gust::request" && line["code"] == code)["cpu_us"].as_u64().unwrap()
}

#[test]
fn what_loops_is_ended_wherever_it_does() {
    let host = Host::start();
    let fill = "(loop (memory.fill (i32.const 65536) (i32.const 7) (i32.const 20000000)) (br 0))";
    let copy = "(loop (memory.copy (i32.const 10500000) (i32.const 65536) (i32.const 10000000)) (br 0))";
    for (what, component) in [
        ("in its handler", Answering { handle: LOOP, ..Answering::default() }),
        ("where it is given memory", Answering { realloc: LOOP, ..Answering::default() }),
        ("after it has returned", Answering { post_return: LOOP, ..Answering::default() }),
        ("by filling its memory", Answering { handle: fill, pages: 320, ..Answering::default() }),
        ("by copying its memory", Answering { handle: copy, pages: 320, ..Answering::default() }),
    ] {
        let watch = Watch::begin(&host);
        let deployed = host.deploy_bytes("f", &component.binary(), SHORT);
        assert!(deployed.status < 300, "{what}: {deployed:?}");
        let answer = host.get("/f/path");
        assert_eq!((answer.status, answer.code().as_str()), (504, "limit.cpu_ms"), "{what}");
        let cpu_us = cpu_us(&host, "limit.cpu_ms");
        assert!((100_000..100_000 + OVERRUN_US_MAX).contains(&cpu_us), "{what}: it ran for {cpu_us} us");
        watch.check(&[]);
    }
}

#[test]
fn what_loops_before_it_is_there_is_no_function() {
    let host = Host::start();
    let watch = Watch::begin(&host);
    let refused = host.deploy_bytes("f", &Answering { start: LOOP, ..Answering::default() }.binary(), SHORT);
    assert_eq!((refused.status, refused.code().as_str()), (422, "component.probe"));
    assert!(refused.text().contains("limit.cpu_ms"), "{}", refused.text());
    assert_eq!(host.get("/f").status, 404);
    watch.check(&["component.probe", "function.not_found"]);
}

#[test]
fn what_waits_for_nothing_is_ended_too() {
    let host = Host::start();
    host.deploy_as("raw", "raw", "[limits]\ncpu_ms = 100\nwall_ms = 20000");
    let watch = Watch::begin(&host);
    assert_eq!(host.get("/raw/poll").code(), "limit.cpu_ms");
    watch.check(&["limit.cpu_ms"]);
}

#[test]
fn memory_ends_where_it_may() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "[limits]\nmemory_mib = 32");
    let watch = Watch::begin(&host);
    for _ in 0..5 {
        let answer = host.get("/hostile/memory");
        assert_eq!((answer.status, answer.code().as_str()), (500, "limit.memory"));
    }
    watch.check(&["limit.memory"; 5]);
}

#[test]
fn what_is_printed_without_end_is_dropped_and_counted() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "[limits]\nlog_kib = 64\ncpu_ms = 60000\nwall_ms = 60000");
    let mut watch = Watch::begin(&host);
    assert_eq!(host.get("/hostile/print?n=2000000").text(), "done");
    let logs = host.api("GET", "/v1/functions/hostile/logs?tail=1000", "", b"").json();
    let lines = logs["lines"].as_array().unwrap();
    let told = lines.iter().filter_map(|line| line["text"].as_str()).find(|text| text.contains("printed and dropped"));
    // Of each line so much is left: `line 1234567 `, the escape and the end of the line.
    let dropped: u64 = told.unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(dropped > 30_000_000, "{dropped} bytes");
    watch.growth_mib_max = 16;
    watch.check(&[]);
}

#[test]
fn more_at_once_than_the_host_gives_is_refused() {
    let host = Host::start();
    host.deploy_as("raw", "raw", "");
    let watch = Watch::begin(&host);
    assert_eq!(host.get("/raw/random?n=1048576").text(), "1048576");
    assert_eq!(host.get("/raw/random?n=1000000000").code(), "trap");
    assert_eq!(host.get("/raw/fields?n=1000000").code(), "limit.handles");
    watch.check(&["trap", "limit.handles"]);
}

#[test]
fn calls_with_strange_time_outs_end_all_the_same() {
    let host = Host::start();
    host.deploy("hello");
    host.deploy_as("back", "hostile", "");
    host.deploy_as("front", "raw", "[allow]\nfunctions = [\"hello\", \"back\"]\n[limits]\nwall_ms = 2000");
    let watch = Watch::begin(&host);
    let waiting = |wait_ns: u64, url: &str| {
        let request = Request::get(format!("http://{}/front/call?url=http://{url}", host.data));
        send(&agent(), request.header("wait-ns", wait_ns.to_string()).body(()).unwrap())
    };
    // None at all, and five hundred years.
    assert!(waiting(0, "back.gust.internal/sleep?n=60000").text().contains("ConnectionReadTimeout"));
    assert_eq!(waiting(u64::MAX, "hello.gust.internal/").text(), "Hello, world!");
    // What it waits for ends with its own time.
    assert_eq!(waiting(u64::MAX, "back.gust.internal/sleep?n=60000").code(), "limit.wall_ms");
    host.until_serving(0);
    // Those that were called were left alone, if they were begun at all.
    let codes = watch.codes_until_now();
    let allowed = ["limit.wall_ms", "request.client_gone"];
    assert!(codes.iter().all(|code| allowed.contains(&code.as_str())), "{codes:?}");
    assert!(codes.contains(&"limit.wall_ms".to_owned()), "{codes:?}");
    watch.check(&[]);
}

#[test]
fn what_guests_may_not_reach_is_not_even_dialled() {
    let host = Host::start();
    host.deploy_as("front", "raw", "[allow]\nfunctions = [\"hello\"]");
    let watch = Watch::begin(&host);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    let own = [host.admin.to_string(), host.data.to_string()];
    let names = ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "localhost", "0.0.0.0", "2130706433", "0x7f.1"];
    let dialled = names.map(|name| format!("{name}:{port}")).into_iter().chain(own);
    let elsewhere = ["169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal", "127.0.0.1.nip.io"];
    for to in dialled.chain(elsewhere.map(str::to_owned)) {
        let answer = host.get(&format!("/front/call?url=http://{to}/"));
        let refused = ["ErrorCode::HttpRequestDenied", "ErrorCode::HttpRequestUriInvalid"];
        assert!(refused.contains(&answer.text()), "{to}: {answer:?}");
        // Its owner learns why, in one line.
        let logs = host.api("GET", "/v1/functions/front/logs", "", b"");
        let told = |line: &&Value| {
            let text = line["text"].as_str().unwrap();
            line["request_id"] == answer.header("x-request-id")
                && (text.contains("[allow]") || text.contains("refused"))
        };
        assert_eq!(logs.json()["lines"].as_array().unwrap().iter().filter(told).count(), 1, "{to}: {}", logs.text());
    }
    nobody.set_nonblocking(true).unwrap();
    assert_eq!(nobody.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "somebody was dialled");
    // Those that are refused count as well, so that nobody fills the log with them.
    host.deploy_as("few", "raw", "[limits]\ncalls = 0");
    assert!(host.get("/few/call?url=http://127.0.0.1/").text().contains("its limit calls"));
    watch.check(&[]);
}

#[test]
fn a_trap_is_told_with_where_it_was_and_to_the_log_alone() {
    let host = Host::start();
    let watch = Watch::begin(&host);
    let endless = "x".repeat(1 << 20);
    for (name, told) in [("_RNvNtCs1_4shop4cart3add", "shop::cart::add"), (&endless, &endless[..256])] {
        let trap = Answering { handle: "unreachable", name, ..Answering::default() };
        assert!(host.deploy_bytes("f", &trap.binary(), "").status < 300);
        let answer = host.get("/f/path");
        assert_eq!(answer.code(), "trap");
        assert!(!answer.text().contains(&told[..8]), "{}", answer.text());
        let id = answer.header("x-request-id").to_owned();
        let line = host.logged(|line| line["target"] == "gust::request" && line["request_id"] == json!(id));
        let where_it_was = line["internal"].as_str().unwrap();
        assert!(where_it_was.contains(&format!("; at {told} (0x")), "{where_it_was}");
        assert!(where_it_was.len() < 1000, "{}", where_it_was.len());
        let logs = host.gust(&["logs", "f"]);
        assert!(String::from_utf8_lossy(&logs.stdout).contains(told), "{logs:?}");
    }
    watch.check(&[]);
}
