//! What `wasi:http` 0.2 promises its guests. What 0.3 does is in `services`; how answers are framed, in `guests` and `http2`; time-outs of
//! requests that a guest sends, in `outbound`.

use crate::fixture::Host;

fn host(manifest: &str) -> Host {
    let host = Host::start();
    assert_eq!(host.deploy_as("raw", "raw", manifest).status, 201);
    host
}

#[test]
fn fields_are_the_hosts_or_the_guests() {
    let host = host("");
    assert_eq!(host.get("/raw/forbidden").text(), "forbidden forbidden forbidden forbidden forbidden taken invalid");
    assert_eq!(host.get("/raw/immutable").text(), "immutable");
}

#[test]
fn a_guest_lets_go_of_what_it_has_in_any_order() {
    let host = host("");
    let body = vec![b'x'; 1_000_000];
    assert_eq!(host.call("POST", "/raw/early", &body[..50_000]).text(), "10");
    assert_eq!(host.call("POST", "/raw/orphans", b"unread").text(), "let go");
    // Nothing of it is left in the instance that serves the next one.
    assert_eq!(host.call("POST", "/raw/echo", &body).body, body);
}

#[test]
fn requests_are_answered_at_the_same_time() {
    let host = host("[allow]\nfunctions = [\"back\"]\n[limits]\nwall_ms = 20000");
    host.deploy_as("back", "raw", "[limits]\nwall_ms = 1000");
    let urls = ["http://back.gust.internal/hang", "http://back.gust.internal/", "http://other.gust.internal/"];
    // Each that hangs takes a second: one after the other all would be over the time.
    let hangs = [urls[0]; 30].join(",");
    let told = host.get(&format!("/raw/at-once?urls={hangs},{},{}", urls[1], urls[2]));
    let told: Vec<&str> = told.text().splitn(31, ' ').collect();
    assert!(told[..30].iter().all(|status| *status == "504"), "{told:?}");
    assert!(told[30].starts_with("200 ") && told[30].contains("HttpRequestDenied"), "{told:?}");
}

#[test]
fn a_large_echo_takes_little_memory() {
    let host = host("[limits]\nrequest_body_mib = 1024\nresponse_body_mib = 1024\nwall_ms = 120000\ncpu_ms = 120000");
    let script = "const mib = 32, piece = Buffer.alloc(1 << 20, 7);
         let got = 0;
         const request = require('http').request('URL/raw/echo', { method: 'POST' }, (response) => {
           response.on('data', (bytes) => got += bytes.length);
           response.on('end', () => console.log(got === mib << 20));
         });
         let left = mib;
         const more = () => {
           while (left-- > 0) if (!request.write(piece)) return request.once('drain', more);
           request.end();
         };
         more();";
    host.until_optimised("raw");
    assert_eq!(host.node(script).trim(), "true");
    let before = host.rss_mib();
    assert_eq!(host.node(script).trim(), "true");
    let after = host.rss_mib();
    assert!(after <= before + 8, "from {before} to {after} MiB");
}
