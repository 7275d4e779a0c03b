//! Functions that send requests outside of their host: to peers on this machine, whose network the operator opens.

mod peer;
mod tls;

use std::{
    io::Read as _,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::Ordering::SeqCst,
    thread,
    time::{Duration, Instant},
};

use ureq::http::Request;

use self::peer::{Peer, answer, drain, write};
use crate::fixture::{Answer, Host, agent, send, until};

/// Peers of these tests are on this machine.
const OPEN: &[(&str, &str)] = &[("GUST_OUTBOUND_NETWORKS", "127.0.0.0/8")];

fn host_with(variables: &[(&str, &str)]) -> Host {
    Host::start_with(variables)
}

/// Deploys `front`, which passes requests on to those.
fn front(host: &Host, outbound: &str) {
    deploy(host, "front", outbound, "");
}

fn deploy(host: &Host, name: &str, outbound: &str, more: &str) {
    let manifest = format!("[allow]\noutbound = [{outbound}]\n[limits]\nwall_ms = 60000\n{more}");
    let answer = host.deploy_as(name, "raw", &manifest);
    assert_eq!(answer.status, 201, "{answer:?}");
}

/// Has `front` send a request, in the way that the headers say.
fn relay(host: &Host, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    relay_by(host, "front", method, url, headers, body)
}

fn relay_by(host: &Host, by: &str, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut request = Request::builder().method(method).uri(format!("http://{}/{by}/call?url={url}", host.data));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(&agent(), request.body(body).unwrap())
}

fn get(host: &Host, url: &str) -> String {
    relay(host, "GET", url, &[], b"").text().to_owned()
}

/// What `gust logs` has of what was said of a function's requests.
fn logs(host: &Host, function: &str) -> String {
    host.api("GET", &format!("/v1/functions/{function}/logs"), "", b"").text().to_owned()
}

#[test]
fn nothing_is_reached_that_is_not_named() {
    let (peer, host) = (Peer::greeting("hello"), host_with(OPEN));
    let url = format!("http://127.0.0.1:{}/", peer.port());
    host.deploy_as("front", "raw", "");
    assert_eq!(get(&host, &url), "ErrorCode::HttpRequestDenied");
    front(&host, &format!("\"http://127.0.0.1:{}\"", peer.port()));
    assert_eq!(get(&host, &url), "hello");
    for other in [
        format!("http://127.0.0.2:{}/", peer.port()),
        format!("http://localhost:{}/", peer.port()),
        format!("https://127.0.0.1:{}/", peer.port()),
        "http://127.0.0.1/".to_owned(),
        format!("http://127.0.0.1:{}/", peer.port() ^ 1),
        "http://example.com/".to_owned(),
    ] {
        assert_eq!(get(&host, &other), "ErrorCode::HttpRequestDenied", "{other}");
    }
    for spelling in ["0x7f000001", "2130706433", "017700000001", "127.1"] {
        let told = get(&host, &format!("http://{spelling}:{}/", peer.port()));
        assert_eq!(told, "ErrorCode::HttpRequestUriInvalid", "{spelling}");
    }
    assert_eq!(get(&host, &format!("http://[::ffff:127.0.0.1]:{}/", peer.port())), "hello");
    assert_eq!(peer.connections.load(SeqCst), 1);
    // Its owner learns what to write, once for each.
    let told = logs(&host, "front");
    assert_eq!(told.matches("[allow] outbound = [\\\"http://example.com\\\"]").count(), 1, "{told}");
}

#[test]
fn a_wildcard_is_for_those_below() {
    let (peer, host) = (Peer::greeting("hello"), host_with(OPEN));
    // Names below `localhost` are this machine's where the system's resolver knows them (RFC 6761); else there is no answer.
    front(&host, &format!("\"http://*.localhost:{}\"", peer.port()));
    let below = get(&host, &format!("http://a.b.localhost:{}/", peer.port()));
    assert!(below == "hello" || below.starts_with("ErrorCode::DnsError"), "{below}");
    assert_eq!(get(&host, &format!("http://localhost:{}/", peer.port())), "ErrorCode::HttpRequestDenied");
    assert_eq!(get(&host, &format!("http://xlocalhost:{}/", peer.port())), "ErrorCode::HttpRequestDenied");
    front(&host, "\"http://*.invalid\"");
    let unknown = get(&host, "http://peer.invalid/");
    assert!(unknown.starts_with("ErrorCode::DnsError"), "{unknown}");
}

#[test]
fn methods_and_ports_are_named() {
    let (peer, host) = (Peer::greeting("hello"), host_with(OPEN));
    front(&host, "{ to = \"http://127.0.0.0/8:*\", methods = [\"POST\"] }");
    let url = format!("http://127.0.0.1:{}/", peer.port());
    assert_eq!(relay(&host, "POST", &url, &[], b"body").text(), "hello");
    assert_eq!(relay(&host, "GET", &url, &[], b"").text(), "ErrorCode::HttpRequestDenied");
}

#[test]
fn what_is_not_public_is_the_operators_to_open() {
    let peer = Peer::greeting("hello");
    let urls = ["127.0.0.1", "localhost"].map(|name| format!("http://{name}:{}/", peer.port()));
    let named = "\"http://127.0.0.1:*\", \"http://localhost:*\", \"http://169.254.169.254\"";
    let host = host_with(&[]);
    front(&host, named);
    for url in &urls {
        assert_eq!(get(&host, url), "ErrorCode::DestinationIpProhibited");
    }
    assert_eq!(get(&host, "http://169.254.169.254/"), "ErrorCode::DestinationIpProhibited");
    // The admin API least of all, by whatever name.
    assert_eq!(
        get(&host, &format!("http://localhost:{}/healthz", host.admin.port())),
        "ErrorCode::DestinationIpProhibited"
    );
    assert!(logs(&host, "front").contains("outbound_networks"), "{}", logs(&host, "front"));
    assert_eq!(peer.connections(), 0);
    let host = host.kill_and_restart_with(&[("GUST_OUTBOUND_NETWORKS", "127.0.0.0/8,::1")]);
    for url in &urls {
        assert_eq!(get(&host, url), "hello");
    }
    assert_eq!(get(&host, "http://169.254.169.254/"), "ErrorCode::DestinationIpProhibited");
}

#[test]
fn a_redirect_is_an_answer_and_following_it_another_request() {
    let secret = Peer::greeting("secret");
    let to = format!("http://127.0.0.1:{}/", secret.port());
    let location = format!("location: {to}\r\n");
    let peer = Peer::new(move |_, stream| {
        write(stream, format!("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n{location}\r\n").as_bytes())
    });
    let host = host_with(OPEN);
    front(&host, &format!("\"http://127.0.0.1:{}\"", peer.port()));
    // Not by a client that would follow it.
    let path = format!("/front/call?url=http://127.0.0.1:{}/", peer.port());
    let answer = host.raw(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 302 ") && answer.contains(&format!("peer-location: {to}\r\n")), "{answer}");
    assert_eq!(get(&host, &to), "ErrorCode::HttpRequestDenied");
    assert_eq!(secret.connections(), 0);
}

#[test]
fn what_speaks_of_a_connection_stays_on_it() {
    let peer = Peer::new(|head, stream| {
        drain(head, stream);
        answer(stream, "connection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nx-end: 2\r\n", b"seen")
    });
    let host = host_with(OPEN);
    front(&host, "\"http://127.0.0.1:*\"");
    let url = format!("http://127.0.0.1:{}/a%20b?c=d", peer.port());
    let answer = relay(&host, "GET", &url, &[("send", "x-a: b, te: gzip"), ("x-request-id", "trace-1")], b"");
    assert_eq!((answer.text(), answer.header("peer-x-end")), ("seen", "2"));
    for gone in ["peer-x-hop", "peer-keep-alive", "peer-connection"] {
        assert!(!answer.headers.contains_key(gone), "{answer:?}");
    }
    let head = peer.last_head();
    assert!(head.starts_with("GET /a%20b?c=d HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: 127.0.0.1:{}\r\n", peer.port())) && head.contains("x-a: b\r\n"), "{head}");
    // Nothing is added that the guest did not say.
    for not_said in ["te:", "x-request-id", "x-gust", "traceparent", "user-agent", "x-forwarded"] {
        assert!(!head.contains(not_said), "{head}");
    }
}

#[test]
fn each_step_has_its_time() {
    // One that takes a head and says nothing, one that says half, and one whose queue is full.
    let silent = Peer::new(|_, stream| head_of_next(stream));
    let halting = Peer::new(|_, stream| {
        write(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
        head_of_next(stream)
    });
    let host = host_with(OPEN);
    front(&host, "\"http://127.0.0.1:*\"");
    let began = Instant::now();
    let url = |peer: &Peer| format!("http://127.0.0.1:{}/", peer.port());
    let short = "50000000";
    let told = relay(&host, "GET", &url(&silent), &[("first-byte-ns", short)], b"");
    assert_eq!(told.text(), "ErrorCode::ConnectionReadTimeout");
    let told = relay(&host, "GET", &url(&halting), &[("between-bytes-ns", short), ("tell", "1")], b"");
    assert_eq!(told.text(), "half then connection read timeout");
    host.deploy_as("typed", "hostile", "[allow]\noutbound = [\"http://127.0.0.1:*\"]");
    assert_eq!(host.get(&format!("/typed/call-within?n=50&url={}", url(&silent))).code(), "guest.failed");
    let why = host.logged(|line| line["code"] == "guest.failed")["internal"].as_str().unwrap().to_owned();
    assert!(why.contains("ConnectionReadTimeout"), "{why}");
    let full = full_listener();
    let told = relay(&host, "GET", &format!("http://{}/", full.0), &[("connect-ns", short)], b"");
    assert_eq!(told.text(), "ErrorCode::ConnectionTimeout");
    assert!(began.elapsed() < Duration::from_secs(20));
    // Whatever a guest wants, its own time is its last.
    deploy(&host, "hasty", "\"http://127.0.0.1:*\"", "");
    host.deploy_as("hasty", "raw", "[allow]\noutbound = [\"http://127.0.0.1:*\"]\n[limits]\nwall_ms = 200");
    let over = relay_by(&host, "hasty", "GET", &url(&silent), &[("wait-ns", &u64::MAX.to_string())], b"");
    assert_eq!(over.code(), "limit.wall_ms");
}

/// Waits until the host ends the connection.
fn head_of_next(stream: peer::Exchange) -> bool {
    let _ = stream.read(&mut [0; 64]);
    false
}

/// A listener that accepts nobody, whose queue is full, with what fills it.
fn full_listener() -> (SocketAddr, Vec<TcpStream>, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200));
    let held = std::iter::from_fn(|| connect().ok()).collect();
    (address, held, listener)
}

#[test]
fn a_peer_that_dies_or_babbles_is_told_apart() {
    let dies = Peer::new(|_, stream| {
        write(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
        false
    });
    let dumb = Peer::new(|_, _| false);
    let babbles = Peer::new(|_, stream| {
        write(stream, b"HTTP/1.1 200 OK\r\n");
        while write(stream, b"x-more: and more\r\n") {}
        false
    });
    let raves = Peer::new(|_, stream| write(stream, b"this is no HTTP\r\n\r\n"));
    let host = host_with(OPEN);
    front(&host, "\"http://127.0.0.1:*\"");
    let told = |peer: &Peer| {
        relay(&host, "GET", &format!("http://127.0.0.1:{}/", peer.port()), &[("tell", "1")], b"").text().to_owned()
    };
    assert_eq!(told(&dies), "half then incomplete HTTP response");
    assert_eq!(told(&dumb), "ErrorCode::ConnectionTerminated");
    assert_eq!(told(&babbles), "ErrorCode::HttpResponseHeaderSectionSize(None)");
    assert_eq!(told(&raves), "ErrorCode::HttpProtocolError");
    let nobody = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    assert_eq!(get(&host, &format!("http://{nobody}/")), "ErrorCode::ConnectionRefused");
    host.until_serving(0);
}

#[test]
fn large_bodies_stream_both_ways() {
    const BYTES: usize = 32 << 20;
    let peer = Peer::new(|head, stream| {
        let (bytes, _) = drain(head, stream);
        let mut goes_on = write(stream, format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n").as_bytes());
        for _ in 0..bytes >> 16 {
            goes_on = goes_on && write(stream, &[b'y'; 1 << 16]);
        }
        goes_on
    });
    let host = host_with(OPEN);
    let limits = "request_body_mib = 32\nresponse_body_mib = 32\ncalls_body_mib = 64\n";
    deploy(&host, "front", "\"http://127.0.0.1:*\"", limits);
    let url = format!("http://127.0.0.1:{}/", peer.port());
    let there_and_back = |bytes: usize| {
        let answer = relay(&host, "POST", &url, &[], &vec![b'x'; bytes]);
        assert!(answer.body.len() == bytes && answer.body.iter().all(|byte| *byte == b'y'), "{}", answer.body.len());
    };
    // What is made once, as optimised code and a connection, is not of the bodies.
    host.until_optimised("front");
    there_and_back(1 << 20);
    let before = peak_mib(&host);
    there_and_back(BYTES);
    let grown = peak_mib(&host) - before;
    assert!(grown < 16, "it held {grown} MiB of them");
    // What is over the limit breaks off.
    deploy(&host, "front", "\"http://127.0.0.1:*\"", "calls_body_mib = 1\n");
    let endless = Peer::new(|_, stream| {
        write(stream, b"HTTP/1.1 200 OK\r\n\r\n");
        while write(stream, &[b'z'; 1 << 16]) {}
        false
    });
    let told = relay(&host, "GET", &format!("http://127.0.0.1:{}/", endless.port()), &[("tell", "1")], b"");
    assert!(told.text().ends_with("calls_body_mib, 1, allows"), "{}", told.text().trim_start_matches('z'));
}

/// The most memory that it had in use, in MiB.
fn peak_mib(host: &Host) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

#[test]
fn connections_are_kept_for_the_function_that_made_them() {
    let (peer, host) = (Peer::greeting("hello"), host_with(OPEN));
    front(&host, "\"http://127.0.0.1:*\"");
    deploy(&host, "other", "\"http://127.0.0.1:*\"", "");
    let url = format!("http://127.0.0.1:{}/", peer.port());
    for _ in 0..10 {
        assert_eq!(get(&host, &url), "hello");
    }
    assert_eq!(peer.connections(), 1);
    for _ in 0..10 {
        assert_eq!(relay_by(&host, "other", "GET", &url, &[], b"").text(), "hello");
    }
    assert_eq!(peer.connections(), 2);
    // At the same time each has its own.
    let slow = Peer::new(|head, stream| {
        drain(head, stream);
        thread::sleep(Duration::from_millis(300));
        answer(stream, "", b"late")
    });
    let url = format!("http://127.0.0.1:{}/", slow.port());
    thread::scope(|scope| {
        let all: Vec<_> = (0..6).map(|_| scope.spawn(|| get(&host, &url))).collect();
        all.into_iter().for_each(|one| assert_eq!(one.join().unwrap(), "late"));
    });
    assert_eq!(slow.connections(), 6);
}

#[test]
fn trailers_go_both_ways() {
    let peer = Peer::new(|head, stream| {
        let (_, trailers) = drain(head, stream);
        let sent = trailers.trim().replace("x-sent", "x-peer");
        write(
            stream,
            format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-peer\r\n\r\n2\r\nok\r\n0\r\n{sent}\r\n\r\n"
            )
            .as_bytes(),
        )
    });
    let host = host_with(OPEN);
    front(&host, "\"http://127.0.0.1:*\"");
    let script = format!(
        "const request = require('http2').connect('URL').request({{ ':path': '/front/call?url=http://127.0.0.1:{}/', ':method': 'POST',
           'send-trailer': 'sum' }});
         request.on('trailers', (trailers) => {{ console.log(trailers['x-peer']); request.session.close(); }});
         request.resume(); request.end('body');",
        peer.port()
    );
    assert_eq!(host.node(&script).trim(), "sum");
}

#[test]
fn a_guest_that_ends_takes_its_requests_along() {
    let peer = Peer::new(|_, stream| head_of_next(stream));
    let host = host_with(OPEN);
    front(&host, "\"http://127.0.0.1:*\"");
    let stream = host.begin(&format!("/front/call?url=http://127.0.0.1:{}/", peer.port()));
    until("the peer is asked", || peer.heads.lock().unwrap().len() == 1);
    drop(stream);
    host.until_serving(0);
}
