//! The description of the admin API: the one that is served is the one that is committed, and the host does as it says.

use std::{env, fs, process::Command};

use ureq::http::Request;

use super::fixture::{Host, agent, component, project, send};

/// The committed description.
const COMMITTED: &str = "docs/openapi.json";

#[test]
fn the_served_description_is_the_committed_one() {
    let host = Host::start();
    let request = Request::get(format!("http://{}/openapi.json", host.admin)).body(()).unwrap();
    let served = send(&agent(), request);
    assert_eq!((served.status, served.header("content-type")), (200, "application/json"));
    if env::var_os("GUST_BLESS").is_some() {
        fs::write(project(COMMITTED), &served.body).unwrap();
    }
    let committed = fs::read_to_string(project(COMMITTED)).unwrap_or_default();
    let first_difference =
        served.text().lines().zip(committed.lines()).position(|(served, committed)| served != committed);
    let line = first_difference.unwrap_or_else(|| committed.lines().count().min(served.text().lines().count())) + 1;
    assert!(
        served.text() == committed,
        "{COMMITTED} is not what the host serves, from line {line} on. If the change is meant: \
         GUST_BLESS=1 cargo test --workspace --test it openapi::"
    );
}

/// Calls without a token, and calls that are not there.
#[test]
fn what_is_not_described_is_not_there() {
    let host = Host::start();
    for (method, path, status, code) in [
        ("POST", "/openapi.json", 405, "api.method_not_allowed"),
        ("DELETE", "/healthz", 405, "api.method_not_allowed"),
        ("PATCH", "/v1/functions/hello", 405, "api.method_not_allowed"),
        ("GET", "/v2/functions", 404, "api.not_found"),
    ] {
        let answer = host.api(method, path, "application/json", b"");
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path}");
    }
    let answer = host.api("POST", "/v1/tokens/x", "application/json", b"");
    assert_eq!((answer.status, answer.header("allow")), (405, "DELETE"));
}

/// Calls made up from the description, good ones and bad ones: the answers are of the statuses and forms that it says, what is
/// good is taken, what is bad refused, and none makes the host fail.
#[test]
fn schemathesis_finds_nothing() {
    let Some(schemathesis) = env::var_os("GUST_SCHEMATHESIS") else {
        eprintln!(
            "==> skipped: GUST_SCHEMATHESIS does not name the command; cargo xtask test --long installs it and does so"
        );
        return;
    };
    let host = Host::start();
    host.deploy("hello");
    host.deploy("markdown");
    let config = project("host/cli/tests/schemathesis/config.toml");
    let mut command = Command::new(schemathesis);
    command.arg("--config-file").arg(config).args(["run", &format!("http://{}/openapi.json", host.admin)]);
    command.env("GUST_TOKEN", &host.token).env("GUST_COMPONENT", component("hello")).current_dir(&host.dir);
    let status = command.env("SCHEMATHESIS_HOOKS", project("host/cli/tests/schemathesis/hooks.py")).status().unwrap();
    assert!(status.success(), "what schemathesis says is above");
    assert_eq!(host.get("/readyz").status, 404, "it still serves");
}
