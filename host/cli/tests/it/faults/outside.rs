//! Tools of others that attack, load or examine a host. They take half a minute each, so `cargo xtask test --long` asks for them.

use std::{
    env, fs,
    process::{Command, Output, Stdio},
};

use super::{Watch, skipped};
use crate::{
    fixture::{Host, until},
    operator::said,
};

/// Says that they are wanted.
const VARIABLE: &str = "GUST_OUTSIDE_TOOLS";

/// A tool, where it is wanted and installed. Where it is only wanted, how to have it is said.
fn tool(name: &str, how_to_have_it: &str) -> Option<Command> {
    env::var_os(VARIABLE)?;
    let path = env::var_os("PATH")?;
    let found = env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file());
    if found.is_none() {
        skipped(name, &format!("it is not here; to have it: {how_to_have_it}"));
    }
    found.map(Command::new)
}

#[test]
fn slowhttptest_is_left_without_connections() {
    // It notices that a slow reader was reset when it has read what had come, so that must not take it forever.
    for (mode, path) in [
        (&["-H"][..], "/neighbour"),
        (&["-B", "-s", "8192"], "/hostile/count"),
        (&["-X", "-w", "512", "-y", "1024", "-z", "256"], "/raw/stream?n=16000"),
    ] {
        let Some(mut command) = tool("slowhttptest", "apt install slowhttptest") else { return };
        let host = Host::start_with(&[("GUST_HEADER_MS", "2000"), ("GUST_IDLE_MS", "2000")]);
        for function in ["hostile", "raw"] {
            host.deploy_as(function, function, "[limits]\nwall_ms = 2000");
        }
        let mut watch = Watch::begin(&host);
        let report = host.dir.join("slowhttptest");
        command.args(mode).args(["-c", "50", "-r", "50", "-i", "1", "-l", "30", "-g", "-o"]).arg(&report);
        command.args(["-u", &format!("http://{}{path}", host.data)]);
        let mut attack = command.stdout(Stdio::piped()).spawn().unwrap();
        until("it is over, and others are answered until then", || {
            assert_eq!(host.get("/neighbour").status, 200);
            attack.try_wait().unwrap().is_some()
        });
        let output = attack.wait_with_output().unwrap();
        let text = printed(&output);
        assert!(output.status.success() && text.contains("No open connections left"), "{mode:?}: {text}");
        let csv = fs::read_to_string(report.with_extension("csv")).unwrap();
        assert!(csv.lines().skip(1).all(is_served), "{mode:?}: {csv}");
        // Which of them were told so, and how, is their own affair.
        watch.codes_until_now();
        watch.growth_mib_max = 128;
        watch.check(&[]);
    }
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether its own probe was answered then: of `Seconds,Closed,Pending,Connected,Service Available`.
fn is_served(line: &str) -> bool {
    line.rsplit(',').next().is_some_and(|served| served != "0")
}

#[test]
fn h2load_has_every_request_answered() {
    const REQUESTS: usize = 20_000;
    let Some(mut command) = tool("h2load", "apt install nghttp2-client") else { return };
    let host = Host::start_with(&[("GUST_QUEUE_MS", "30000")]);
    host.deploy_as("hello", "hello", "[limits]\nconcurrency = 2000");
    let watch = Watch::begin(&host);
    // Eight connections, a hundred streams on each.
    command.args(["-n", &REQUESTS.to_string(), "-c", "8", "-m", "100"]);
    let output = command.arg(format!("http://{}/hello", host.data)).output().unwrap();
    let text = printed(&output);
    assert!(output.status.success() && text.contains("Application protocol: h2c"), "{text}");
    assert!(text.contains(&format!("{REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout")), "{text}");
    assert!(text.contains(&format!("status codes: {REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx")), "{text}");
    watch.check(&[]);
}

/// Its exit code says whether all of its cases passed. Those that it calls strict are not asked for.
#[test]
fn h2spec_finds_that_the_host_speaks_http2() {
    let Some(mut command) = tool("h2spec", "https://github.com/summerwind/h2spec/releases") else { return };
    let host = Host::start();
    let watch = Watch::begin(&host);
    command.args(["-h", "127.0.0.1", "-p", &host.data.port().to_string(), "-P", "/neighbour", "-o", "5"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}{}", printed(&output), said(&output));
    watch.codes_until_now();
    watch.check(&[]);
}
