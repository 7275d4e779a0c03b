//! The developer's commands, from a new project to its removal.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use crate::fixture::{Host, component, gust};

fn out(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    out.into_owned()
}

fn err(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_function_lives_through_the_commands() {
    let host = Host::start();
    let hello = component("hello");
    let deployed = out(&host.gust(&["deploy", hello.to_str().unwrap(), "--name", "greet"]));
    assert!(
        deployed.starts_with("greet version 1 (") && deployed.contains(&format!("curl http://{}/greet", host.data))
    );
    let list = out(&host.gust(&["ls"]));
    assert!(list.starts_with("NAME") && list.contains("greet"), "{list}");
    let list: serde_json::Value = serde_json::from_str(&out(&host.gust(&["ls", "--json"]))).unwrap();
    assert_eq!(list["functions"][0]["name"], "greet");
    let about = out(&host.gust(&["inspect", "greet"]));
    assert!(about.contains("gust:function/handler") && about.contains("wall_ms"), "{about}");
    assert_eq!(out(&host.gust(&["invoke", "greet", "--path", "/?name=Ada"])), "Hello, Ada!");
    let shown = out(&host.gust(&["invoke", "greet", "-i"]));
    assert!(shown.starts_with("HTTP/1.1 200 OK\n") && shown.ends_with("\n\nHello, world!"), "{shown}");
    crate::fixture::until("both calls are in the log", || {
        out(&host.gust(&["logs", "greet"])).matches("GET 200 in").count() == 2
    });
    assert!(err(&host.gust(&["rm", "greet"])).contains("--yes"));
    assert_eq!(out(&host.gust(&["rm", "greet", "--yes"])), "removed greet\n");
    assert!(err(&host.gust(&["inspect", "greet"])).contains("[function.not_found]"));
    assert!(out(&host.gust(&["ls"])).contains("nothing is deployed"));
}

#[test]
fn a_component_is_deployed_with_the_manifest_beside_it() {
    let host = Host::start();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("gust.toml"), "name = \"odd\"\n[limits]\nmemory_mib = 64\n").unwrap();
    let path = dir.path().to_str().unwrap();
    out(&host.gust(&["deploy", component("hello").to_str().unwrap(), "--path", path]));
    let info = host.api("GET", "/v1/functions/odd", "", b"").json();
    assert_eq!(info["limits"]["memory_mib"], 64);
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let host = Host::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.wasm");
    fs::write(&file, "hello").unwrap();
    let refused = err(&host.gust(&["deploy", file.to_str().unwrap()]));
    assert!(refused.contains("This is not WebAssembly") && refused.contains("[component.not_wasm]"), "{refused}");
    let name = host.gust(&["inspect", "No"]);
    assert_eq!(name.status.code(), Some(2));
    assert!(err(&name).contains("is not a name"));
    let nobody = gust().args(["--admin", "127.0.0.1:1", "ls"]).env("GUST_TOKEN", "x").output().unwrap();
    assert!(err(&nobody).contains("start one with `gust serve`"), "{}", err(&nobody));
    let lost = gust().args(["ls"]).env("XDG_STATE_HOME", dir.path()).current_dir(dir.path()).output().unwrap();
    assert!(err(&lost).contains("--token-file FILE"), "{}", err(&lost));
    let empty = gust().args(["--admin", &host.admin.to_string(), "ls"]).env("GUST_TOKEN", "").output().unwrap();
    assert!(err(&empty).contains("GUST_TOKEN is empty"), "{}", err(&empty));
    let wrong = gust().args(["--admin", &host.admin.to_string(), "ls"]).env("GUST_TOKEN", "x").output().unwrap();
    assert!(err(&wrong).contains("[auth.required]"), "{}", err(&wrong));
}

#[test]
fn the_token_is_found_by_itself() {
    let host = Host::start();
    let port = host.admin.port();
    let note = host.dir.join(format!("gust/hosts/127.0.0.1_{port}"));
    assert_eq!(fs::read_to_string(&note).unwrap(), host.dir.to_str().unwrap());
    let mut command = gust();
    command.args(["--admin", &host.admin.to_string(), "ls"]).env("XDG_STATE_HOME", &host.dir).current_dir("/");
    out(&command.output().unwrap());
}

#[test]
fn a_new_project_is_built_deployed_and_called() {
    let host = Host::start();
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], dir: &Path| {
        let mut command = gust();
        command.args(["--admin", &host.admin.to_string(), "--token-file"]).arg(host.dir.join("admin.token"));
        // What the functions were built with is on this machine; nothing else is fetched.
        command.args(arguments).current_dir(dir).env("CARGO_NET_OFFLINE", "true").output().unwrap()
    };
    out(&run(&["new", "greet"], dir.path()));
    assert_eq!(run(&["new", "greet"], dir.path()).status.code(), Some(2), "a project is never overwritten");
    let project = dir.path().join("greet");
    // The same versions as the examples', for only those are sure to be on this machine.
    fs::copy(crate::fixture::project("functions/Cargo.lock"), project.join("Cargo.lock")).unwrap();
    let source = project.join("src/lib.rs");
    let edited = fs::read_to_string(&source).unwrap().replace("Hello, {}!", "Welcome, {}!");
    fs::write(&source, edited).unwrap();
    let built: serde_json::Value = serde_json::from_str(&out(&run(&["build", "--json"], &project))).unwrap();
    assert!(Path::new(built["component"].as_str().unwrap()).exists());
    let deployed: serde_json::Value = serde_json::from_str(&out(&run(&["deploy", "--json"], &project))).unwrap();
    assert_eq!(deployed["name"], "greet");
    assert!(
        out(&run(&["deploy"], &project)).contains("version 1 ")
            && out(&run(&["deploy"], &project)).contains("was there already")
    );
    assert_eq!(host.get("/greet?name=Ada").text(), "Welcome, Ada!");
    let natively = Command::new("cargo").args(["check", "--offline"]).current_dir(&project).output().unwrap();
    out(&natively);
}

/// A tool of a language's template: where it is in the project, what it does at the least, and how it is installed.
struct Tool(&'static str, &'static str, &'static str);

/// The names of each language's template, and its tools.
const LANGUAGES: &[(&[&str], &[Tool])] = &[
    (&["python", "py"], &[Tool(".venv/bin/componentize-py", "cp hello.wasm out/component.wasm", PIP)]),
    (
        &["javascript", "js"],
        &[Tool("node_modules/.bin/componentize-js", "cp hello.wasm out/component.wasm", "npm install")],
    ),
    (&["c"], &[Tool(".venv/bin/python-zig", "cp hello.wasm out/handler.wasm", PIP)]),
];

const PIP: &str = "pip install -r requirements.txt";

#[test]
fn a_project_in_another_language_says_how_its_tools_are_installed() {
    for (template, tools) in LANGUAGES.iter().flat_map(|(names, tools)| names.iter().map(move |name| (*name, *tools))) {
        let dir = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str], dir: &Path| {
            // Nothing but a shell's own tools is found.
            gust().args(arguments).current_dir(dir).env("PATH", "/usr/bin:/bin").output().unwrap()
        };
        let made = out(&run(&["new", "greet", "--template", template], dir.path()));
        assert!(made.ends_with("gust deploy\n"), "{made}");
        let project = dir.path().join("greet");
        fs::copy(component("hello"), project.join("hello.wasm")).unwrap();
        for Tool(tool, does, to_install) in tools {
            assert!(made.contains(to_install), "{made}");
            let failed = err(&run(&["build"], &project));
            assert!(failed.contains("is not installed") && failed.contains(to_install), "{failed}");
            assert!(failed.contains("build.command failed: sh build.sh"), "{failed}");
            install(&project.join(tool), &format!("#!/bin/sh\n{does}\n"));
        }
        // Once they are there, they are asked for one component.
        let built = out(&run(&["build"], &project));
        assert!(built.contains("out/") && built.contains(".wasm"), "{built}");
    }
}

/// Writes a program.
fn install(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
