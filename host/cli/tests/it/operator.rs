//! Running a host: what keeps it from starting is said, and it ends in an orderly way.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Output,
};

use crate::fixture::{Host, gust, until};

fn serve(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = gust();
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir"]).arg(dir);
    command
        .args(arguments)
        .envs(variables.iter().copied())
        .env("XDG_STATE_HOME", dir)
        .current_dir("/")
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_host_that_cannot_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    let config = dir.path().join("gust-host.toml");
    fs::write(&config, "listen = \"127.0.0.1:0\"\nlisten_to = 3\n").unwrap();
    let config = config.to_str().unwrap();
    let data = dir.path().join("data");

    let mut command = gust();
    command.args(["serve", "--listen", &address, "--admin", "127.0.0.1:0", "--data-dir"]).arg(&data);
    let port_taken = command.env("XDG_STATE_HOME", dir.path()).output().unwrap();
    assert!(said(&port_taken).contains(&format!("cannot listen on {address} (--listen)")), "{}", said(&port_taken));
    assert!(!data.exists() && !dir.path().join("gust").exists(), "a start that failed left something behind");

    for (output, expected) in [
        (port_taken, "--listen"),
        (serve(&file.join("below"), &[], &[]), "file/below cannot be used"),
        (serve(&data, &["--config", config], &[]), "line 2, column 1: unknown field `listen_to`"),
        (serve(&data, &[], &[("GUST_QUEUE_MS", "soon")]), "GUST_QUEUE_MS: \"soon\""),
        (serve(&data, &[], &[("GUST_INSTANCES_MAX", "0")]), "instances_max is 0"),
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
fn the_command_finds_the_token_of_a_host_here_and_gives_it_to_no_other() {
    let host = Host::start();
    let ls = |admin: &str| {
        let mut command = gust();
        command.args(["--admin", admin, "ls"]).env("XDG_STATE_HOME", &host.dir).current_dir(&host.dir);
        command.output().unwrap()
    };
    let found = ls(&host.admin.to_string());
    assert!(found.status.success(), "{}", said(&found));
    // Where a token lies about for the usual address.
    fs::create_dir(host.dir.join("gust-data")).unwrap();
    fs::copy(host.dir.join("admin.token"), host.dir.join("gust-data/admin.token")).unwrap();
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = ls(&stranger.local_addr().unwrap().to_string());
    assert!(said(&refused).contains("no admin token for"), "{}", said(&refused));
    stranger.set_nonblocking(true).unwrap();
    assert!(stranger.accept().is_err(), "the command turned to a host whose token it does not know");
}

#[test]
fn a_second_host_on_the_same_data_is_refused() {
    let host = Host::start();
    let second = serve(&host.dir, &[], &[]);
    assert_eq!(second.status.code(), Some(2));
    assert!(said(&second).contains("another gust host is using"), "{}", said(&second));
}

#[test]
fn a_token_that_others_can_read_is_refused() {
    let mut host = Host::start();
    let token = host.dir.join("admin.token");
    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    host.child.kill().unwrap();
    host.child.wait().unwrap();
    let again = serve(&host.dir, &[], &[]);
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("chmod 600"), "{}", said(&again));
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
    until("the request runs", || host.metric("gust_instances_free", &[]) == 63.0);
    host.signal("-TERM");
    assert!(host.child.wait().unwrap().success());
}

#[test]
fn the_documented_number_of_instances_fits() {
    let host = Host::start_with(&[("GUST_INSTANCES_MAX", "2000")]);
    assert_eq!(host.metric("gust_instances_free", &[]), 2000.0);
}
