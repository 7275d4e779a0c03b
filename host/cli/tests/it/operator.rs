//! Running a host as its operator does.

use std::{fs, net::TcpListener, path::Path, process::Output};

use crate::fixture::{Host, gust};

/// Runs a host that is expected not to start.
pub fn serve(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
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

/// What a command printed for people.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
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
fn no_key_follows_a_functions_answer_to_where_it_leads() {
    let (host, elsewhere) = (Host::start(), Host::start());
    host.deploy_as("hostile", "hostile", "access = \"key\"");
    elsewhere.deploy_as("hostile", "hostile", "");
    let path = format!("/redirect?url=http://{}/hostile/headers", elsewhere.data);
    let called = host.gust(&["invoke", "hostile", "--include", "--path", &path]);
    let told = String::from_utf8_lossy(&called.stdout).into_owned();
    assert!(called.status.success() && told.contains("302") && told.contains("location: "), "{called:?}");
    assert!(!told.contains("x-gust-key"), "{told}");
}

#[test]
fn the_doctor_says_what_to_change_for_a_host_that_is_configured_so() {
    let doctor = |variables: &[(&str, &str)]| {
        let output =
            gust().args(["doctor", "--json"]).envs(variables.iter().copied()).current_dir("/").output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let advice = |findings: &serde_json::Value, what: &str| {
        let found = findings.as_array().unwrap().iter().find(|finding| finding["what"] == what).unwrap();
        found["advice"].as_str().map(str::to_owned)
    };
    let connections = [("GUST_CONNECTIONS_MAX", "4000000000")];
    let told = advice(&doctor(&connections), "open files").unwrap();
    assert!(told.contains("connections_max") && told.contains("LimitNOFILE"), "{told}");
    assert_eq!(advice(&doctor(&[("GUST_CONNECTIONS_MAX", "1")]), "open files"), None);
    let shown = gust().arg("doctor").current_dir("/").envs(connections).output().unwrap();
    assert!(
        String::from_utf8_lossy(&shown.stdout).contains("! open files: connections_max is 4000000000"),
        "{shown:?}"
    );
}

#[test]
fn a_secret_that_nothing_came_for_is_left_as_it_is() {
    let host = Host::start();
    let set = host.gust(&["secret", "set", "API_KEY"]);
    assert_eq!(set.status.code(), Some(2), "{set:?}");
    assert!(String::from_utf8_lossy(&set.stderr).contains("nothing came"), "{set:?}");
}

#[test]
fn a_variable_that_is_no_setting_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), b"").unwrap();
    // It does not start where a file is, and says so after that.
    let failed = serve(&dir.path().join("file"), &[], &[("GUST_QUEU_MS", "5")]);
    assert!(said(&failed).contains("GUST_QUEU_MS") && said(&failed).contains("no setting"), "{}", said(&failed));
}

#[test]
fn the_documented_number_of_instances_fits() {
    let host = Host::start_with(&[("GUST_INSTANCES_MAX", "2000")]);
    assert_eq!(host.metric("gust_instances_free", &[]), 2000.0);
}
