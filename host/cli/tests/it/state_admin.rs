//! What functions keep, for people: the calls of the API, `gust kv` and `gust blob`, and which tokens may do so.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use gust_core::state::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use serde_json::{Value, json};
use ureq::http::Request;

use crate::{
    faults::files_in,
    fixture::{Answer, Host, agent, gust, send, until},
    operator::said,
};

const KV: &str = "/v1/apps/default/kv/carts";
const BLOBS: &str = "/v1/apps/default/blobs/carts";
const BINARY: &str = "application/octet-stream";

fn put(host: &Host, path: &str, content: &[u8]) -> u16 {
    host.api("PUT", path, BINARY, content).status
}

fn get(host: &Host, path: &str) -> Answer {
    host.api("GET", path, "", b"")
}

/// What the command prints, where it does what it is told.
fn printed(host: &Host, arguments: &[&str]) -> String {
    let output = host.gust(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// How the command ends that does not, and what it says.
fn failed(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The command with something to read.
fn piped(host: &Host, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = gust();
    command.args(["--admin", &host.admin.to_string(), "--token-file"]).arg(host.dir.join("admin.token"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have ended without reading it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// The command at a terminal: how it ends, and what is seen there.
fn at_a_terminal(host: &Host, arguments: &str) -> (i32, String) {
    let gust = gust().get_program().to_str().unwrap().to_owned();
    let token = host.dir.join("admin.token");
    let line = format!("exec {gust} --admin {} --token-file {} {arguments}", host.admin, token.display());
    let mut script = Command::new("script");
    let output = script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_api_lists_reads_sets_and_removes_key_values() {
    let host = Host::start();
    assert_eq!(get(&host, KV).json(), json!({"keys": [], "next": null}));
    for key in ["a", "b%2Fc", "b%2Fd", "%00", "..%2F..%2Fetc", "%E2%9C%93"] {
        assert_eq!(put(&host, &format!("{KV}/{key}"), key.as_bytes()), 204);
        let answer = get(&host, &format!("{KV}/{key}"));
        assert_eq!((answer.text(), answer.header("content-type")), (key, BINARY));
    }
    assert_eq!(get(&host, KV).json(), json!({"keys": ["\0", "../../etc", "a", "b/c", "b/d", "✓"], "next": null}));
    assert_eq!(get(&host, &format!("{KV}?prefix=b%2F")).json(), json!({"keys": ["b/c", "b/d"], "next": null}));
    assert_eq!(get(&host, &format!("{KV}?limit=2")).json(), json!({"keys": ["\0", "../../etc"], "next": "../../etc"}));
    assert_eq!(get(&host, &format!("{KV}?after=b%2Fc&limit=9")).json(), json!({"keys": ["b/d", "✓"], "next": null}));
    assert_eq!(host.api("DELETE", &format!("{KV}/a"), "", b"").status, 204);
    for method in ["GET", "DELETE"] {
        let gone = host.api(method, &format!("{KV}/a"), "", b"");
        assert_eq!((gone.status, gone.code().as_str()), (404, "state.not_found"), "{method}");
        assert!(gone.text().contains(r#"carts of the app default has no \"a\""#), "{gone:?}");
    }
    assert_eq!(put(&host, &format!("{KV}/brief?ttl=1s"), b"x"), 204);
    assert_eq!(get(&host, &format!("{KV}/brief")).text(), "x");
    until("it has expired", || get(&host, &format!("{KV}/brief")).status == 404);
    assert_eq!(put(&host, &format!("{KV}/large"), &vec![7; VALUE_BYTES_MAX]), 204);
    assert_eq!(get(&host, &format!("{KV}/large")).body.len(), VALUE_BYTES_MAX);
}

#[test]
fn the_api_lists_reads_writes_and_removes_blobs() {
    let host = Host::start();
    let of = |name: &str| format!("{BLOBS}/{name}");
    assert_eq!((put(&host, &of("p%2Fa"), b"first"), put(&host, &of("p%2Fa"), b"again")), (201, 200));
    assert_eq!((put(&host, &of("p%2Fb"), b""), put(&host, &of("q"), &[1; 300_000])), (201, 201));
    let answer = get(&host, &of("p%2Fa"));
    assert_eq!((answer.text(), answer.header("content-length"), answer.header("content-type")), ("again", "5", BINARY));
    assert_eq!((get(&host, &of("p%2Fb")).body, get(&host, &of("q")).body), (vec![], vec![1; 300_000]));
    let seen = |query: &str| {
        let list = get(&host, &format!("{BLOBS}{query}")).json();
        let blobs = list["blobs"].as_array().unwrap().iter();
        let shown = blobs.map(|blob| {
            assert!(blob["created_unix_ms"].as_u64().unwrap() > 1_700_000_000_000, "{blob}");
            format!("{}={}", blob["name"].as_str().unwrap(), blob["size_bytes"])
        });
        (shown.collect::<Vec<_>>().join(" "), list["next"].clone())
    };
    assert_eq!(seen(""), ("p/a=5 p/b=0 q=300000".to_owned(), Value::Null));
    assert_eq!(seen("?prefix=p%2F&limit=1"), ("p/a=5".to_owned(), json!("p/a")));
    assert_eq!(seen("?prefix=p%2F&after=p%2Fa"), ("p/b=0".to_owned(), Value::Null));
    assert_eq!(host.api("DELETE", &of("q"), "", b"").status, 204);
    for method in ["GET", "DELETE"] {
        let gone = host.api(method, &of("q"), "", b"");
        assert_eq!((gone.status, gone.code().as_str()), (404, "state.not_found"), "{method}");
    }
    assert_eq!(files_in(&host, "blobs").len(), 2);
}

#[test]
fn what_cannot_be_kept_is_refused_with_its_reason() {
    let host = Host::start();
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    for (method, path, status, code) in [
        ("GET", "/v1/apps/default/kv/Not_A_Name".to_owned(), 400, "name.invalid"),
        ("PUT", "/v1/apps/default/kv/Not_A_Name/k".to_owned(), 400, "name.invalid"),
        ("PUT", "/v1/apps/default/blobs/..%2Fcarts/b".to_owned(), 400, "name.invalid"),
        ("GET", "/v1/apps/none/kv/carts".to_owned(), 404, "app.not_found"),
        ("PUT", "/v1/apps/none/kv/carts/k".to_owned(), 404, "app.not_found"),
        ("PUT", "/v1/apps/none/blobs/carts/b".to_owned(), 404, "app.not_found"),
        ("PUT", format!("{KV}/{long}"), 400, "state.invalid"),
        ("PUT", format!("{BLOBS}/{long}"), 400, "state.invalid"),
        ("PUT", format!("{KV}/k?ttl=soon"), 400, "api.malformed"),
        ("PUT", format!("{KV}/k?ttl=0s"), 400, "api.malformed"),
        ("GET", format!("{KV}?first=1"), 400, "api.malformed"),
        ("POST", format!("{KV}/k"), 405, "api.method_not_allowed"),
    ] {
        let answer = host.api(method, &path, BINARY, b"x");
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path}: {answer:?}");
    }
    let large = host.api("PUT", &format!("{KV}/k"), BINARY, &vec![7; VALUE_BYTES_MAX + 1]);
    assert_eq!((large.status, large.code().as_str()), (400, "state.invalid"), "{large:?}");
    assert!(large.text().contains("1048576 bytes"), "{large:?}");
    assert_eq!(get(&host, KV).json(), json!({"keys": [], "next": null}));
}

#[test]
fn what_is_beyond_the_quota_is_told_clearly_and_leaves_nothing() {
    let (host, dir) = (Host::start(), tempfile::tempdir().unwrap());
    let quota = br#"{"quotas": {"storage_mib": 1}}"#;
    assert_eq!(host.api("PUT", "/v1/apps/default", "application/json", quota).status, 200);
    assert_eq!(put(&host, &format!("{KV}/half"), &[7; 600 << 10]), 204);
    for path in [format!("{KV}/more"), format!("{BLOBS}/more")] {
        let refused = host.api("PUT", &path, BINARY, &[7; 600 << 10]);
        assert_eq!((refused.status, refused.code().as_str()), (429, "quota.storage_mib"), "{path}: {refused:?}");
        assert_eq!(refused.json()["detail"], "the app has no room for it: its quota storage_mib is 1");
    }
    let file = dir.path().join("more");
    fs::write(&file, [7; 600 << 10]).unwrap();
    let file = file.to_str().unwrap();
    for (arguments, input) in [
        (&["kv", "set", "carts", "more"][..], vec![7; 600 << 10]),
        (&["blob", "put", "carts", file], vec![]),
        (&["blob", "put", "carts", "-", "more"], vec![7; 600 << 10]),
    ] {
        let (code, told) = failed(&piped(&host, arguments, &input));
        assert!(code == 1 && told.contains("its quota storage_mib is 1 [quota.storage_mib]"), "{arguments:?}: {told}");
    }
    until("nothing is left of it", || files_in(&host, "tmp").is_empty() && files_in(&host, "blobs").is_empty());
    printed(&host, &["kv", "rm", "carts", "half"]);
    printed(&host, &["blob", "put", "carts", file]);
}

#[test]
fn key_values_by_the_command() {
    let host = Host::start();
    assert_eq!(host.api("PUT", "/v1/apps/shop", "application/json", b"{}").status, 201);
    assert_eq!(printed(&host, &["kv", "set", "carts", "a/b c", "apples"]), "set a/b c in carts of the app default\n");
    assert_eq!(printed(&host, &["kv", "get", "carts", "a/b c"]), "apples", "as it is, and nothing else");
    printed(&host, &["kv", "set", "carts", "a/b c", "pears", "--app", "shop"]);
    assert_eq!(printed(&host, &["kv", "get", "carts", "a/b c"]), "apples");
    let bytes: Vec<u8> = (0..=255).collect();
    assert!(piped(&host, &["kv", "set", "carts", "bytes"], &bytes).status.success());
    assert_eq!(host.gust(&["kv", "get", "carts", "bytes"]).stdout, bytes);
    printed(&host, &["kv", "set", "carts", "--ttl", "1s", "brief", "x"]);
    until("it has expired", || !host.gust(&["kv", "get", "carts", "brief"]).status.success());
    assert_eq!(printed(&host, &["kv", "ls", "carts"]), "KEY\na/b c\nbytes\n");
    assert_eq!(printed(&host, &["kv", "ls", "carts", "--prefix", "b", "--json"]), "[\"bytes\"]\n");
    printed(&host, &["kv", "set", "visits", "today", "7"]);
    assert_eq!(printed(&host, &["kv", "ls"]), "BUCKET\ncarts\nvisits\n");
    assert_eq!(printed(&host, &["kv", "ls", "--app", "shop", "--json"]), "[\"carts\"]\n");
    assert!(piped(&host, &["kv", "set", "carts", "piped", "-"], b"pears").status.success());
    assert_eq!(printed(&host, &["kv", "get", "carts", "piped"]), "pears");
    printed(&host, &["kv", "rm", "carts", "piped"]);
    assert_eq!(
        printed(&host, &["kv", "set", "carts", "a\x1b[31m\nb", "x"]),
        "set a\\u{1b}[31m\\nb in carts of the app default\n"
    );
    printed(&host, &["kv", "rm", "carts", "a\x1b[31m\nb"]);
    assert_eq!(printed(&host, &["kv", "rm", "carts", "bytes"]), "removed bytes from carts of the app default\n");
    for arguments in [["kv", "get", "carts", "bytes"], ["kv", "rm", "carts", "bytes"]] {
        let (code, told) = failed(&host.gust(&arguments));
        assert!(code == 1 && told.contains("carts of the app default has no \"bytes\" [state.not_found]"), "{told}");
    }
    // More than a page of them.
    let pairs: Vec<String> = (0..1001).map(|n| format!("k{n:04}")).collect();
    pairs.iter().for_each(|key| assert_eq!(put(&host, &format!("/v1/apps/default/kv/many/{key}"), b""), 204));
    let listed: Vec<String> = serde_json::from_str(&printed(&host, &["kv", "ls", "many", "--json"])).unwrap();
    assert_eq!(listed, pairs);
}

#[test]
fn blobs_by_the_command() {
    let (host, dir) = (Host::start(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (photo, out) = (path("photo.jpg"), path("out.jpg"));
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    fs::write(&photo, &bytes).unwrap();
    let told = printed(&host, &["blob", "put", "pictures", &photo]);
    assert_eq!(told, "put photo.jpg into pictures of the app default (195.31 KiB)\n");
    assert_eq!(host.gust(&["blob", "get", "pictures", "photo.jpg"]).stdout, bytes);
    assert_eq!(printed(&host, &["blob", "get", "pictures", "photo.jpg", "-o", &out]), "");
    assert_eq!(fs::read(&out).unwrap(), bytes);
    let output = piped(&host, &["blob", "put", "pictures", "-", "a/b"], b"from a pipe");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "put a/b into pictures of the app default (11 B)\n");
    assert_eq!(
        printed(&host, &["blob", "ls", "pictures"]),
        "NAME       SIZE\na/b        11 B\nphoto.jpg  195.31 KiB\n"
    );
    printed(&host, &["blob", "put", "papers", "-", "a", "--app", "default"]);
    assert_eq!(printed(&host, &["blob", "ls"]), "CONTAINER\npapers\npictures\n");
    assert_eq!(get(&host, "/v1/apps/default/blobs?limit=1").json(), json!({"names": ["papers"], "next": "papers"}));
    assert_eq!(get(&host, "/v1/apps/default/blobs?after=papers").json(), json!({"names": ["pictures"], "next": null}));
    let listed: Value =
        serde_json::from_str(&printed(&host, &["blob", "ls", "pictures", "--prefix", "a", "--json"])).unwrap();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["size_bytes"]), (1, &json!(11)));
    // One that is there is replaced, and goes on to be its owner's alone.
    fs::set_permissions(&out, fs::Permissions::from_mode(0o600)).unwrap();
    printed(&host, &["blob", "get", "pictures", "a/b", "--output", &out]);
    assert_eq!(fs::read(&out).unwrap(), b"from a pipe");
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    printed(&host, &["blob", "get", "pictures", "a/b", "-o", "/dev/null"]);
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    let link = path("link");
    std::os::unix::fs::symlink(&out, &link).unwrap();
    printed(&host, &["blob", "get", "pictures", "photo.jpg", "-o", &link]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && fs::read(&out).unwrap() == bytes);
    assert_eq!(printed(&host, &["blob", "rm", "pictures", "a/b"]), "removed a/b from pictures of the app default\n");
    for arguments in [["blob", "get", "pictures", "a/b"], ["blob", "rm", "pictures", "a/b"]] {
        let (code, told) = failed(&host.gust(&arguments));
        assert!(code == 1 && told.contains("[state.not_found]"), "{told}");
    }
    let (code, _) = failed(&host.gust(&["blob", "get", "pictures", "a/b", "-o", &path("none")]));
    assert!(code == 1 && !Path::new(&path("none")).exists(), "nothing is made where there is no blob");
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "nothing is left beside them: {names:?}");
}

#[test]
fn wrong_usage_is_told_before_a_host_is_asked() {
    let host = Host::start();
    for (arguments, told) in [
        (&["kv", "get", "Not_A_Name", "k"][..], "Not_A_Name"),
        (&["kv", "ls", "carts", "--app", "Not_A_Name"], "Not_A_Name"),
        (&["blob", "ls", "../carts"], "../carts"),
        (&["blob", "put", "carts", "-"], "say what the blob is to be called"),
        (&["kv", "set", "carts", "k", "v", "--ttl", "soon"], "soon"),
        (&["kv", "get", "carts"], "<KEY>"),
    ] {
        let (code, seen) = failed(&host.gust(arguments));
        assert!(code == 2 && seen.contains(told), "{arguments:?}: {code} {seen}");
    }
    let (code, seen) = failed(&host.gust(&["blob", "put", "carts", "/nowhere/file"]));
    assert!(code == 1 && seen.contains("the file /nowhere/file"), "{seen}");
}

#[test]
fn a_terminal_gets_no_blob_and_is_not_waited_for_a_value() {
    let host = Host::start();
    assert_eq!((put(&host, &format!("{BLOBS}/b"), b"\x1b[31m"), put(&host, &format!("{KV}/k"), b"apples")), (201, 204));
    let (code, seen) = at_a_terminal(&host, "blob get carts b");
    assert!(code == 2 && seen.contains("give --output FILE, or a pipe"), "{code} {seen}");
    let (code, seen) = at_a_terminal(&host, "kv get carts k");
    assert_eq!((code, seen.as_str()), (0, "apples"));
    // What is read from a terminal there is what the test itself has: a terminal that nobody types at.
    let (code, seen) = at_a_terminal(&host, "kv set carts k");
    assert!(code == 2 && seen.contains("give the value, or pipe it"), "{code} {seen}");
    assert_eq!(get(&host, &format!("{KV}/k")).text(), "apples");
}

/// `gust blob get` from a host that goes away within its answer.
fn broken_off(file: &Path) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = gust();
    command.args(["--admin", &listener.local_addr().unwrap().to_string(), "blob", "get", "carts", "b", "-o"]);
    command.arg(file).env("GUST_TOKEN", "x");
    thread::scope(|scope| {
        let output = scope.spawn(move || command.output().unwrap());
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4096\r\n\r\nhalf of it").unwrap();
        drop(stream);
        output.join().unwrap()
    })
}

#[test]
fn a_blob_that_breaks_off_leaves_the_file_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (there, new) = (dir.path().join("there"), dir.path().join("new"));
    fs::write(&there, b"before").unwrap();
    for file in [&there, &new] {
        let (code, told) = failed(&broken_off(file));
        assert!(code == 1 && told.contains("the blob broke off"), "{told}");
    }
    assert_eq!(fs::read(&there).unwrap(), b"before");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing half is there");
}

fn token(host: &Host, name: &str, scopes: &[&str]) -> String {
    let document = json!({"name": name, "scopes": scopes}).to_string();
    let made = host.api("POST", "/v1/tokens", "application/json", document.as_bytes());
    assert_eq!(made.status, 201, "{made:?}");
    made.json()["token"].as_str().unwrap().to_owned()
}

fn ask(host: &Host, token: &str, method: &str, path: &str, body: &[u8]) -> Answer {
    let request = Request::builder().method(method).uri(format!("http://{}{path}", host.admin));
    let request = request.header("authorization", format!("Bearer {token}")).header("content-type", BINARY);
    send(&agent(), request.body(body).unwrap())
}

/// All calls about what functions keep in an app, in an order in which each can be done, and what they answer then.
fn calls(app: &str) -> [(&'static str, String, u16); 8] {
    let (kv, blobs) = (format!("/v1/apps/{app}/kv/carts"), format!("/v1/apps/{app}/blobs/carts"));
    [
        ("PUT", format!("{kv}/k"), 204),
        ("GET", format!("{kv}/k"), 200),
        ("GET", kv.clone(), 200),
        ("DELETE", format!("{kv}/k"), 204),
        ("PUT", format!("{blobs}/b"), 201),
        ("GET", format!("{blobs}/b"), 200),
        ("GET", blobs.clone(), 200),
        ("DELETE", format!("{blobs}/b"), 204),
    ]
}

#[test]
fn who_has_not_the_scope_data_reaches_nothing_that_functions_keep() {
    let host = Host::start();
    host.deploy("hello");
    assert_eq!((put(&host, &format!("{KV}/k"), b"secret"), put(&host, &format!("{BLOBS}/b"), b"secret")), (204, 201));
    for (name, scopes, status, code) in [
        ("reader", &["read:*"][..], 403, "auth.forbidden"),
        ("deployer", &["deploy:*"], 403, "auth.forbidden"),
        ("app-deployer", &["deploy:app/default"], 403, "auth.forbidden"),
        // Those do not even see the app.
        ("caller", &["invoke:*"], 404, "app.not_found"),
        ("function-admin", &["admin:function/hello"], 404, "app.not_found"),
        ("elsewhere", &["data:app/shop", "admin:app/shop"], 404, "app.not_found"),
    ] {
        let token = token(&host, name, scopes);
        for (method, path, _) in calls("default") {
            let refused = ask(&host, &token, method, &path, b"mine");
            assert_eq!((refused.status, refused.code().as_str()), (status, code), "{name}: {method} {path}");
            assert!(!refused.text().contains("secret"));
        }
    }
    assert_eq!((get(&host, &format!("{KV}/k")).text(), get(&host, &format!("{BLOBS}/b")).text()), ("secret", "secret"));
    for (name, scope) in [("data", "data:app/default"), ("all-data", "data:*"), ("admin", "admin:app/default")] {
        let token = token(&host, name, &[scope]);
        host.api("DELETE", &format!("{BLOBS}/b"), "", b"");
        for (method, path, status) in calls("default") {
            assert_eq!(ask(&host, &token, method, &path, b"x").status, status, "{name}: {method} {path}");
        }
    }
}

#[test]
fn the_scope_data_is_for_what_functions_keep_and_for_nothing_else() {
    let host = Host::start();
    host.deploy("hello");
    assert_eq!(host.api("PUT", "/v1/apps/shop", "application/json", b"{}").status, 201);
    let component = fs::read(crate::fixture::component("hello")).unwrap();
    for (name, scope) in [("data", "data:app/default"), ("all", "data:*")] {
        let token = token(&host, name, &[scope]);
        for (method, path) in [
            ("GET", "/v1/functions/hello"),
            ("PUT", "/v1/functions/hello"),
            ("PUT", "/v1/functions/mine"),
            ("DELETE", "/v1/functions/hello"),
            ("GET", "/v1/functions/hello/logs"),
            ("GET", "/v1/functions/hello/component"),
            ("GET", "/v1/apps/default"),
            ("PUT", "/v1/apps/default"),
            ("PUT", "/v1/apps/default/config/KEY"),
            ("PUT", "/v1/apps/default/functions/hello"),
            ("PUT", "/v1/apps/default/secrets/KEY"),
            ("GET", "/v1/backup"),
            ("PUT", "/v1/restore"),
            ("GET", "/metrics"),
        ] {
            let refused = ask(&host, &token, method, path, &component);
            assert!([403, 404].contains(&refused.status), "{name}: {method} {path}: {refused:?}");
            assert!(
                ["auth.forbidden", "app.not_found", "function.not_found"].contains(&refused.code().as_str()),
                "{refused:?}"
            );
        }
        assert_eq!(ask(&host, &token, "GET", "/v1/functions", b"").json()["functions"], json!([]));
        let heir = json!({"name": "heir", "scopes": ["read:app/default"]}).to_string();
        let request =
            Request::post(format!("http://{}/v1/tokens", host.admin)).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {token}"));
        assert_eq!(send(&agent(), request.body(heir.as_bytes()).unwrap()).status, 403);
    }
    let token = ask(&host, &token(&host, "one-app", &["data:app/default"]), "PUT", "/v1/apps/shop/kv/carts/k", b"x");
    assert_eq!((token.status, token.code().as_str()), (404, "app.not_found"), "another app's");
    assert_eq!(host.get("/hello").status, 200);
}
