//! Functions taken to other hosts: what is written, what is refused, and who may have it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use crate::fixture::{Host, component, gust};

const MANIFEST: &str = "secrets = [\"API_KEY\"]\n[env]\nGREETING = \"hi\"\n[allow]\noutbound = [\"https://api.example.com\"]\n\
    [[route]]\npath = \"/raw/{path...}\"\n";

/// A host with a function that has a secret.
fn host() -> Host {
    let host = Host::start();
    let value = br#"{"value": "s3cret"}"#;
    assert_eq!(host.api("PUT", "/v1/apps/default/secrets/API_KEY", "application/json", value).status, 204);
    assert_eq!(host.deploy_as("raw", "raw", MANIFEST).status, 201);
    host
}

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort_unstable();
    names
}

#[test]
fn a_function_is_exported_for_every_host_without_its_secrets() {
    let host = host();
    for (to, file, parts) in [
        ("spin", "spin.toml", ["route = \"/raw/...\"", "allowed_outbound_hosts = [\"https://api.example.com\"]"]),
        ("wasmtime", "run.sh", ["exec wasmtime serve", "--env 'GREETING=hi'"]),
        ("wasmcloud", "workload.yaml", ["kind: WorkloadDeployment", "- \"https://api.example.com\""]),
    ] {
        let dir = host.dir.join(format!("out-{to}"));
        let told = out(&host.gust(&["export", "raw", "--for", to, "--to", dir.to_str().unwrap()]));
        assert!(told.contains("set API_KEY ") && told.contains("its limits are gust's"), "{told}");
        assert_eq!(names(&dir), [".gust-export", "component.wasm", file]);
        assert_eq!(fs::read(dir.join("component.wasm")).unwrap(), fs::read(component("raw")).unwrap());
        let text = fs::read_to_string(dir.join(file)).unwrap();
        assert!(parts.iter().all(|part| text.contains(part)) && !text.contains("s3cret"), "{text}");
    }
    let mode = fs::metadata(host.dir.join("out-wasmtime/run.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "it can be run");
}

#[test]
fn only_an_exports_own_directory_is_written_again() {
    let host = host();
    let dir = host.dir.join("out");
    let to = dir.to_str().unwrap();
    out(&host.gust(&["export", "raw", "--for", "spin", "--to", to]));
    fs::write(dir.join("mine"), "x").unwrap();
    out(&host.gust(&["export", "raw", "--for", "wasmtime", "--to", to]));
    assert_eq!(names(&dir), [".gust-export", "component.wasm", "mine", "run.sh"]);
    let other = host.dir.join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("spin.toml"), "mine").unwrap();
    let output = host.gust(&["export", "raw", "--for", "spin", "--to", other.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(refused(&output).contains("is not empty"));
    assert_eq!(fs::read_to_string(other.join("spin.toml")).unwrap(), "mine");
}

#[test]
fn a_file_is_exported_without_a_host_and_why_it_cannot_be_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| gust().args(arguments).current_dir(dir.path()).output().unwrap();
    fs::copy(component("raw3"), dir.path().join("raw3.wasm")).unwrap();
    fs::write(dir.path().join("gust.toml"), "name = \"service\"\n[env]\nA = \"b\"\n").unwrap();
    out(&run(&["export", "raw3.wasm", "--for", "wasmtime"]));
    let text = fs::read_to_string(dir.path().join("service-wasmtime/run.sh")).unwrap();
    assert!(text.contains("-S p3=y -W component-model-async=y") && text.contains("--env 'A=b'"), "{text}");
    let spin = refused(&run(&["export", "raw3.wasm", "--for", "spin"]));
    assert!(spin.contains("Spin 3.6 cannot run it: it exports none of wasi:http/incoming-handler 0.2"), "{spin}");
    assert!(!dir.path().join("service-spin").exists());
}

#[test]
fn whoever_may_only_read_does_not_get_the_component() {
    let host = host();
    let made = br#"{"name": "reader", "scopes": ["read:function/raw"]}"#;
    let reader = host.api("POST", "/v1/tokens", "application/json", made).json()["token"].as_str().unwrap().to_owned();
    for path in ["component", "manifest"] {
        let path = format!("/v1/functions/raw/{path}");
        let own = host.api("GET", &path, "", b"");
        assert_eq!(own.status, 200, "{own:?}");
        let request = ureq::http::Request::get(format!("http://{}{path}", host.admin));
        let request = request.header("authorization", format!("Bearer {reader}")).body(()).unwrap();
        let answer = crate::fixture::send(&crate::fixture::agent(), request);
        assert_eq!((answer.status, answer.code().as_str()), (403, "auth.forbidden"));
        assert_eq!(host.api("GET", &format!("{path}?version=9"), "", b"").code(), "version.not_found");
    }
    let component = host.api("GET", "/v1/functions/raw/component?version=1", "", b"");
    assert_eq!(component.header("content-type"), "application/wasm");
    let manifest = host.api("GET", "/v1/functions/raw/manifest", "", b"").json();
    assert_eq!((&manifest["env"]["GREETING"], &manifest["secrets"][0]), (&"hi".into(), &"API_KEY".into()));
}
