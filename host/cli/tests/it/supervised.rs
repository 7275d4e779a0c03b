//! A host that ends as it should not, and the supervisor that starts it again.

use std::{
    fs,
    io::Read as _,
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

use command_fds::{CommandFdExt as _, FdMapping};
use serde_json::Value;

use crate::fixture::{Host, gust, until};

/// The id of the host that this supervisor runs, as soon as there is one.
fn worker(supervisor: &Host) -> u32 {
    let (pid, mut found) = (supervisor.child.id(), None);
    let children = format!("/proc/{pid}/task/{pid}/children");
    until("there is a host", || {
        let children = fs::read_to_string(&children).unwrap();
        found = children.split_whitespace().map(|child| child.parse().unwrap()).find(|child| is_there(*child));
        found.is_some()
    });
    found.unwrap()
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

fn is_there(pid: u32) -> bool {
    // What has ended and is not waited for has no memory.
    fs::read_to_string(format!("/proc/{pid}/statm")).is_ok_and(|statm| !statm.starts_with("0 "))
}

/// The log's next line with this message.
fn said(host: &Host, message: &str) -> Value {
    host.logged(|line| line["message"] == message)
}

fn supervised() -> Host {
    let host = Host::start_with(&[("GUST_SUPERVISED", "true")]);
    host.deploy("hello");
    host
}

#[test]
fn an_abort_costs_only_what_was_in_flight() {
    let host = supervised();
    host.deploy_as("hostile", "hostile", "[limits]\nwall_ms = 600000");
    for signal in ["-ABRT", "-KILL", "-USR1"] {
        let first = worker(&host);
        let mut in_flight = host.begin("/hostile/sleep?n=600000");
        host.until_serving(1);
        kill(signal, first);
        let mut answer = Vec::new();
        // It is lost, and its client is told so at once.
        let _ = in_flight.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{signal}");
        // None of those that come meanwhile is refused: they wait for the next host.
        thread::scope(|scope| {
            let asked: Vec<_> = (0..20).map(|_| scope.spawn(|| host.get("/hello?name=Ada"))).collect();
            for answer in asked.into_iter().map(|asked| asked.join().unwrap()) {
                assert_eq!((answer.status, answer.text()), (200, "Hello, Ada!"), "{signal}");
            }
        });
        let next = worker(&host);
        assert_ne!(next, first);
        let ended = said(&host, "the host ended; it is started again");
        assert!(ended["how"].as_str().unwrap().starts_with("signal: "), "{ended}");
    }
    // The API is where it was, and so is what was deployed.
    assert_eq!(host.info("hello")["name"], "hello");
    end(host);
}

#[test]
fn a_supervisor_and_its_host_end_together() {
    let host = supervised();
    let first = worker(&host);
    let in_flight = thread::scope(|scope| {
        host.deploy_as("hostile", "hostile", "");
        let asked = scope.spawn(|| host.get("/hostile/sleep?n=3000"));
        host.until_serving(1);
        host.signal("-TERM");
        until("who comes then is refused", || TcpStream::connect(host.data).is_err());
        assert!(is_there(first), "and waits for nothing");
        asked.join().unwrap()
    });
    assert_eq!(in_flight.status, 200, "it drains");
    end(host);
    assert!(!is_there(first));
    // A host that is told to end by somebody else is not followed by another one.
    let mut host = supervised();
    kill("-TERM", worker(&host));
    assert!(host.child.wait().unwrap().success());
    said(&host, "the host was told to end, so its supervisor ends too");
    // Nor is a host left behind by a supervisor that is killed.
    let mut host = supervised();
    let first = worker(&host);
    host.child.kill().unwrap();
    host.child.wait().unwrap();
    until("the host is gone too", || !is_there(first));
}

/// SIGTERM ends it well.
fn end(mut host: Host) {
    // It may have been told before.
    let _ = Command::new("kill").args(["-TERM", &host.child.id().to_string()]).status();
    assert!(host.child.wait().unwrap().success());
}

#[test]
fn a_host_that_cannot_start_is_not_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("gust.db"), "no database").unwrap();
    let mut command = gust();
    command.args(["serve", "--supervised", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir"]);
    let output = command.arg(dir.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert_eq!(told.matches("error:").count(), 1, "{told}");
    assert!(!told.contains("started again"), "{told}");
}

#[test]
fn sockets_that_are_handed_over_are_taken() {
    // As systemd does it: from descriptor 3 on, and a variable that says how many.
    let with = |count: i32| {
        let sockets: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let mapping = |(socket, child_fd): (TcpListener, i32)| FdMapping { parent_fd: socket.into(), child_fd };
        let mut command = gust();
        command.fd_mappings(sockets.into_iter().zip(3..).map(mapping).collect()).unwrap();
        command.env("LISTEN_FDS", count.to_string());
        (command, addresses)
    };
    let dir = tempfile::tempdir().unwrap();
    let (command, addresses) = with(2);
    let host = Host::start_through(command, &dir.path().join("data"));
    assert_eq!(addresses, [host.data, host.admin]);
    host.deploy("hello");
    assert_eq!(host.get("/hello").text(), "Hello, world!");
    drop(host);
    let (mut command, _) = with(3);
    let output = command.args(["serve", "--data-dir"]).arg(dir.path().join("data")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("3 sockets were handed over (LISTEN_FDS)"), "{output:?}");
}

#[test]
fn a_host_that_dies_again_and_again_is_started_less_often() {
    let host = supervised();
    let pauses: Vec<u64> = (0..4)
        .map(|_| {
            let pid = worker(&host);
            kill("-KILL", pid);
            until("it is gone", || !is_there(pid));
            said(&host, "the host ended; it is started again")["pause_ms"].as_u64().unwrap()
        })
        .collect();
    // The first one may have lived for long enough.
    assert!(pauses[0] <= 100 && pauses[1..] == [pauses[1], 2 * pauses[1], 4 * pauses[1]], "{pauses:?}");
    assert_eq!(host.get("/hello").status, 200);
    end(host);
}
