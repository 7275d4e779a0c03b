//! Clients that break the rules of HTTP, or keep them and mean harm: what is malformed is refused once and for all, what is slow
//! ends, what floods is cut off.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use ureq::http::Request;

use super::{Watch, frames};
use crate::fixture::{Host, PATIENCE, agent, send, until};

/// A host with a function `f` that tells what it was sent.
fn host() -> Host {
    let host = Host::start();
    host.deploy_as("f", "hostile", "");
    host
}

/// All that comes back for some bytes: the statuses of the answers, and whether the host ended the connection. It is asked whether it
/// has by the bytes of another request, which a connection that goes on answers.
fn answers(host: &Host, bytes: &[u8]) -> (Vec<u16>, bool) {
    let mut stream = TcpStream::connect(host.data).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    // Where the connection is ended this may be too late to be taken.
    let _ = stream.write_all(b"GET /neighbour HTTP/1.1\r\nhost: last\r\nconnection: close\r\n\r\n");
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    let text = String::from_utf8_lossy(&all).into_owned();
    let statuses: Vec<u16> = text.split("HTTP/1.1 ").skip(1).map(|rest| rest[..3].parse().unwrap()).collect();
    let goes_on = text.ends_with("a good neighbour");
    (statuses, !goes_on)
}

fn post(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /f/count HTTP/1.1\r\nhost: x\r\n{headers}\r\n{body}").into_bytes()
}

#[test]
fn what_could_end_in_two_places_is_refused_or_ends_the_connection() {
    let host = host();
    let watch = Watch::begin(&host);
    let chunked = "transfer-encoding: chunked\r\n";
    for refused in [
        post("content-length: 4\r\ncontent-length: 5\r\n", "abcd"),
        post("content-length: 1, 1\r\n", "a"),
        post("content-length: +5\r\n", "abcde"),
        post("transfer-encoding: chunked, chunked\r\n", "0\r\n\r\n"),
        post("content-length: -1\r\n", ""),
        post("content-length: 0x1\r\n", "a"),
        post("content-length: \r\n", ""),
        post("content-length : 1\r\n", "a"),
        post("transfer-encoding: xchunked\r\n", "0\r\n\r\n"),
        post("transfer-encoding: chunked, gzip\r\n", "0\r\n\r\n"),
        post("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", "0\r\n\r\n"),
        post(chunked, "1;a\nb\r\nx\r\n0\r\n\r\n"),
        post(chunked, "1\nx\r\n0\r\n\r\n"),
        post(chunked, "-1\r\nx\r\n0\r\n\r\n"),
        post(chunked, "ffffffffffffffffff\r\nx\r\n0\r\n\r\n"),
        post("a: b\r\n c\r\n", ""),
        post("a: \0\r\n", ""),
        b"POST /f/count HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
    ] {
        let shown = String::from_utf8_lossy(&refused).into_owned();
        assert_eq!(answers(&host, &refused), (vec![400], true), "{shown:?}");
    }
    // hyper lets the encoding win and takes the length away, as RFC 9112, section 6.3, allows; what matters then is that nothing
    // after it is taken for a request.
    for smuggles in [
        post(&format!("content-length: 6\r\n{chunked}"), "0\r\n\r\nG"),
        post(&format!("{chunked}content-length: 3\r\n"), "0\r\n\r\nGET /f/trap HTTP/1.1\r\nhost: x\r\n\r\n"),
    ] {
        assert_eq!(answers(&host, &smuggles), (vec![200], true), "one answer, and the connection's end");
    }
    // What says the same thing twice says one thing (RFC 9110, section 8.6), and a line may end in LF alone (RFC 9112, section 2.2).
    for taken in
        [post("content-length: 1\r\ncontent-length: 1\r\n", "a"), b"GET /f/headers HTTP/1.1\nhost: x\n\n".to_vec()]
    {
        assert_eq!(answers(&host, &taken), (vec![200, 200], false));
    }
    // Those whose encoding or chunks were malformed had a head, and so a line; what was no head has none.
    watch.check(&[&["request.malformed"][..], &["request.body_incomplete"; 4]].concat());
}

/// What hyper says by itself to the next request, before the answer to one whose body nobody reads has left.
#[test]
fn an_early_answer_is_whole_before_the_next_one_begins() {
    let host = host();
    host.deploy_as("streams", "raw", "");
    let chunked = "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let waits = "expect: 100-continue\r\nconnection: close\r\ncontent-length: 1\r\n";
    for early in ["/nowhere", "/streams/status?n=200"] {
        let early = format!("POST {early} HTTP/1.1\r\nhost: x\r\n{chunked}").into_bytes();
        for (next, answer) in [(b"NO REQUEST\r\n\r\n".to_vec(), "HTTP/1.1 400 "), (post(waits, "x"), "HTTP/1.1 100 ")] {
            let answers = host.raw(&[&*early, &*next].concat());
            let (_, behind_head) = answers.split_once("\r\n\r\n").unwrap();
            let is_in_order = !behind_head.starts_with("HTTP/1.1 ") && behind_head.contains(answer);
            assert!(is_in_order, "{}: {answers}", String::from_utf8_lossy(&next));
        }
    }
}

#[test]
fn what_an_encoding_hides_is_not_handed_on() {
    let host = host();
    let watch = Watch::begin(&host);
    let answer = answers(&host, &post("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n"));
    assert_eq!(answer.0[0], 400);
    watch.check(&["request.malformed"]);
}

#[test]
fn a_request_is_for_one_host() {
    let host = host();
    let watch = Watch::begin(&host);
    let get = |target: &str, hosts: &str| {
        let statuses = answers(&host, format!("GET {target} HTTP/1.1\r\n{hosts}\r\n").as_bytes()).0;
        statuses[0]
    };
    let malformed =
        ["", "host: x\r\nhost: y\r\n", "host: a b\r\n", "host: a/b\r\n", "host: u@x\r\n", "host: x:99999\r\n"];
    for hosts in malformed {
        assert_eq!(get("/f/headers", hosts), 400, "{hosts:?}");
    }
    let seen = host.raw(b"GET http://target.test/f/headers HTTP/1.1\r\nhost: header.test\r\nconnection: close\r\n\r\n");
    assert!(seen.contains("\"host\": \"target.test\""), "the target wins (RFC 9112, section 3.2.2): {seen}");
    watch.check(&["request.malformed"; 6]);
}

#[test]
fn heads_have_an_end() {
    let host = host();
    let watch = Watch::begin(&host);
    let head = |count: usize, bytes: usize| {
        let many: String = (0..count).map(|n| format!("x-{n}: y\r\n")).collect();
        post(&format!("{many}x-long: {}\r\ncontent-length: 0\r\n", "y".repeat(bytes)), "")
    };
    assert_eq!(answers(&host, &head(90, 1)).0[0], 200);
    assert_eq!(answers(&host, &head(101, 1)), (vec![431], true), "too many");
    assert_eq!(answers(&host, &head(1, 17 << 10)).0[0], 431, "too large");
    assert_eq!(answers(&host, &head(1, 100 << 10)), (vec![431], true), "too large to be read");
    let target = format!("GET /f/{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70_000));
    assert!(matches!(answers(&host, target.as_bytes()), (statuses, true) if statuses == [414] || statuses == [431]));
    watch.check(&["request.headers_too_large"]);
}

#[test]
fn no_path_leads_to_another_function_than_it_says() {
    let host = host();
    let watch = Watch::begin(&host);
    for path in ["/%2e%2e/f/headers", "/x/../f/headers", "/f%00/headers", "/f%2fheaders", "//f/headers", "/./f/headers"]
    {
        let status = answers(&host, format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).0[0];
        assert!(status == 400 || status == 404, "{path}: {status}");
    }
    watch.check(&["function.not_found"; 6]);
}

#[test]
fn what_is_of_the_connection_stays_here() {
    let host = host();
    let watch = Watch::begin(&host);
    let head = "GET /f/headers HTTP/1.1\r\nhost: x\r\nconnection: x-secret\r\nconnection: close, x-other\r\nx-secret: 1\r\n\
        x-other: 2\r\nkeep-alive: 3\r\nproxy-connection: 4\r\nte: trailers\r\nupgrade: h2c\r\nx-open: 5\r\n\r\n";
    let seen = host.raw(head.as_bytes());
    for hidden in ["x-secret", "x-other", "\"keep-alive\"", "proxy-connection", "\"te\"", "upgrade", "\"connection\""] {
        assert!(!seen.contains(hidden), "{hidden}: {seen}");
    }
    assert!(seen.contains("x-open"), "{seen}");
    watch.check(&[]);
}

#[test]
fn what_is_no_call_of_a_function_is_refused() {
    let host = host();
    let watch = Watch::begin(&host);
    for head in [
        "CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\n\r\n",
        "TRACE /f HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /f/headers HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    ] {
        assert_eq!(answers(&host, head.as_bytes()).0[0], 501, "{head:?}");
    }
    watch.check(&["request.method_not_supported"; 3]);
}

#[test]
fn a_head_that_comes_slowly_is_not_waited_for() {
    let host = Host::start_with(&[("GUST_HEADER_MS", "300")]);
    let watch = Watch::begin(&host);
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(host.data).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(b"GET /neighbour HTTP/1.1\r\nhost: x\r\nx-").unwrap();
            stream
        })
        .collect();
    for mut stream in slow {
        let ended = stream.read_to_end(&mut Vec::new());
        assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    }
    watch.check(&[]);
}

#[test]
fn more_connections_than_may_be_keep_nobody_from_the_admin_api() {
    let host = Host::start_with(&[("GUST_CONNECTIONS_MAX", "40"), ("GUST_IDLE_MS", "500")]);
    let watch = Watch::begin(&host);
    let silent: Vec<_> = (0..120).map(|_| TcpStream::connect(host.data).unwrap()).collect();
    until("as many are open as may be", || host.metric("gust_connections", &[]) >= 40.0);
    assert_eq!(host.api("GET", "/healthz", "", b"").status, 200);
    assert!(host.metric("gust_connections", &[]) <= 40.0);
    watch.check(&[]);
    drop(silent);
}

/// Sends frames, made anew each time, until the host ends the connection. Gives the error of its GOAWAY, where it sent one.
fn flood(host: &Host, mut make: impl FnMut(u32) -> Vec<u8>) -> Option<u32> {
    let mut stream = TcpStream::connect(host.data).unwrap();
    stream.write_all(&frames::preface()).unwrap();
    let mut reader = stream.try_clone().unwrap();
    reader.set_read_timeout(Some(PATIENCE)).unwrap();
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = reader.read_to_end(&mut all);
        all
    });
    let mut sent = 0_usize;
    for turn in 0.. {
        let bytes = make(turn);
        sent += bytes.len();
        assert!(sent < 64 << 20, "the host takes it all");
        // What comes after its end is read and thrown away for a moment, so that the client gets its last word.
        if stream.write_all(&bytes).is_err() || reading.is_finished() {
            break;
        }
    }
    let all = reading.join().unwrap();
    let (mut rest, mut error) = (&*all, None);
    while let Some((head, after)) = rest.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some((payload, after)) = after.split_at_checked(length) else { break };
        if head[3] == frames::GOAWAY {
            error = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        rest = after;
    }
    error
}

/// ENHANCE_YOUR_CALM (RFC 9113, section 7).
const CALM: Option<u32> = Some(11);

#[test]
fn floods_over_http2_are_cut_off() {
    use frames::*;
    let host = host();
    let watch = Watch::begin(&host);
    let get = |stream: u32| frame(HEADERS, END_HEADERS | END_STREAM, stream, &request(GET, "/f/headers"));
    let rapid_reset = |turn: u32| {
        let streams = (turn * 100..turn * 100 + 100).map(|nth| 2 * nth + 1);
        streams.flat_map(|stream| [get(stream), frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()).collect()
    };
    let headers_without_end = |turn: u32| match turn {
        0 => frame(HEADERS, END_STREAM, 1, &request(GET, "/f/headers")),
        _ => frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b").repeat(100),
    };
    let nothing_without_end = |turn: u32| match turn {
        0 => frame(HEADERS, END_HEADERS, 1, &request(POST, "/f/count")),
        _ => frame(DATA, 0, 1, &[]).repeat(1000),
    };
    // One large field, kept in the table, named again and again.
    let bomb = |turn: u32| {
        let mut block = request(GET, "/f/headers");
        block.extend([0x40, 1, b'a', 0x7f, 0xb1, 0x17]);
        block.extend([b'z'; 3120]);
        block.extend([0xbe; 8000]);
        frame(HEADERS, END_HEADERS | END_STREAM, 2 * turn + 1, &block)
    };
    assert_eq!(flood(&host, rapid_reset), CALM, "rapid reset");
    assert_eq!(flood(&host, headers_without_end), CALM, "continuation");
    assert_eq!(flood(&host, nothing_without_end), CALM, "empty data");
    assert_eq!(flood(&host, bomb), CALM, "a header bomb");
    // These mean nothing to h2, which answers them one by one; the host counts their bytes and ends the connection.
    for (name, one) in [
        ("ping", frame(PING, 0, 0, b"12345678")),
        ("settings", frame(SETTINGS, 0, 0, &[])),
        ("priority", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])),
        ("window update", frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())),
    ] {
        let many = one.repeat(4000);
        let _ = flood(&host, |_| many.clone());
        assert_eq!(host.get("/f/state").status, 200, "after {name}");
    }
    until("no request is left", || host.metric("gust_instances_free", &[]) == 64.0);
    let cut_off = watch.codes_until_now();
    assert!(
        cut_off.iter().all(|code| code == "request.client_gone" || code == "request.body_incomplete"),
        "{cut_off:?}"
    );
    watch.check(&[]);
}

/// A host with a function `f` whose one place is free again soon, and its settings for connections that would not matter in time.
fn one_at_a_time() -> Host {
    let host = Host::start_with(&[("GUST_IDLE_MS", "600000")]);
    host.deploy_as("f", "hostile", "[limits]\nwall_ms = 1000\nconcurrency = 1");
    host
}

#[test]
fn an_answer_that_is_not_taken_holds_its_place_no_longer_than_its_function_may() {
    let host = one_at_a_time();
    let watch = Watch::begin(&host);
    let mut slow = host.begin("/f/big?n=20000000");
    until("it is answered", || host.get("/f/headers").status == 429);
    until("its place is free", || host.get("/f/headers").status == 200);
    let line = host.logged(|line| line["code"] == "request.answer_unread");
    assert_eq!((&line["status"], &line["function"]), (&200.into(), &"f".into()), "{line}");
    // And the connection must not look as if all of it had come.
    let (mut all, mut buffer) = (0, [0; 64 << 10]);
    let ended = loop {
        match slow.read(&mut buffer) {
            Ok(read @ 1..) => all += read,
            ended => break ended,
        }
    };
    assert!(all < 20_000_000 && ended.is_err(), "{all} {ended:?}");
    let codes = watch.codes_until_now();
    assert!(codes.iter().all(|code| code == "limit.concurrency"), "{codes:?}");
    watch.check(&[]);
}

/// A connection of HTTP/2 on which so many bytes of an answer may be sent.
fn with_window(host: &Host, bytes: u32) -> TcpStream {
    let mut stream = TcpStream::connect(host.data).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let window = [&[0, 4][..], &bytes.to_be_bytes()].concat();
    stream.write_all(&[frames::preface(), frames::frame(frames::SETTINGS, 0, 0, &window)].concat()).unwrap();
    stream
}

#[test]
fn a_stream_whose_window_stays_shut_ends_alone() {
    use frames::*;
    let host = one_at_a_time();
    let watch = Watch::begin(&host);
    let get = |number: u32, n: usize| {
        frame(HEADERS, END_HEADERS | END_STREAM, number, &request(GET, &format!("/f/big?n={n}")))
    };
    // No byte of an answer may be sent, however small it is; or one, of an answer that is given in one piece.
    let cases = [(0, 3), (1, 2), (1, 4096), (1, 50_000)];
    for (window, n) in cases {
        let mut stream = with_window(&host, window);
        stream.write_all(&get(1, n)).unwrap();
        assert_eq!(next_of(RST_STREAM, &mut stream).stream, 1);
        // Others on the same connection are answered, where there is room for just as much.
        let open = frame(WINDOW_UPDATE, 0, 3, &(n as u32 - window).to_be_bytes());
        stream.write_all(&[get(3, n), open].concat()).unwrap();
        assert_eq!(whole(&mut stream, 3), n);
    }
    watch.check(&["request.answer_unread"; 4]);
}

/// The bytes of an answer that is sent whole.
fn whole(stream: &mut TcpStream, number: u32) -> usize {
    let mut bytes = 0;
    loop {
        let came = frames::next_of(frames::DATA, stream);
        assert_eq!(came.stream, number);
        bytes += came.payload.len();
        if came.flags & frames::END_STREAM != 0 {
            return bytes;
        }
    }
}

#[test]
fn an_answer_that_was_not_taken_to_its_last_byte_was_not_given() {
    use frames::*;
    let host = one_at_a_time();
    let watch = Watch::begin(&host);
    let cases = [(0, 1), (1, 4096), (4999, 5000)];
    for (window, n) in cases {
        let mut stream = with_window(&host, window);
        let get = request(GET, &format!("/f/big?n={n}"));
        stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get)).unwrap();
        let mut bytes = 0;
        assert_eq!(next_of(HEADERS, &mut stream).stream, 1);
        while bytes < window {
            bytes += next_of(DATA, &mut stream).payload.len() as u32;
        }
        stream.write_all(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())).unwrap();
        let line = host.logged(|line| line["target"] == "gust::request" && line["function"] == "f");
        assert_eq!(line["code"], "request.client_gone", "{window} of {n}: {line}");
    }
    watch.check(&[]);
}

#[test]
fn what_the_host_answers_is_not_kept_for_a_client_that_does_not_take_it() {
    use frames::*;
    let host = Host::start();
    host.deploy_as("f", "hostile", "[[route]]\npath = \"/said\"\nrespond = { body = \"x\" }");
    let watch = Watch::begin(&host);
    for path in ["/nothing", "/said"] {
        let mut stream = with_window(&host, 0);
        let asked = 40;
        for nth in 0..asked {
            let get = request(GET, path);
            stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * nth + 1, &get)).unwrap();
        }
        let heads: Vec<_> = (0..asked).map(|_| next_of(HEADERS, &mut stream)).collect();
        let waiting = heads.iter().filter(|head| head.flags & END_STREAM == 0).count();
        assert_eq!(waiting, 8, "{path}: the others have no body");
        for _ in 0..waiting {
            next_of(RST_STREAM, &mut stream);
        }
    }
    watch.check(&[["function.not_found"; 40], ["request.answer_unread"; 40]].concat());
}

#[test]
fn what_is_refused_holds_no_place_however_long_its_client_takes() {
    use frames::*;
    let host = one_at_a_time();
    let watch = Watch::begin(&host);
    let mut stream = with_window(&host, 0);
    let mut block = request(POST, "/f/count");
    // content-length: 99999999 (RFC 7541, section 6.2.2, with the static table's name).
    block.extend([&[0x0f, 28 - 15, 8][..], b"99999999"].concat());
    stream.write_all(&frame(HEADERS, END_HEADERS, 1, &block)).unwrap();
    assert_eq!(next_of(HEADERS, &mut stream).stream, 1, "it is refused");
    assert_eq!(host.get("/f/headers").status, 200);
    drop(stream);
    watch.check(&["limit.request_body"]);
}

#[test]
fn the_admin_api_bears_no_flood_either() {
    use frames::*;
    let host = host();
    let watch = Watch::begin(&host);
    let many = frame(PING, 0, 0, b"12345678").repeat(4000);
    let mut stream = TcpStream::connect(host.admin).unwrap();
    stream.write_all(&preface()).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let reading = std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    // Far more than it bears.
    let is_cut_off = (0..10_000).any(|_| stream.write_all(&many).is_err());
    assert!(is_cut_off);
    let _ = reading.join().unwrap();
    watch.check(&[]);
}

#[test]
fn a_long_body_is_no_flood() {
    let host = Host::start();
    host.deploy_as("f", "hostile", "[limits]\nrequest_body_mib = 64");
    let mut watch = Watch::begin(&host);
    let body = vec![b'x'; 40 << 20];
    assert_eq!(host.call("POST", "/f/count", &body).text(), body.len().to_string());
    // Requests one after the other on one connection have more bytes than that together.
    let agent = agent();
    for _ in 0..6 {
        let request = Request::post(format!("http://{}/f/count", host.data)).body(&body[..4 << 20]).unwrap();
        assert_eq!(send(&agent, request).text(), (4 << 20).to_string());
    }
    // What the allocators keep of such bodies.
    watch.growth_mib_max = 128;
    watch.check(&[]);
}

#[test]
fn a_client_that_is_gone_is_worked_for_no_longer() {
    let host = host();
    let watch = Watch::begin(&host);
    for _ in 0..5 {
        let stream = host.begin("/f/loop");
        host.until_serving(1);
        drop(stream);
        host.until_serving(0);
        let line = host.logged(|line| line["code"] == "request.client_gone");
        let total = Duration::from_micros(line["total_us"].as_u64().unwrap());
        assert!(total < Duration::from_secs(5), "{line}");
    }
    watch.check(&[]);
}
