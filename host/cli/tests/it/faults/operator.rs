//! What careless operators do, and how a host ends.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
};

use super::Watch;
use crate::{
    fixture::{Host, gust, until},
    operator::{said, serve},
};

#[test]
fn a_mistake_in_the_configuration_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let (file, data) = (dir.path().join("gust-host.toml"), dir.path().join("data"));
    for (text, expected) in [
        ("listen = \"127.0.0.1:0\"\nlisten_to = 3\n", "line 2, column 1: unknown field `listen_to`"),
        ("queue_ms = 1\n\nidle_ms = 0\n", "line 3, column 1: idle_ms is 0"),
        ("\"connections_max\" = 0", "line 1, column 1: connections_max is 0"),
        ("# none\nupload_mib_max = 0", "line 2, column 1: upload_mib_max is 0"),
        ("queue_ms = -1", "line 1, column 12: "),
        ("queue_ms = \"soon\"", "line 1, column 12: "),
        ("queue_ms = 1\nqueue_ms = 2", "line 2, column 1: duplicate key"),
        ("[limits]\nwall_ms = 5", "line 1, column 2: unknown field `limits`"),
    ] {
        fs::write(&file, text).unwrap();
        let output = serve(&data, &["--config", file.to_str().unwrap()], &[]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        let said = said(&output);
        assert!(said.contains(expected) && said.contains(file.to_str().unwrap()), "{expected}: {said}");
        assert!(!data.exists(), "a start that failed left something behind");
    }
}

#[test]
fn a_host_that_cannot_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (file, data) = (dir.path().join("file"), dir.path().join("data"));
    fs::write(&file, "x").unwrap();
    for (output, expected) in [
        (serve(&file.join("below"), &[], &[]), "file/below cannot be used"),
        (serve(&data, &[], &[("GUST_QUEUE_MS", "soon")]), "GUST_QUEUE_MS: \"soon\""),
        (serve(&data, &[], &[("GUST_CONNECTIONS_MAX", "0")]), "connections_max is 0"),
        (serve(&data, &[], &[("GUST_WORKER_THREADS", "100000")]), "at most 1024"),
        (serve(&data, &[], &[("GUST_REWIND", "maybe")]), "it is on, off or checked"),
        (serve(&data, &[], &[("GUST_LOG", "nonsense=[[")]), "GUST_LOG"),
        (serve(&data, &["--config", "/no/such/file"], &[]), "/no/such/file"),
    ] {
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(expected), "{expected}: {}", said(&output));
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (listen, admin, flag) in [(&*address, "127.0.0.1:0", "listen"), ("127.0.0.1:0", &*address, "admin")] {
        let mut command = gust();
        command.args(["serve", "--listen", listen, "--admin", admin, "--data-dir"]).arg(&data);
        let output = command.env("XDG_STATE_HOME", dir.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(&format!("cannot listen on {address} (--{flag})")), "{}", said(&output));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "a start that failed left something behind");
    }
}

#[test]
fn a_second_host_on_the_same_data_is_refused() {
    let host = Host::start();
    let watch = Watch::begin(&host);
    let second = serve(&host.dir, &[], &[]);
    assert_eq!(second.status.code(), Some(2));
    assert!(said(&second).contains("another gust host is using"), "{}", said(&second));
    watch.check(&[]);
}

#[test]
fn a_token_that_others_can_read_is_refused() {
    let mut host = Host::start();
    let token = host.dir.join("admin.token");
    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    host.child.kill().unwrap();
    host.child.wait().unwrap();
    for mode in [0o644, 0o640, 0o604, 0o660] {
        fs::set_permissions(&token, fs::Permissions::from_mode(mode)).unwrap();
        let again = serve(&host.dir, &[], &[]);
        assert_eq!(again.status.code(), Some(2));
        assert!(said(&again).contains(&format!("chmod 600 {}", token.display())), "{}", said(&again));
        assert!(!said(&again).contains(&host.token), "{}", said(&again));
    }
}

#[test]
fn sigterm_lets_requests_finish() {
    let mut host = Host::start();
    host.deploy_as("hostile", "hostile", "");
    let mut stream = TcpStream::connect(host.data).unwrap();
    stream.write_all(b"GET /hostile/sleep?n=1500 HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    until("the request runs", || host.metric("gust_instances_free", &[]) == 63.0);
    assert_eq!(host.api("GET", "/readyz", "", b"").status, 200);
    host.signal("-TERM");
    until("it says that it drains", || host.api("GET", "/readyz", "", b"").status == 503);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    assert!(host.child.wait().unwrap().success());
    let line = host.logged(|line| line["target"] == "gust::request");
    assert_eq!(line["status"], 200, "its receipt is written");
}

#[test]
fn what_does_not_finish_in_time_is_broken_off() {
    let mut host = Host::start_with(&[("GUST_DRAIN_MS", "200")]);
    host.deploy_as("hostile", "hostile", "");
    let mut stream = TcpStream::connect(host.data).unwrap();
    stream.write_all(b"GET /hostile/sleep?n=60000 HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    // And one whose client has its answer.
    host.deploy_as("raw", "raw", "");
    assert_eq!(host.get("/raw/linger?n=60000").text(), "done");
    until("both run", || host.metric("gust_instances_free", &[]) == 62.0);
    host.signal("-TERM");
    assert!(host.child.wait().unwrap().success());
    for _ in 0..2 {
        let line = host.logged(|line| line["target"] == "gust::request");
        assert_eq!(line["code"], "host.draining", "it is not the client that went away: {line}");
    }
}
