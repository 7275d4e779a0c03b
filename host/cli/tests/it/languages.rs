//! Functions in other languages: the templates of `gust new`, and what was written for other hosts of `wasi:http`.
//!
//! What a language's tools made is in `target/languages` (`cargo xtask languages`). Where they are not on this machine it is not
//! there, and its tests say that they are skipped.

use std::{path::PathBuf, str::from_utf8};

use ureq::http::Request;

use crate::fixture::{Host, agent, component, project, send};

/// The longest that compiling one of these may take, in milliseconds: they are large, and a machine that tests is busy.
const COMPILE_MS_MAX: &str = "1200000";

/// Requests to one function: enough that instances are put back, again and again.
const TRIES: usize = 20;

#[test]
fn a_template_in_python_greets() {
    greets("python");
}

#[test]
fn a_template_in_javascript_greets() {
    greets("javascript");
}

#[test]
fn a_template_in_c_greets() {
    greets("c");
}

#[test]
fn python_for_other_hosts_runs_unchanged() {
    if let Some(host) = made("foreign-python").map(serving) {
        answers_as_elsewhere(&host);
        assert_eq!(host.instance_of("it").0, "rewind");
    }
}

#[test]
fn javascript_for_other_hosts_runs_unchanged() {
    if let Some(host) = made("foreign-javascript").map(serving) {
        answers_as_elsewhere(&host);
        assert_eq!(host.instance_of("it").0, "rewind");
    }
}

#[test]
fn a_listener_for_fetch_events_runs_unchanged() {
    if let Some(host) = made("foreign-fetch").map(serving) {
        answers_as_elsewhere(&host);
    }
}

#[test]
fn rust_with_wstd_for_other_hosts_runs_unchanged() {
    let host = serving(component("foreign"));
    answers_as_elsewhere(&host);
    assert_eq!(host.instance_of("it").0, "rewind");
}

/// A component of a language whose tools are here.
fn made(name: &str) -> Option<PathBuf> {
    let file = project(&format!("target/languages/{name}.wasm"));
    if !file.exists() {
        eprintln!("==> skipped: {name} is not here; cargo xtask languages makes it, where its language's tools are");
    }
    file.exists().then_some(file)
}

/// A host that serves a component as `it`, deployed as its developer does.
fn serving(file: PathBuf) -> Host {
    let host = Host::start_with(&[("GUST_COMPILE_MS_MAX", COMPILE_MS_MAX)]);
    let deployed = host.gust(&["deploy", file.to_str().unwrap(), "--name", "it"]);
    assert!(deployed.status.success(), "{}", from_utf8(&deployed.stderr).unwrap());
    host
}

/// The template's function does what its source says, from instances that are put back.
fn greets(template: &str) {
    let Some(host) = made(template).map(serving) else { return };
    for name in (0..TRIES).map(|number| format!("Ada {number}")) {
        let answer = host.get(&format!("/it/hall?x=1&name={}", name.replace(' ', "%20")));
        assert_eq!((answer.status, answer.text()), (200, format!("Hello, {name}!").as_str()));
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(host.get("/it").text(), "Hello, world!");
    }
    assert_eq!(host.instance_of("it"), ("rewind".to_owned(), String::new()));
}

/// What `functions/foreign` does in every language: a greeting, and whatever is posted comes back.
fn answers_as_elsewhere(host: &Host) {
    let posted: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    for _ in 0..TRIES {
        let greeting = host.get("/it?name=Ada");
        assert_eq!((greeting.status, greeting.text()), (200, "Hello, Ada!"));
        assert_eq!(greeting.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(host.get("/it").text(), "Hello, world!");
    }
    for body in [posted.as_slice(), b"", b"a line"] {
        let request = Request::post(format!("http://{}/it/box", host.data)).header("content-type", "application/x-any");
        let answer = send(&agent(), request.body(body).unwrap());
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-any"));
        assert!(answer.body == body, "{} bytes came back of {}", answer.body.len(), body.len());
    }
}
