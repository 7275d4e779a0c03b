//! What is particular to HTTP/2.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use crate::fixture::{Host, until};

/// Asks one thing, prints status, length and what came: `ask(method, path)`.
const ASK: &str = "
    const client = require('http2').connect('URL');
    client.on('error', (error) => { console.log(error.code); process.exit(1); });
    const ask = (method, path) => new Promise((done) => {
      const request = client.request({ ':method': method, ':path': path });
      let head, body = '', trailers = '';
      request.on('response', (h) => head = h);
      request.on('trailers', (t) => trailers = t['x-trailer']);
      request.setEncoding('utf8');
      request.on('data', (piece) => body += piece);
      request.on('error', (error) => { console.log(error.code); done(); });
      request.on('end', () => {
        console.log(head[':status'], head['content-length'] ?? '-', JSON.stringify(body), trailers);
        done();
      });
      request.end();
    });";

fn asked(host: &Host, method: &str, path: &str) -> String {
    host.node(&format!("{ASK} ask('{method}', '{path}').then(() => client.close());")).trim().to_owned()
}

#[test]
fn answers_without_a_body_have_none() {
    let host = Host::start();
    host.deploy("hello");
    host.deploy_as("raw", "raw", "");
    assert_eq!(asked(&host, "GET", "/hello"), "200 13 \"Hello, world!\"");
    assert_eq!(asked(&host, "HEAD", "/hello"), "200 13 \"\"");
    assert_eq!(asked(&host, "HEAD", "/raw/stream?n=3"), "200 - \"\"");
    assert_eq!(asked(&host, "HEAD", "/raw/length-only?n=1234"), "200 1234 \"\"");
    assert!(asked(&host, "HEAD", "/nothing").starts_with("404 "));
    assert_eq!(asked(&host, "GET", "/raw/status?n=204"), "204 - \"\"");
    assert_eq!(asked(&host, "GET", "/raw/status?n=304"), "304 - \"\"");
    for _ in 0..7 {
        let line = host.logged(|line| line["target"] == "gust::request");
        assert!(line["code"] == "" || line["status"] == 404, "{line}");
    }
}

#[test]
fn trailers_end_an_answer() {
    let host = Host::start();
    host.deploy_as("raw", "raw", "");
    assert_eq!(asked(&host, "GET", "/raw/trailers"), "200 - \"before trailers\" 1");
    assert_eq!(host.logged(|line| line["target"] == "gust::request")["code"], "");
}

#[test]
fn a_client_that_takes_nothing_holds_no_instance_beyond_its_time() {
    let host = Host::start();
    host.deploy("hello");
    host.deploy_as("raw", "raw", "[limits]\nwall_ms = 1500");
    let script = "
        const client = require('http2').connect('URL', { settings: { initialWindowSize: 0 } });
        for (let i = 0; i < 64; i++) client.request({ ':path': '/raw/stream?n=5000' }).on('error', () => {});
        setInterval(() => client.ping(() => {}), 100);
        client.on('connect', () => console.log('connected'));"
        .replace("URL", &format!("http://{}", host.data));
    let mut client = Command::new("node").args(["-e", &script]).stdout(Stdio::piped()).spawn().unwrap();
    BufReader::new(client.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    until("all instances are in use", || host.metric("gust_instances_free", &[]) == 0.0);
    until("they are free again", || host.metric("gust_instances_free", &[]) == 64.0);
    assert_eq!(host.get("/hello").status, 200);
    assert!(client.try_wait().unwrap().is_none(), "the client is still there");
    client.kill().unwrap();
    client.wait().unwrap();
}

#[test]
fn an_idle_connection_ends_however_long_its_last_function_might_have_taken() {
    let host = Host::start_with(&[("GUST_IDLE_MS", "300")]);
    host.deploy_as("hello", "hello", "[limits]\nwall_ms = 600000");
    // A minute is far more than it takes, and far less than the function's time.
    let script = format!(
        "{ASK} client.on('close', () => process.exit(0)); setTimeout(() => process.exit(3), 60000);
        ask('GET', '/hello');"
    );
    assert_eq!(host.node(&script).trim(), "200 13 \"Hello, world!\"");
}
