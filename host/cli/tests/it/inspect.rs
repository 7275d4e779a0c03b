//! What a component is, as the API tells it and `gust inspect` shows it, with a host and without one.

use std::{fs, path::Path, process::Output};

use serde_json::Value;

use crate::fixture::{Host, component, gust};

/// A handler, which imports what no host offers and what one nearly does.
const UNMET: &str = r#"(component
    (import "wasi:config/store@0.2.0-draft" (instance))
    (import "acme:tools/saw@1.0.0" (instance))
    (instance $i)
    (export "wasi:http/incoming-handler@0.2.0" (instance $i)))"#;

/// The command without any host that it could ask.
fn alone(arguments: &[&str], dir: &Path) -> Output {
    let mut command = gust();
    command.args(["--admin", "127.0.0.1:1"]).args(arguments).env("XDG_STATE_HOME", dir).current_dir(dir);
    command.output().unwrap()
}

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What becomes of an import.
fn reach<'i>(info: &'i Value, name: &str) -> &'i str {
    let imports = info["component"]["imports"].as_array().unwrap();
    let import = imports.iter().find(|import| import["name"].as_str().unwrap().starts_with(name));
    import.unwrap_or_else(|| panic!("no {name}: {info}"))["reach"].as_str().unwrap()
}

fn host_says(component: &Value, host: &str) -> Value {
    component["hosts"].as_array().unwrap().iter().find(|info| info["host"] == host).unwrap().clone()
}

#[test]
fn the_api_tells_what_a_component_is() {
    let host = Host::start();
    let deployed = host.deploy_as("raw", "raw", "").json();
    let info = host.info("raw");
    assert_eq!(deployed["component"], info["component"]);
    let component = &info["component"];
    let handler = component["handlers"][0].as_str().unwrap();
    assert!(handler.starts_with("wasi:http/incoming-handler@0.2."), "{component}");
    assert_eq!(reach(&info, "wasi:io/streams@"), "offered");
    assert_eq!(reach(&info, "wasi:http/outgoing-handler@"), "denied");
    assert!(
        component["producers"].as_array().unwrap().iter().any(|made| made["name"] == "wit-component"),
        "{component}"
    );
    let sizes = component["sizes"].as_object().unwrap();
    let sum: u64 = sizes.values().map(|bytes| bytes.as_u64().unwrap()).sum();
    let size = info["size_bytes"].as_u64().unwrap();
    // Between sections are their heads, and nothing else.
    assert!(sum <= size && sum > size * 9 / 10, "{sum} of {size}: {sizes:?}");
    assert_eq!(host_says(component, "wasmtime serve")["runs"], true);
    let list = host.api("GET", "/v1/functions", "", b"").json();
    assert!(list["functions"][0]["component"].is_null(), "{list}");
    host.deploy_as("raw", "raw", "[allow]\nfunctions = [\"raw\"]");
    assert_eq!(reach(&host.info("raw"), "wasi:http/outgoing-handler@"), "allowed");
}

#[test]
fn a_deploy_tells_of_the_upload_whatever_serves() {
    let host = Host::start();
    host.deploy_as("greet", "hello", "");
    let file = component("raw");
    let canary = ["deploy", file.to_str().unwrap(), "--name", "greet", "--alias", "canary"];
    let told = out(&host.gust(&canary));
    assert!(told.contains("called through wasi:http/incoming-handler\n"), "{told}");
    assert!(told.contains("warning: it imports wasi:http/outgoing-handler@"), "{told}");
    let told = out(&host.gust(&["deploy", component("hello").to_str().unwrap(), "--name", "other"]));
    assert!(told.contains("called through gust:function/handler\n"), "{told}");
}

#[test]
fn a_file_is_inspected_without_a_host() {
    let dir = tempfile::tempdir().unwrap();
    let shown = out(&alone(&["inspect", component("raw3").to_str().unwrap()], dir.path()));
    for line in [
        "exports wasi:http/handler@0.3",
        "imports wasi:http/types@0.3",
        "made by processed-by  wit-component",
        "holds code",
        "runs on gust ",
        "runs on wasmtime serve  48",
        "-S p3=y -W component-model-async=y",
        "no: it exports none of wasi:http/incoming-handler 0.2",
    ] {
        assert!(shown.contains(line), "{line}\nin\n{shown}");
    }
    let hello = component("hello");
    let json = out(&alone(&["inspect", hello.to_str().unwrap(), "--json"], dir.path()));
    let info: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(host_says(&info, "gust")["runs"], true);
    let manifest = dir.path().join("odd.toml");
    fs::write(&manifest, "[allow]\nfunctions = [\"auth\"]\n").unwrap();
    let raw = component("raw");
    let arguments = ["inspect", raw.to_str().unwrap(), "--manifest", manifest.to_str().unwrap()];
    assert!(out(&alone(&arguments, dir.path())).contains("offered, and allowed (allow.functions"));
    assert!(out(&alone(&arguments[..2], dir.path())).contains("offered; the manifest decides"));
}

#[test]
fn what_is_no_component_is_told_as_an_upload_is() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(component("hello")).unwrap();
    for (name, bytes, told) in [
        ("cut.wasm", &whole[..whole.len() / 2], "[component.malformed]"),
        ("text.wasm", b"hello", "[component.not_wasm]"),
        ("empty.wasm", b"", "is empty [upload.incomplete]"),
    ] {
        fs::write(dir.path().join(name), bytes).unwrap();
        let refused = alone(&["inspect", name], dir.path());
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && error.contains(name), "{error}");
        assert!(error.contains(told), "{name}: {error}");
    }
}

#[test]
fn the_nearest_to_what_is_missing_is_named() {
    let host = Host::start();
    let bytes = wat::parse_str(UNMET).unwrap();
    let refused = host.upload("unmet", &bytes);
    assert_eq!(refused.code(), "component.unknown_import");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    let near = "the nearest to wasi:config/store@0.2.0-draft is wasi:config/store@0.2.0-rc.1";
    assert!(detail.contains(near) && !detail.contains("nearest to acme"), "{detail}");
    let file = host.dir.join("unmet.wasm");
    fs::write(&file, &bytes).unwrap();
    let shown = out(&alone(&["inspect", file.to_str().unwrap()], &host.dir));
    assert!(shown.contains("wasi:config/store@0.2.0-draft  not offered; the nearest is"), "{shown}");
    assert!(shown.contains("no: wasi:config/store@0.2.0-draft is not offered; acme:tools/saw@1.0.0"), "{shown}");
}
