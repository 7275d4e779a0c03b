//! Clients that break the rules of HTTP, or keep them and mean harm.

use std::{
    io::Write as _,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{
    Case,
    client::{End, PATIENCE, counted, listen, say, together},
    crowd::hold,
    hosts::{Host, Terms},
};
use crate::process;

const HOSTILE: Terms = Terms::of("hostile");

pub(super) const CASES: &[Case] = &[
    Case::of("a length and an encoding together", HOSTILE, |host| {
        let body = "0\r\n\r\nG";
        refusals(host, &[post(host, "content-length: 6\r\ntransfer-encoding: chunked\r\n", body)])
    }),
    Case::of("two lengths; a length of `+5`", HOSTILE, |host| {
        let two = post(host, "content-length: 4\r\ncontent-length: 5\r\n", "abcd");
        refusals(host, &[two, post(host, "content-length: +5\r\n", "abcde")])
    }),
    Case::of("an encoding that is unknown; one on HTTP/1.0", HOSTILE, |host| {
        let unknown = post(host, "transfer-encoding: xchunked\r\n", "0\r\n\r\n");
        let old = post(host, "transfer-encoding: chunked\r\n", "0\r\n\r\n");
        let old = String::from_utf8_lossy(&old).replace("HTTP/1.1", "HTTP/1.0");
        refusals(host, &[unknown, old.into_bytes()])
    }),
    Case::of("a bare LF in a chunk's size or extension", HOSTILE, |host| {
        let chunks = ["1\nx\r\n0\r\n\r\n", "1;a\nb\r\nx\r\n0\r\n\r\n"];
        refusals(host, &chunks.map(|chunks| post(host, "transfer-encoding: chunked\r\n", chunks)))
    }),
    Case::of("no `Host`, two, a malformed one", HOSTILE, |host| {
        refusals(host, &["", "host: x\r\nhost: y\r\n", "host: a b\r\n"].map(|hosts| ask(host, "/headers", hosts)))
    }),
    Case::of("a target with another host than `Host`", HOSTILE, which_host),
    Case::of("101 header fields; 17 KiB of them", HOSTILE, |host| {
        let many: String = (0..101).map(|n| format!("x-{n}: y\r\n")).collect();
        let large = format!("x-large: {}\r\n", "y".repeat(17 << 10));
        refusals(host, &[many, large].map(|fields| ask(host, "/headers", &format!("host: x\r\n{fields}"))))
    }),
    Case::of("a target of 70,000 bytes", HOSTILE, |host| {
        refusals(host, &[ask(host, &format!("/{}", "x".repeat(70_000)), "host: x\r\n")])
    }),
    Case::alone("`%2e%2e`, `%00` in the path", "it serves one component, whatever the path"),
    Case::of("headers of the connection, in the guest", HOSTILE, what_is_handed_on),
    Case::of("100 heads that come byte by byte", HOSTILE, |host| {
        hold(host, 100, format!("GET {} HTTP/1.1\r\nhost: x\r\nx-slow: ", host.harmless()).as_bytes(), Some(b'a'))
    }),
    Case::of("64 bodies that come byte by byte, as many as may be served", HOSTILE, |host| {
        hold(host, 64, &post(host, "content-length: 1000\r\n", ""), Some(b'a'))
    }),
    Case::of("64 clients that read nothing of 64 MB", Terms::of("raw"), slow_readers),
    Case::of("a body of 100 GB, `Expect: 100-continue`", HOSTILE, |host| {
        Ok(say(host, &post(host, "expect: 100-continue\r\ncontent-length: 99999999999\r\n", ""))?.said())
    }),
    Case::of("a client that is gone, and its guest computes", HOSTILE.within(60_000), gone),
    Case::of("1,200 silent connections, where 1,000 may be", HOSTILE, |host| hold(host, 1200, b"", None)),
    Case::alone("a handshake of TLS that does not get on", "it speaks no TLS"),
    Case::of("CONNECT, TRACE, an upgrade to websocket", HOSTILE, |host| {
        let upgrade = "host: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
        let trace = format!("TRACE {} HTTP/1.1\r\nhost: x\r\n\r\n", host.at("/headers")).into_bytes();
        let connect = b"CONNECT x:80 HTTP/1.1\r\nhost: x:80\r\n\r\n".to_vec();
        refusals(host, &[connect, trace, ask(host, "/headers", upgrade)])
    }),
];

fn post(host: &Host, headers: &str, body: &str) -> Vec<u8> {
    format!("POST {} HTTP/1.1\r\nhost: x\r\n{headers}\r\n{body}", host.at("/count")).into_bytes()
}

fn ask(host: &Host, path: &str, headers: &str) -> Vec<u8> {
    format!("GET {} HTTP/1.1\r\n{headers}\r\n", host.at(path)).into_bytes()
}

/// What comes back for each, and whether the connection goes on: whether it answers one more request.
fn refusals(host: &Host, requests: &[Vec<u8>]) -> Result<String> {
    let last = format!("GET {} HTTP/1.1\r\nhost: last.test\r\nconnection: close\r\n\r\n", host.at("/headers"));
    let refusal = |request: &Vec<u8>| {
        let heard = say(host, &[request.as_slice(), last.as_bytes()].concat())?;
        let goes_on = heard.text().contains("last.test");
        let mut answers = heard.answers();
        if goes_on {
            answers.pop();
        }
        let end = match heard.end {
            _ if goes_on => "goes on",
            End::Open => "open",
            End::Closed | End::Reset => "ended",
        };
        Ok(if answers.is_empty() { end.to_owned() } else { format!("{}, {end}", answers.join(", ")) })
    };
    Ok(together(requests.iter().map(refusal).collect::<Result<Vec<_>>>()?))
}

fn which_host(host: &Host) -> Result<String> {
    let target = host.at("/headers");
    let request = format!("GET http://target.test{target} HTTP/1.1\r\nhost: header.test\r\nconnection: close\r\n\r\n");
    let seen = say(host, request.as_bytes())?.text();
    let told =
        ["target.test", "header.test"].into_iter().filter(|name| seen.contains(&format!("\"host\": \"{name}\"")));
    let told: Vec<_> = told.collect();
    Ok(if told.is_empty() {
        "the guest sees no `host`".to_owned()
    } else {
        format!("the guest sees {}", told.join(", "))
    })
}

fn what_is_handed_on(host: &Host) -> Result<String> {
    let headers = "host: x\r\nconnection: close, x-secret\r\nx-secret: 1\r\nkeep-alive: 3\r\nproxy-connection: 4\r\n\
        te: trailers\r\nupgrade: h2c\r\n";
    let seen = say(host, &ask(host, "/headers", headers))?.text();
    let names = ["x-secret", "connection", "keep-alive", "proxy-connection", "te", "upgrade"];
    let passed: Vec<_> = names.into_iter().filter(|name| seen.contains(&format!("\"{name}\""))).collect();
    Ok(if passed.is_empty() { "none of them".to_owned() } else { format!("`{}`", passed.join("`, `")) })
}

/// Whether they are broken off is seen by reading on, later.
fn slow_readers(host: &Host) -> Result<String> {
    let request = ask(host, "/stream?n=16000", "host: x\r\nconnection: close\r\n");
    let began = Instant::now();
    let begin = |_| {
        let mut stream = TcpStream::connect(host.server().address)?;
        stream.write_all(&request)?;
        Ok(stream)
    };
    let streams = (0..64).map(begin).collect::<Result<Vec<_>>>()?;
    thread::sleep(PATIENCE / 2);
    let outcome = |stream| {
        let heard = listen(stream, began)?;
        Ok(match (heard.is_whole(), heard.end) {
            (true, _) => "answered whole, later",
            (false, End::Reset) => "reset",
            (false, End::Closed) => "broken off",
            (false, End::Open) => "held",
        }
        .to_owned())
    };
    Ok(counted(streams.into_iter().map(outcome).collect::<Result<Vec<_>>>()?))
}

/// How long the guest computes on after its client has gone.
fn gone(host: &Host) -> Result<String> {
    let mut stream = TcpStream::connect(host.server().address)?;
    stream.write_all(&ask(host, "/loop", "host: x\r\n"))?;
    thread::sleep(Duration::from_millis(500));
    drop(stream);
    Ok(computes_on(host))
}

/// For how long a host computes from now on, with nobody but a harmless client asking.
pub(super) fn computes_on(host: &Host) -> String {
    const WINDOW: Duration = Duration::from_millis(100);
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let (window, before) = (Instant::now(), process::cpu_ms(host.pid()));
        thread::sleep(WINDOW);
        let share = (process::cpu_ms(host.pid()) - before) / (window.elapsed().as_secs_f64() * 1e3);
        if share < 0.1 {
            let ms = (began.elapsed() - window.elapsed()).as_millis();
            return if ms < 100 { "ends at once".to_owned() } else { format!("computes on for {ms} ms") };
        }
    }
    format!("computes on after {:.0} s", PATIENCE.as_secs_f64())
}
