//! Components of WASI 0.3: what `wasi:http` promises them, within the limits of every other.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
};

use crate::fixture::{Host, agent, send, until};

/// A host with `raw3`, which is written against `wasi:http` 0.3 itself.
fn host(manifest: &str) -> Host {
    let host = Host::start();
    assert_eq!(host.deploy_as("raw3", "raw3", manifest).status, 201);
    host
}

/// The code in the log of the next request.
fn code(host: &Host) -> String {
    host.logged(|line| line["target"] == "gust::request")["code"].as_str().unwrap().to_owned()
}

/// Bytes of which no two pieces are alike.
fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn a_service_answers_and_is_told_of() {
    let host = host("");
    let answer = host.get("/raw3/hello");
    assert_eq!((answer.status, answer.text()), (200, "Hello"));
    assert_eq!(answer.header("content-length"), "5", "what is here when its head is sent is not sent in chunks");
    assert!(answer.header("server-timing").contains("run;dur="), "{answer:?}");
    let info = host.info("raw3");
    assert_eq!(info["world"], "wasi:http/handler");
    let (mode, reason) = host.instance_of("raw3");
    assert!(mode == "fresh" && reason.contains("WASI 0.3"), "{mode}: {reason}");
    let line = host.logged(|line| line["target"] == "gust::request");
    assert!(line["cpu_us"].as_u64().unwrap() > 0 && line["memory_bytes_peak"].as_u64().unwrap() > 0, "{line}");
    // Its compiled code is found again.
    let host = host.kill_and_restart();
    assert_eq!(host.get("/raw3/hello").text(), "Hello");
}

#[test]
fn bodies_stream_both_ways() {
    let host = host("");
    let sent = bytes(3_000_000);
    for path in ["/raw3/echo", "/raw3/relay"] {
        let answer = host.call("POST", path, &sent);
        assert!(answer.status == 200 && answer.body == sent, "{path}: {} bytes", answer.body.len());
    }
    assert_eq!(host.call("POST", "/raw3/size", &sent).text(), "3000000");
    assert_eq!(host.get("/raw3/stream?n=1000").body.len(), 4_096_000);
    // What is dropped early is not waited for.
    assert_eq!(host.call("POST", "/raw3/early", b"unread").text(), "early");
    assert_eq!(host.call("POST", "/raw3/some?n=10", &sent[..100_000]).text(), "10");
}

#[test]
fn an_answer_begins_before_the_request_has_ended() {
    let host = host("");
    for path in ["/raw3/echo", "/raw3/relay"] {
        let mut stream = host.begin("/nothing");
        write!(stream, "POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut came = String::new();
        let mut until_it_has = |stream: &mut std::net::TcpStream, text: &str| {
            while !came.contains(text) {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).unwrap();
                assert!(read > 0, "{path} ended before {text:?}: {came}");
                came.push_str(&String::from_utf8_lossy(&piece[..read]));
            }
        };
        for text in ["first", "second"] {
            write!(stream, "{:x}\r\n{text}\r\n", text.len()).unwrap();
            until_it_has(&mut stream, text);
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
        until_it_has(&mut stream, "0\r\n\r\n");
    }
}

#[test]
fn a_large_body_takes_little_memory() {
    let host = host("[limits]\nrequest_body_mib = 1024\nresponse_body_mib = 1024\nwall_ms = 120000\ncpu_ms = 120000");
    let script = |path: &str| {
        format!(
            "const mib = 128, piece = Buffer.alloc(1 << 20, 7);
             let got = 0;
             const request = require('http').request('URL{path}', {{ method: 'POST' }}, (response) => {{
               response.on('data', (bytes) => got += bytes.length);
               response.on('end', () => console.log(got === mib << 20));
             }});
             let left = mib;
             const more = () => {{
               while (left-- > 0) if (!request.write(piece)) return request.once('drain', more);
               request.end();
             }};
             more();"
        )
    };
    host.until_optimised("raw3");
    // What it takes once and keeps.
    for path in ["/raw3/relay", "/raw3/echo", "/raw3/relay"] {
        assert_eq!(host.node(&script(path)).trim(), "true");
    }
    for path in ["/raw3/relay", "/raw3/echo"] {
        let before = host.rss_mib();
        assert_eq!(host.node(&script(path)).trim(), "true");
        let after = host.rss_mib();
        assert!(after <= before + 8, "{path}: from {before} to {after} MiB");
    }
}

#[test]
fn failures_are_those_of_every_guest() {
    let host = host("[limits]\nwall_ms = 5000\ncpu_ms = 100\nrequest_body_mib = 1\nresponse_body_mib = 1");
    host.deploy("hello");
    for (path, status, code) in [
        ("/trap", 500, "trap"),
        ("/error?n=10", 500, "guest.failed"),
        ("/denied", 500, "guest.failed"),
        ("/never", 504, "limit.wall_ms"),
        ("/spin", 504, "limit.cpu_ms"),
    ] {
        let answer = host.get(&format!("/raw3{path}"));
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}");
        assert_eq!(host.get("/hello").text(), "Hello, world!", "after {path}");
        assert_eq!(host.logged(|line| line["function"] == "raw3" && !line["code"].is_null())["code"], code);
    }
    let answer = host.get("/raw3/error?n=100000");
    assert!(answer.code() == "guest.failed" && answer.body.len() < 10_000);
    until("nothing is left of them", || host.metric("gust_instances_free", &[]) == 64.0);
}

#[test]
fn what_fails_after_the_head_does_not_look_whole() {
    let host = host("[limits]\nwall_ms = 10000\ncpu_ms = 100\nresponse_body_mib = 1");
    for (path, wanted) in [
        ("/trap-late", "trap"),
        ("/broken", "guest.bad_response"),
        ("/spin-late", "limit.cpu_ms"),
        ("/length?n=9", "guest.bad_response"),
        ("/stream?n=1000", "limit.response_body"),
    ] {
        let request = format!("GET /raw3{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = host.raw(request.as_bytes());
        assert!(!answer.ends_with("0\r\n\r\n"), "{path} looks whole");
        assert_eq!(code(&host), wanted, "{path}");
    }
    assert_eq!(host.get("/raw3/length?n=4").text(), "four");
}

/// Whoever is over before its head was sent has not answered.
#[test]
fn what_fails_at_once_is_told_by_a_status() {
    let host = host("");
    host.deploy_as("raw", "raw", "");
    for path in ["/raw3/broken", "/raw3/length?n=9", "/raw3/length?n=0", "/raw/length?n=5"] {
        let answer = host.get(path);
        assert_eq!((answer.status, answer.code().as_str()), (500, "guest.bad_response"), "{path}");
        assert_eq!(code(&host), "guest.bad_response", "{path}");
    }
}

/// Anybody could have a new version taken back else, where that is watched.
#[test]
fn a_body_that_its_client_breaks_off_is_not_the_guests_failure() {
    let host = host("");
    for path in ["/raw3/echo", "/raw3/relay"] {
        let mut client = TcpStream::connect(host.data).unwrap();
        write!(client, "POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n").unwrap();
        let mut head = [0; 15];
        client.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK", "{path}");
        drop(client);
        let code = code(&host);
        assert!(["request.body_incomplete", "request.client_gone"].contains(&code.as_str()), "{path}: {code}");
    }
}

#[test]
fn a_body_over_its_limit_is_told_to_the_guest() {
    let host = host("[limits]\nrequest_body_mib = 1");
    let mut request = vec![];
    write!(request, "POST /raw3/size HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n")
        .unwrap();
    for _ in 0..24 {
        write!(request, "10000\r\n").unwrap();
        request.extend(vec![b'x'; 0x10000]);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    let answer = host.raw(&request);
    assert!(answer.contains("\r\n\r\n1\r\n0\r\n") || answer.contains("\r\n\r\n0"), "{answer}");
    until("the limit is counted", || host.metric("gust_limits_reached_total", &["limit=\"request_body_mib\""]) == 1.0);
}

#[test]
fn heads_and_trailers_are_as_they_shall() {
    let host = host("");
    assert_eq!(host.get("/raw3/forbidden").text(), "forbidden forbidden forbidden forbidden forbidden taken invalid");
    let trailers = host.node(
        "const client = require('http2').connect('URL');
         const request = client.request({ ':path': '/raw3/trailers' });
         let body = '';
         request.setEncoding('utf8');
         request.on('data', (piece) => body += piece);
         request.on('trailers', (trailers) => { console.log(body, trailers['x-trailer']); client.close(); });",
    );
    assert_eq!(trailers.trim(), "body 4");
    let head = send(&agent(), ureq::http::Request::head(format!("http://{}/raw3/hello", host.data)).body(()).unwrap());
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn a_guest_has_tasks_that_wait_at_the_same_time() {
    let host = host("[limits]\nwall_ms = 5000");
    // Each waits for 10 ms: one after the other they would be over their time.
    assert_eq!(host.get("/raw3/tasks?n=800").text(), "800");
}

#[test]
fn work_goes_on_after_the_answer() {
    let host = host("[limits]\nwall_ms = 2000");
    assert_eq!(host.get("/raw3/linger?n=200").text(), "done");
    host.logged(|line| line["message"] == "lingered");
    assert_eq!(code(&host), "");
    assert_eq!(host.get("/raw3/linger?n=60000").text(), "done");
    assert_eq!(code(&host), "limit.wall_ms");
    // How its answer was sent, a guest may ask.
    assert_eq!(host.get("/raw3/sent").text(), "body");
    host.logged(|line| line["message"] == "sent: Ok(())");
}

#[test]
fn a_client_that_goes_away_takes_its_guest_along() {
    let host = host("[limits]\nwall_ms = 60000");
    let client = host.begin("/raw3/never");
    host.until_serving(1);
    drop(client);
    host.until_serving(0);
}

#[test]
fn services_call_each_other_and_others() {
    let host = host("[allow]\nfunctions = [\"hello\", \"back\"]");
    host.deploy("hello");
    host.deploy_as("back", "raw3", "");
    let call = |urls: &str| host.get(&format!("/raw3/call?url={urls}"));
    assert_eq!(call("http://hello.gust.internal/?name=Ada").text(), "Hello, Ada!");
    assert_eq!(call("http://back.gust.internal/hello").text(), "Hello");
    let sent = bytes(500_000);
    for path in ["echo", "relay"] {
        let answer = host.call("POST", &format!("/raw3/call?url=http://back.gust.internal/{path}"), &sent);
        assert!(answer.body == sent, "{path}: {} {} bytes", answer.status, answer.body.len());
    }
    let several =
        "http://back.gust.internal/hello,http://hello.gust.internal/,http://other.gust.internal/,http://example.com/";
    let told = call(several);
    let told: Vec<&str> = told.text().split_inclusive(' ').collect();
    assert!(told.concat().starts_with("200:Hello 200:Hello, world! "), "{told:?}");
    assert_eq!(told.concat().matches("HttpRequestDenied").count(), 2, "{told:?}");
}

#[test]
fn a_call_has_its_time() {
    let host = host("[allow]\nfunctions = [\"back\"]");
    host.deploy_as("back", "raw3", "");
    let told = host.get("/raw3/call?url=http://back.gust.internal/never,http://back.gust.internal/hello");
    let told = told.text();
    assert!(told.contains("ConnectionReadTimeout") && told.ends_with(" 200:Hello"), "{told}");
    // Whoever was waited for in vain is ended.
    host.until_serving(0);
}

#[test]
fn many_services_at_the_same_time_do_not_mix() {
    let host = host("");
    thread::scope(|scope| {
        for client in 0..16_u8 {
            let host = &host;
            scope.spawn(move || {
                for round in 0..20 {
                    let sent = vec![client; 1000 + round * 997];
                    assert_eq!(host.call("POST", "/raw3/relay", &sent).body, sent);
                }
            });
        }
    });
}

#[test]
fn an_async_handler_of_the_sdk_streams() {
    let host = Host::start();
    host.deploy("hello");
    host.deploy("markdown");
    let allow = "[allow]\nfunctions = [\"hello\", \"markdown\"]";
    assert_eq!(host.deploy_as("live", "live", allow).status, 201);
    assert_eq!(host.call("POST", "/live/upper", b"quiet").text(), "QUIET");
    let events = host.get("/live/count?to=2");
    assert_eq!(events.header("content-type"), "text/event-stream");
    assert_eq!(events.text(), "event: number\ndata: 1\n\nevent: number\ndata: 2\n\n");
    let both = host.get("/live/both?name=Ada").json();
    assert_eq!(both["greeting"], "Hello, Ada!");
    assert!(both["page"].as_str().unwrap().contains("<h1>Ada</h1>"), "{both}");
    let missing = host.get("/live/nothing");
    assert_eq!((missing.status, missing.header("content-type")), (404, "application/problem+json"));
}
