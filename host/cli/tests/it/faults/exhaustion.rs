//! A host that is short of something: what cannot be had is refused in time, and had again when there is some.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    thread,
};

use super::{Watch, frames, skipped};
use crate::fixture::{Host, PATIENCE, gust, until};

#[test]
fn connections_are_accepted_again_when_there_are_descriptors() {
    let host = Host::start();
    let mut watch = Watch::begin(&host);
    let pid = host.child.id().to_string();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let limited = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={}:", open + 20)]).status();
    if !limited.is_ok_and(|status| status.success()) {
        return skipped("descriptors", "prlimit is not here, or not allowed");
    }
    // More than it can take, of which the system keeps some waiting.
    let clients: Vec<_> = (0..60).map(|_| TcpStream::connect(host.data).unwrap()).collect();
    let line = host.logged(|line| line["message"].as_str().is_some_and(|text| text.contains("can be accepted")));
    assert_eq!(line["level"], "ERROR");
    drop(clients);
    assert_eq!(host.get("/neighbour").text(), "a good neighbour");
    host.logged(|line| line["message"] == "connections are accepted again");
    watch.growth_mib_max = 16;
    watch.check(&[]);
}

#[test]
fn few_descriptors_are_not_all_for_clients() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 100 && exec \"$@\"", "sh"]).arg(gust().get_program());
    let host = Host::start_through(command, dir.path());
    let clients: Vec<_> = (0..100).map(|_| TcpStream::connect(host.data).unwrap()).collect();
    until("clients have all that they may", || host.metric("gust_connections", &[]) == 50.0);
    // Which takes files of its own: for the upload, the compiler, what it makes, and loading that.
    host.deploy("hello");
    drop(clients);
    assert_eq!(host.get("/hello").text(), "Hello, world!");
}

#[test]
fn requests_are_refused_before_the_kernel_ends_the_host() {
    let (host, max_mib) = may_use_besides(300);
    host.deploy_as("raw", "raw", "[limits]\nwall_ms = 60000");
    let mut watch = Watch::begin(&host);
    let held: Vec<_> = (0..6).map(|_| host.begin("/raw/hold?n=100")).collect();
    until("requests are refused", || host.get("/neighbour").status == 503);
    let refused = host.get("/neighbour");
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("host.busy", "1"));
    assert!(refused.text().contains(&format!("{max_mib} MiB")), "{}", refused.text());
    assert_eq!(host.api("GET", "/readyz", "", b"").status, 200, "the admin API answers");
    drop(held);
    until("requests are taken again", || host.get("/neighbour").status == 200);
    assert!(host.rss_mib() < max_mib, "{} MiB", host.rss_mib());
    let codes = watch.codes_until_now();
    assert!(codes.iter().all(|code| code == "host.busy" || code == "request.client_gone"), "{codes:?}");
    watch.growth_mib_max = 200;
    watch.check(&[]);
}

/// A host that may use so many MiB more than one that does nothing, and how many that are.
fn may_use_besides(mib: u64) -> (Host, u64) {
    let max_mib = Host::start().rss_mib() + mib;
    (Host::start_with(&[("GUST_MEMORY_USED_MIB_MAX", &max_mib.to_string())]), max_mib)
}

#[test]
fn what_was_freed_goes_back_while_nobody_asks() {
    let (host, max_mib) = may_use_besides(200);
    host.deploy_as("hostile", "hostile", "");
    // All on one connection, so that all is free at the same moment, and none is taken: an initial window of 0.
    let mut held = TcpStream::connect(host.data).unwrap();
    let mut bytes = frames::preface();
    bytes.extend(frames::frame(frames::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    let request = frames::request(frames::GET, "/hostile/big?n=20000000");
    let flags = frames::END_STREAM | frames::END_HEADERS;
    bytes.extend((0..30).flat_map(|number| frames::frame(frames::HEADERS, flags, 2 * number + 1, &request)));
    held.write_all(&bytes).unwrap();
    until("memory is short", || host.rss_mib() > max_mib);
    let refused = host.logged(|line| line["message"] == "too much memory is in use; requests are refused");
    assert_eq!(refused["max_mib"], max_mib, "{refused}");
    drop(held);
    // Nobody asks anything meanwhile, for an allocator that is at work gives back by itself.
    host.logged(|line| line["message"] == "requests are taken again");
    assert!(host.rss_mib() < max_mib, "{} MiB", host.rss_mib());
    assert_eq!(host.get("/hostile/spin?n=1").text(), "done");
}

#[test]
fn a_log_that_nobody_reads_keeps_nothing_from_being_served() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let first = Host::start_in(&data, &[]);
    first.deploy_as("hello", "hello", "");
    drop(first);
    let mut command = gust();
    let address = "127.0.0.1:0";
    command.args(["serve", "--listen", address, "--admin", address, "--data-dir"]).arg(&data);
    // A pipe whose other end is held and never read.
    let mut child = command.env("XDG_STATE_HOME", &data).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let served = thread::spawn(move || {
        let (mut port, began) = (None, std::time::Instant::now());
        while port.is_none() && began.elapsed() < PATIENCE {
            port = listening(pid);
        }
        let port = port.expect("it listens");
        // Each has a line in the log: far more than the pipe holds.
        (0..3000).all(|_| answers(port))
    });
    let all_served = served.join().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(all_served);
}

/// The port that serves the function `hello`, of those that a process listens at.
fn listening(pid: u32) -> Option<u16> {
    let inodes: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()?
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .collect();
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).ok()?;
    let ports = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_own = fields[3] == "0A" && inodes.contains(&format!("socket:[{}]", fields[9]));
        is_own.then(|| u16::from_str_radix(fields[1].split(':').nth(1)?, 16).ok())?
    });
    ports.into_iter().find(|port| answers(*port))
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).is_ok() && answer.ends_with("Hello, world!")
}
