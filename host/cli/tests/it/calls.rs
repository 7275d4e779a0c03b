//! Calling functions: the way of a request, as its client sees it.

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

use ureq::http::Request;

use crate::fixture::{Host, PATIENCE, agent, send, until};

#[test]
fn a_function_answers() {
    let host = Host::start();
    host.deploy("hello");
    let answer = host.get("/hello?name=Ada");
    assert_eq!((answer.status, answer.text()), (200, "Hello, Ada!"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("x-request-id").len(), 32);
    let timing = answer.header("server-timing").to_owned();
    for part in ["queue;dur=", "init;dur=", "run;dur="] {
        assert!(timing.contains(part), "{timing}");
    }
}

#[test]
fn what_is_not_there_is_said() {
    let host = Host::start();
    for path in ["/", "/nothing", "/nothing/below", "/%2e%2e/hello", "/Hello"] {
        let answer = host.get(path);
        assert_eq!((answer.status, answer.code().as_str()), (404, "function.not_found"), "{path}");
    }
    assert_eq!(host.call("TRACE", "/hello", b"").code(), "request.method_not_supported");
}

#[test]
fn a_clients_request_id_is_kept_if_it_is_harmless() {
    let host = Host::start();
    host.deploy("hello");
    let id_for = |sent: &str| {
        let request = Request::get(format!("http://{}/hello", host.data)).header("x-request-id", sent);
        send(&agent(), request.body(()).unwrap()).header("x-request-id").to_owned()
    };
    assert_eq!(id_for("my-trace.1"), "my-trace.1");
    assert_ne!(id_for("two words"), "two words");
    assert_eq!(id_for(&"x".repeat(65)).len(), 32);
}

#[test]
fn a_connection_is_kept_and_head_has_no_body() {
    let host = Host::start();
    host.deploy("hello");
    let mut stream = TcpStream::connect(host.data).unwrap();
    for _ in 0..3 {
        stream.write_all(b"HEAD /hello HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).unwrap();
        }
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-length: 13"), "{head}");
        assert!(reader.buffer().is_empty());
    }
}

#[test]
fn http2_is_spoken_too() {
    let host = Host::start();
    host.deploy("hello");
    let script = format!(
        "const c = require('http2').connect('http://{}');
         let open = 20;
         for (let i = 0; i < 20; i++) {{
           const r = c.request({{ ':path': '/hello?name=' + i }});
           let status, body = '';
           r.on('response', (h) => status = h[':status']);
           r.setEncoding('utf8');
           r.on('data', (d) => body += d);
           r.on('end', () => {{
             if (status !== 200 || body !== `Hello, ${{i}}!`) process.exit(1);
             if (--open === 0) c.close();
           }});
         }}
         c.on('error', () => process.exit(2));",
        host.data
    );
    let status = Command::new("node").args(["-e", &script]).status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn the_connection_stays_between_client_and_host() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "");
    let request = Request::get(format!("http://{}/hostile/headers", host.data));
    let request = request.header("connection", "x-secret").header("x-secret", "1").header("x-open", "2");
    let seen = send(&agent(), request.body(()).unwrap());
    let seen = seen.text();
    assert!(!seen.contains("x-secret") && !seen.contains("\"connection\""), "{seen}");
    assert!(seen.contains("\"x-open\": \"2\"") && seen.contains("\"x-forwarded-prefix\": \"/hostile\""), "{seen}");
}

#[test]
fn bodies_have_limits_both_ways() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "[limits]\nrequest_body_mib = 1\nresponse_body_mib = 1");
    let exact = vec![b'x'; 1 << 20];
    assert_eq!(host.call("POST", "/hostile/count", &exact).text(), "1048576");
    let over = vec![b'x'; (1 << 20) + 1];
    let answer = host.call("POST", "/hostile/count", &over);
    assert_eq!((answer.status, answer.code().as_str()), (413, "limit.request_body"));
    // Without a stated length it is found out on the way.
    let mut chunked = b"POST /hostile/count HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..33 {
        chunked.extend_from_slice(b"8000\r\n");
        chunked.extend_from_slice(&[b'x'; 0x8000]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = host.raw_until_head(&chunked);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let answer = host.get("/hostile/big?n=1048577");
    assert_eq!((answer.status, answer.code().as_str()), (500, "limit.response_body"));
    assert_eq!(host.get("/hostile/big?n=1048576").body.len(), 1 << 20);
}

#[test]
fn a_body_that_is_sent_slowly_holds_no_instance() {
    let host = Host::start_with(&[("GUST_INSTANCES_MAX", "2")]);
    host.deploy_as("slow", "hello", "[limits]\nwall_ms = 2000");
    host.deploy("hello");
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(host.data).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(b"POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1").unwrap();
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(host.get("/hello").status, 200);
    }
    for mut stream in senders {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 408");
    }
    assert_eq!(
        host.logged(|line| line["target"] == "gust::request" && line["function"] == "slow")["code"],
        "request.timeout"
    );
}

#[test]
fn an_oversize_body_is_refused_before_it_is_sent() {
    let host = Host::start();
    host.deploy("hello");
    let head = b"PUT /hello HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 99999999999\r\n\r\n";
    let answer = host.raw_until_head(head);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[test]
fn requests_that_could_be_read_in_two_ways_are_refused() {
    let host = Host::start();
    host.deploy("hello");
    for head in [
        "POST /hello HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\n",
        "POST /hello HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\n",
        "POST /hello HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n",
        "GET /hello HTTP/1.1\r\n\r\n",
        "GET /hello HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        "GET /hello HTTP/1.1\r\nhost : x\r\n\r\n",
        "GET /hello HTTP/1.1\r\nhost: a, b\r\n\r\n",
        "GET /hello HTTP/1.1\r\nhost: user@x\r\n\r\n",
        "GET /hello HTTP/1.1\r\nhost: x/y\r\n\r\n",
        "GET /hello HTTP/1.1\r\nhost: x:99999\r\n\r\n",
        "GET http://user@x/hello HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET http://x/hello HTTP/1.1\r\n\r\n",
    ] {
        let answer = host.raw_until_head(head.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400"), "{head:?}: {answer:?}");
    }
}

#[test]
fn head_may_state_the_length_of_another_answer() {
    let host = Host::start();
    host.deploy_as("raw", "raw", "");
    let answer = host.raw_until_head(b"HEAD /raw/length-only?n=1234 HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("content-length: 1234"), "{answer}");
    let answer = host.raw_until_head(b"GET /raw/status?n=204 HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 204") && !answer.contains("content-length"), "{answer}");
}

#[test]
fn an_answer_that_ends_with_its_connection_is_reset_where_it_breaks_off() {
    let host = Host::start();
    host.deploy_as("raw", "raw", "");
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(host.data).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
        stream.read_to_end(&mut Vec::new())
    };
    assert!(ask("/raw/stream?n=64").is_ok());
    // Often, for the guest's end and its body's are seen by two threads.
    for _ in 0..50 {
        assert_eq!(ask("/raw/trap-late?n=64").unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn the_host_a_client_asked_for_stays() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "");
    let answer = host.raw(b"GET /hostile/headers HTTP/1.1\r\nhost: example.com\r\nconnection: host, close\r\n\r\n");
    assert!(answer.contains("\"host\": \"example.com\""), "{answer}");
}

#[test]
fn methods_of_any_length_are_not_kept() {
    let host = Host::start();
    host.deploy("hello");
    let long = "A".repeat(4000);
    let answer = host.raw_until_head(format!("{long} /hello HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 501"), "{answer}");
    let logged = host.logged(|line| line["code"] == "request.method_not_supported");
    assert_eq!(logged["method"].as_str().unwrap().len(), 32);
}

/// Whether the host ends the connection, in time and without a word.
fn is_ended(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    matches!(stream.read(&mut [0; 64]), Ok(0))
}

#[test]
fn connections_that_stand_still_are_ended() {
    let host = Host::start_with(&[("GUST_IDLE_MS", "300"), ("GUST_CONNECTIONS_MAX", "8")]);
    host.deploy("hello");
    host.deploy_as("hostile", "hostile", "");
    // More silent clients than there are places: each is ended, so that who comes after is served.
    let silent: Vec<_> = (0..12).map(|_| TcpStream::connect(host.data).unwrap()).collect();
    assert_eq!(host.get("/hello").status, 200);
    assert!(silent.into_iter().all(is_ended));
    // HTTP/2: the preface and empty settings, then nothing.
    let mut silent = TcpStream::connect(host.data).unwrap();
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(silent.read_to_end(&mut Vec::new()).is_ok(), "it is ended, in time");
    // A function at work is waited for, longer than the patience.
    assert_eq!(host.get("/hostile/sleep?n=1500").text(), "done");
}

#[test]
fn a_client_that_does_not_read_loses_its_instance() {
    let host = Host::start_with(&[("GUST_IDLE_MS", "300")]);
    host.deploy_as("raw", "raw", "[limits]\nwall_ms = 500\nresponse_body_mib = 64\nconcurrency = 1");
    let mut stream = TcpStream::connect(host.data).unwrap();
    stream.write_all(b"GET /raw/stream?n=16000 HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    host.until_serving(1);
    until("its place is free", || host.get("/raw").status == 200);
    drop(stream);
}

#[test]
fn a_body_that_stays_away_is_its_clients_fault_after_the_head_too() {
    let host = Host::start();
    host.deploy_as("raw", "raw", "[limits]\nwall_ms = 500");
    let mut stream = TcpStream::connect(host.data).unwrap();
    stream.write_all(b"POST /raw/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1").unwrap();
    let line = host.logged(|line| line["target"] == "gust::request");
    assert_eq!((&line["code"], &line["status"]), (&"request.timeout".into(), &200.into()), "{line}");
    drop(stream);
}

#[test]
fn every_request_leaves_one_receipt() {
    let host = Host::start();
    host.deploy("hello");
    host.deploy_as("raw", "raw", "");
    for _ in 0..20 {
        host.get("/hello");
        host.get("/raw");
        host.get("/nothing");
    }
    // A client that goes away in the middle.
    drop(
        TcpStream::connect(host.data)
            .map(|mut s| s.write_all(b"POST /hello HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1")),
    );
    let count = |labels: &[&str]| host.metric("gust_requests_total", labels) as u32;
    until("all are counted", || count(&[]) >= 61);
    assert_eq!(count(&["function=\"hello\"", "status=\"200\""]), 20);
    assert_eq!(count(&["function=\"raw\"", "status=\"200\""]), 20);
    assert_eq!(count(&["status=\"404\""]), 20);
    assert_eq!(count(&["function=\"hello\""]), 21, "the one that was broken off is counted, once");
    let line = host.logged(|line| line["target"] == "gust::request" && line["function"] == "raw");
    assert_eq!((line["status"].as_u64(), line["method"].as_str()), (Some(200), Some("GET")));
    assert!(line["total_us"].as_u64().unwrap() > 0 && line["memory_bytes_peak"].as_u64().unwrap() >= 65_536, "{line}");
}

#[test]
fn a_client_that_goes_away_takes_its_guest_along() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "[limits]\nconcurrency = 1");
    let mut stream = TcpStream::connect(host.data).unwrap();
    stream.write_all(b"GET /hostile/loop HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    host.until_serving(1);
    drop(stream);
    until("its place is free again", || host.get("/hostile/state").status == 200);
}

impl Host {
    /// Sends bytes; what came back when the first head was whole.
    fn raw_until_head(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.data).unwrap();
        // The host may answer and close before all is sent.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
            answer.push(byte[0]);
        }
        String::from_utf8(answer).unwrap()
    }
}
