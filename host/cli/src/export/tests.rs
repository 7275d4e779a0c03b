//! What is written for each host, and what is said of what is not.

use gust_core::component::ImportInfo;
use serde_json::json;

use super::*;

const MANIFEST: &str = r#"
    access = "key"
    secrets = ["API_KEY"]
    [env]
    GREETING = "it's \"hi\", $HOME"
    [allow]
    functions = ["auth"]
    outbound = ["https://*.example.com", "http://10.0.0.0/8:8080", { to = "https://a.test:8443", methods = ["POST"] }]
    [[route]]
    path = "/orders/{id}"
    [[route]]
    host = "img.example.com"
    path = "/img/{path...}"
    methods = ["GET"]
    [[route]]
    path = "/old"
    redirect = { to = "/new" }
"#;

fn exported(manifest: &str, imports: &[&str]) -> Exported {
    let imports = imports.iter().map(|name| ImportInfo::offered((*name).to_owned())).collect();
    let handlers = vec!["wasi:http/incoming-handler@0.2.0".to_owned(), "gust:function/init@0.1.0".to_owned()];
    Exported {
        name: "hello".parse().unwrap(),
        manifest: Manifest::parse(manifest).unwrap(),
        component: ComponentInfo { imports, handlers, ..ComponentInfo::default() },
        command: format!("wasmtime serve -S cli {COMPONENT}"),
    }
}

fn files(host: ForHost) -> (String, String) {
    let imports = ["wasi:http/types@0.2.0", "wasi:http/outgoing-handler@0.2.0", "wasi:config/store@0.2.0-rc.1"];
    let files = host.files(&exported(MANIFEST, &imports)).unwrap();
    (files.text, files.notes.join("\n"))
}

#[test]
fn spin_has_routes_hosts_and_an_environment() {
    let (text, notes) = files(ForHost::Spin);
    let document: toml::Table = text.parse().unwrap();
    let document = serde_json::to_value(document).unwrap();
    let routes = json!([{"route": "/img/...", "component": "hello"}, {"route": "/orders/:id", "component": "hello"}]);
    assert_eq!((&document["spin_manifest_version"], &document["trigger"]["http"]), (&json!(2), &routes));
    let component = &document["component"]["hello"];
    let hosts = json!(["https://*.example.com", "http://10.0.0.0/8:8080", "https://a.test:8443"]);
    assert_eq!(component["allowed_outbound_hosts"], hosts);
    assert_eq!(component["environment"]["GREETING"], "it's \"hi\", $HOME");
    assert_eq!(component["key_value_stores"], json!(null));
    for note in ["Spin routes by path alone", "/old is not exported", "no methods", "set API_KEY with `spin up --env"] {
        assert!(notes.contains(note), "{note}: {notes}");
    }
    let allow = "[allow]\nkv = [\"carts\", \"default\"]";
    let plain = ForHost::Spin.files(&exported(allow, &["wasi:keyvalue/store@0.2.0-draft2"])).unwrap();
    assert!(
        plain.text.contains("route = \"/...\"") && plain.text.contains("key_value_stores = [\"carts\", \"default\"]")
    );
    assert!(plain.notes.iter().any(|note| note.contains("where the others are")), "{:?}", plain.notes);
}

#[test]
fn wasmtime_has_a_command_line_that_a_shell_takes_as_it_is() {
    let (text, notes) = files(ForHost::Wasmtime);
    // As it would be called: its arguments, one a line.
    let script = text.replace("exec wasmtime", "printf '%s\\n'").replace("cd \"$(dirname \"$0\")\"", "");
    let run = |key: Option<&str>| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &script]).env_remove("API_KEY").envs(key.map(|key| ("API_KEY", key))).output().unwrap()
    };
    let output = String::from_utf8(run(Some("s3cret")).stdout).unwrap();
    let arguments: Vec<&str> = output.lines().collect();
    let expected = ["serve", "-S", "cli", "--addr", "127.0.0.1:8080", "--env", "GREETING=it's \"hi\", $HOME"];
    assert_eq!(arguments, [&expected[..], &["--env", "API_KEY", COMPONENT]].concat());
    let elsewhere = text.replace("exec wasmtime", "ADDR=127.0.0.1:1; echo").replace("cd \"$(dirname \"$0\")\"", "");
    let shell = std::process::Command::new("sh").args(["-c", &elsewhere]).env("API_KEY", "x").output().unwrap();
    assert!(String::from_utf8_lossy(&shell.stdout).contains("--addr 127.0.0.1:1 "), "{shell:?}");
    let refused = run(None);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("API_KEY"), "{refused:?}");
    for note in ["nothing limits whom", "wasi:config does not have GREETING, API_KEY", "for every path", "auth"] {
        assert!(notes.contains(note), "{note}: {notes}");
    }
}

#[test]
fn wasmcloud_has_a_workload() {
    let (text, notes) = files(ForHost::Wasmcloud);
    for part in [
        "kind: WorkloadDeployment\nmetadata:\n  name: hello\n",
        "              config:\n                GREETING: \"it's \\\"hi\\\", $HOME\"\n",
        "              secretFrom:\n                - name: hello-secrets\n",
        "            allowedHosts:\n              - \"https://*.example.com\"\n              - \"https://a.test:8443\"\n",
        "          package: http\n          interfaces:\n            - incoming-handler\n            - outgoing-handler\n",
        "          package: config\n          interfaces:\n            - store\n          config:\n            GREETING:",
    ] {
        assert!(text.contains(part), "{part}\nin\n{text}");
    }
    assert!(notes.contains("http://10.0.0.0/8:8080 is not allowed there"), "{notes}");
}

#[test]
fn what_is_only_here_is_said_for_every_host() {
    for host in [ForHost::Spin, ForHost::Wasmtime, ForHost::Wasmcloud] {
        let (_, notes) = files(host);
        for note in ["it may call auth", "its access here is key", "gust:function/init is not called", "its limits"] {
            assert!(notes.contains(note), "{host:?}: {note}: {notes}");
        }
    }
}
