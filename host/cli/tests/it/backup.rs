//! Backups: all that a host holds in one file, made while it serves, and put in the place of what another one holds.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    thread,
};

use gust_core::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::http::Request;

use crate::{
    faults::{components::answering, files_in, names},
    fixture::{Answer, Host, agent, component, gust, send, until},
    operator::said,
};

/// The secret of the tests' app.
const CANARY: &str = "canary-0b8f21c4aa";

fn put(host: &Host, path: &str, document: &Value) -> Answer {
    host.api("PUT", path, "application/json", document.to_string().as_bytes())
}

/// Deploys a guest that says which one it is.
fn deploy_who(host: &Host, name: &str, who: &str) {
    let deployed = host.deploy_as(name, "hostile", &format!("[env]\nWHO = \"{who}\""));
    assert_eq!(deployed.status, 201, "{deployed:?}");
}

fn who(host: &Host, mount: &str) -> String {
    host.get(&format!("/{mount}/config/WHO")).text().to_owned()
}

/// The backup of a host, made by the command.
pub fn backed_up(host: &Host, dir: &TempDir, name: &str) -> PathBuf {
    let file = dir.path().join(name);
    let output = host.gust(&["backup", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    file
}

pub fn restored(host: &Host, file: &Path) {
    let output = host.gust(&["restore", file.to_str().unwrap(), "--yes"]);
    assert!(output.status.success(), "{}", said(&output));
}

pub fn restore(host: &Host, archive: &[u8]) -> Answer {
    host.api("PUT", "/v1/restore", "application/x-tar", archive)
}

/// The files of an archive.
pub fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(archive);
    let read = |file: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let (mut file, mut content) = (file.unwrap(), Vec::new());
        file.read_to_end(&mut content).unwrap();
        (String::from_utf8(file.path_bytes().into_owned()).unwrap(), content)
    };
    archive.entries().unwrap().map(read).collect()
}

pub fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, &**content).unwrap();
    }
    archive.into_inner().unwrap()
}

fn holds(bytes: &[u8], canary: &[u8]) -> bool {
    bytes.windows(canary.len()).any(|window| window == canary)
}

/// Where a key for secrets is, of this digit only.
fn key_file(dir: &TempDir, digit: &str) -> String {
    let path = dir.path().join(format!("{digit}.key"));
    fs::write(&path, digit.repeat(64)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A host with an app that has a configuration and a secret, functions with several versions, an alias and a token.
fn filled(key: &str) -> (Host, String) {
    let host = Host::start_with(&[("GUST_SECRETS_KEY_FILE", key)]);
    host.deploy("hello");
    deploy_who(&host, "f", "1");
    deploy_who(&host, "f?alias=canary", "2");
    assert_eq!(put(&host, "/v1/apps/shop", &json!({})).status, 201);
    assert_eq!(put(&host, "/v1/apps/shop/config/WHO", &json!({"value": "shop"})).status, 204);
    assert_eq!(put(&host, "/v1/apps/shop/functions/f", &json!({})).status, 204);
    assert_eq!(put(&host, "/v1/apps/shop/secrets/KEY", &json!({"value": CANARY})).status, 204);
    let secret = host.deploy_as("secret?app=shop", "hostile", "secrets = [\"KEY\"]");
    assert_eq!(secret.status, 201, "{secret:?}");
    let token = json!({"name": "ci", "scopes": ["read:*"]}).to_string();
    let token = host.api("POST", "/v1/tokens", "application/json", token.as_bytes()).json();
    (host, token["token"].as_str().unwrap().to_owned())
}

/// What a call with a token is answered.
fn as_token(host: &Host, token: &str, method: &str, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(format!("http://{}{path}", host.admin));
    let request =
        request.header("authorization", format!("Bearer {token}")).header("content-type", "application/x-tar");
    send(&agent(), request.body(()).unwrap())
}

#[test]
fn a_backup_serves_on_another_host() {
    let dir = tempfile::tempdir().unwrap();
    let key = key_file(&dir, "a");
    let (here, token) = filled(&key);
    let file = backed_up(&here, &dir, "backup.tar");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!dir.path().join("backup.tar.part").exists());

    let there = Host::start_with(&[("GUST_SECRETS_KEY_FILE", &key)]);
    restored(&there, &file);
    let check = |there: &Host| {
        assert_eq!(names(there), ["f", "hello", "secret"]);
        assert_eq!(there.get("/hello?name=Ada").text(), "Hello, Ada!");
        assert_eq!(
            [who(there, "f"), who(there, "f@canary"), who(there, "~shop/f")],
            ["Some(\"1\")", "Some(\"2\")", "Some(\"shop\")"]
        );
        assert_eq!(there.get("/~shop/secret/config/KEY").text(), format!("Some(\"{CANARY}\")"));
        assert_eq!(as_token(there, &token, "GET", "/v1/functions").status, 200);
    };
    check(&there);
    let versions = |host: &Host| {
        let list = host.api("GET", "/v1/functions/f/versions", "", b"").json();
        let shown = |v: &Value| [&v["version"], &v["digest"], &v["aliases"], &v["deployed_unix_ms"]].map(Value::clone);
        list["versions"].as_array().unwrap().iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(versions(&there), versions(&here));
    check(&there.kill_and_restart_with(&[("GUST_SECRETS_KEY_FILE", &key)]));

    let elsewhere = Host::start_with(&[("GUST_SECRETS_KEY_FILE", &key_file(&dir, "b"))]);
    let output = elsewhere.gust(&["restore", file.to_str().unwrap(), "--yes"]);
    assert!(output.status.success() && said(&output).contains("warning: secrets of shop were sealed with another key"));
    let answer = elsewhere.get("/~shop/secret/config/KEY");
    assert_eq!(answer.status, 503, "{answer:?}");
    let told = elsewhere.info("secret")["unavailable"].to_string();
    assert!(told.contains("secret.unreadable") && !answer.text().contains("KEY"), "{told} {answer:?}");
    assert_eq!((who(&elsewhere, "f"), who(&elsewhere, "~shop/f")), (who(&here, "f"), who(&here, "~shop/f")));
}

#[test]
fn no_key_is_in_a_backup() {
    let host = Host::start();
    host.deploy("hello");
    put(&host, "/v1/apps/default/secrets/KEY", &json!({"value": CANARY}));
    let answer = host.api("GET", "/v1/backup", "", b"");
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-tar"));
    let digest = host.info("hello")["digest"].as_str().unwrap().to_owned();
    let names: Vec<_> = files(&answer.body).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["backup.json", "gust.db", &format!("components/{digest}.wasm"), "state.db"]);
    for file in ["secrets.key", "artifact.key", "admin.token"] {
        let key = fs::read(host.dir.join(file)).unwrap();
        assert!(!holds(&answer.body, key.trim_ascii()), "{file}");
    }
    assert!(!holds(&answer.body, CANARY.as_bytes()));
    let info: Value = serde_json::from_slice(&files(&answer.body)[0].1).unwrap();
    assert_eq!(info["format"], 2);
    until("nothing is left behind", || files_in(&host, "tmp").is_empty());
}

#[test]
fn backups_under_a_load_of_deploys_are_each_of_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (Host::start(), Host::start());
    let (stop, deployed) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            // Components come and go: each is deleted with its function before long.
            for round in 1_u64.. {
                let made = here.upload(&format!("f{}", round % 3), &answering(&format!("round {round}")));
                assert_eq!(made.status, 201, "{made:?}");
                deployed.store(round, SeqCst);
                if stop.load(SeqCst) {
                    return;
                }
                let removed = here.api("DELETE", &format!("/v1/functions/f{}", (round + 1) % 3), "", b"");
                assert!([204, 404].contains(&removed.status), "{removed:?}");
            }
        });
        for backup in 0..6 {
            let before = deployed.load(SeqCst);
            until("deploys go on", || deployed.load(SeqCst) > before + 1);
            let (first, file) = (deployed.load(SeqCst), backed_up(&here, &dir, &format!("{backup}.tar")));
            restored(&there, &file);
            let functions = names(&there);
            assert!((1..=3).contains(&functions.len()), "{functions:?}");
            let answers = functions.iter().map(|function| there.get(&format!("/{function}")));
            let rounds = answers.map(|answer| answer.text().strip_prefix("round ").unwrap().parse::<u64>().unwrap());
            let newest = rounds.max().unwrap();
            assert!((first..=deployed.load(SeqCst) + 1).contains(&newest), "{newest} since {first}");
        }
        stop.store(true, SeqCst);
    });
    until("nothing is left behind", || files_in(&here, "tmp").is_empty() && files_in(&there, "tmp").is_empty());
    assert_eq!(files_in(&there, "components").len(), names(&there).len());
}

#[test]
fn requests_go_on_while_another_hosts_backup_is_restored() {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start();
    host.deploy("hello");
    deploy_who(&host, "f", "here");
    deploy_who(&host, "old", "old");
    let token = json!({"name": "mine", "scopes": ["read:*"]}).to_string();
    let token = host.api("POST", "/v1/tokens", "application/json", token.as_bytes()).json()["token"].clone();
    let (foreign, foreign_token) = filled(&key_file(&dir, "a"));
    let (foreign, own) = (backed_up(&foreign, &dir, "foreign.tar"), backed_up(&host, &dir, "own.tar"));
    assert_eq!(host.get("/old/state").status, 200);
    until("it is counted", || host.metric("gust_requests_total", &["function=\"old\""]) > 0.0);
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for path in ["/hello", "/f/config/WHO", "/hello", "/f/config/WHO"] {
            let (host, stop, answered) = (&host, &stop, &answered);
            scope.spawn(move || {
                let agent = agent();
                while !stop.load(SeqCst) {
                    let answer = send(&agent, Request::get(format!("http://{}{path}", host.data)).body(()).unwrap());
                    let expected = ["Hello, world!", "Some(\"here\")", "Some(\"1\")"].contains(&answer.text());
                    assert!(answer.status == 200 && expected, "{answer:?}");
                    answered.fetch_add(1, SeqCst);
                }
            });
        }
        for _ in 0..5 {
            for (file, expected) in [(&foreign, "Some(\"1\")"), (&own, "Some(\"here\")")] {
                restored(&host, file);
                assert_eq!(who(&host, "f"), expected);
                let before = answered.load(SeqCst);
                until("requests go on", || answered.load(SeqCst) > before + 8);
            }
        }
        stop.store(true, SeqCst);
    });
    restored(&host, &foreign);
    assert_eq!(host.get("/old/state").code(), "function.not_found");
    assert!(!host.api("GET", "/metrics", "", b"").text().contains("function=\"old\""));
    assert_eq!(as_token(&host, token.as_str().unwrap(), "GET", "/v1/functions").status, 401, "its tokens went too");
    assert_eq!(as_token(&host, &foreign_token, "GET", "/v1/functions").status, 200);
    assert_eq!(host.metric("gust_functions ", &[]), 3.0);
}

#[test]
fn a_request_in_flight_finishes_on_what_it_found() {
    let (host, empty) = (Host::start(), Host::start());
    host.deploy_as("hostile", "hostile", "");
    let backup = empty.api("GET", "/v1/backup", "", b"").body;
    let mut stream = host.begin("/hostile/sleep?n=1500");
    host.until_serving(1);
    assert_eq!(restore(&host, &backup).status, 200);
    assert_eq!(host.get("/hostile/state").status, 404);
    let mut answer = [0; 1024];
    let read = stream.read(&mut answer).unwrap();
    assert!(String::from_utf8_lossy(&answer[..read]).starts_with("HTTP/1.1 200"), "{read}");
}

/// A host of its own functions, and what shows that nothing of it was changed.
struct Unchanged {
    host: Host,
    seen: (Value, Value, Vec<String>),
}

impl Unchanged {
    fn new() -> Self {
        let host = Host::start();
        deploy_who(&host, "mine", "mine");
        let seen = Self::seen(&host);
        Self { host, seen }
    }

    fn seen(host: &Host) -> (Value, Value, Vec<String>) {
        let document = |path: &str| host.api("GET", path, "", b"").json();
        // What is loaded is no matter.
        assert_eq!(who(host, "mine"), "Some(\"mine\")");
        let mut apps = document("/v1/apps");
        // To look costs time.
        apps["apps"][0].as_object_mut().unwrap().remove("cpu_ms_today");
        (document("/v1/functions/mine/versions"), apps, files_in(host, "components"))
    }

    fn check(&self, why: &str) {
        assert_eq!(Self::seen(&self.host), self.seen, "{why}");
        assert_eq!(names(&self.host), ["mine"], "{why}");
        until("nothing is left behind", || files_in(&self.host, "tmp").is_empty());
    }

    fn refuses(&self, archive: &[u8], why: &str) {
        let answer = restore(&self.host, archive);
        assert_eq!((answer.status, answer.code().as_str()), (422, "backup.invalid"), "{why}: {answer:?}");
        assert!(answer.text().contains("nothing was changed"), "{why}: {answer:?}");
        self.check(why);
    }
}

/// A backup whose database has this version of its schema, and is as whole as any.
fn of_schema(backup: &[u8], version: u32) -> Vec<u8> {
    let mut files = files(backup);
    // Where a database has its user_version (https://sqlite.org/fileformat.html, section 1.3).
    files[1].1[60..64].copy_from_slice(&version.to_be_bytes());
    let mut info: Value = serde_json::from_slice(&files[0].1).unwrap();
    info["database"] = json!(Digest::of(&files[1].1));
    files[0].1 = info.to_string().into_bytes();
    archive(&files)
}

#[test]
fn what_is_no_backup_changes_nothing() {
    let (foreign, unchanged) = (Host::start(), Unchanged::new());
    foreign.deploy("hello");
    let backup = foreign.api("GET", "/v1/backup", "", b"").body;
    for cut in [0, 100, 512, 2000, backup.len() / 2, backup.len() - 1024 - 512] {
        unchanged.refuses(&backup[..cut], &format!("cut to {cut} bytes"));
    }
    let whole = files(&backup);
    for (at, name) in whole.iter().map(|(name, _)| name).enumerate().skip(1) {
        let mut damaged = whole.clone();
        let middle = damaged[at].1.len() / 2;
        damaged[at].1[middle] ^= 1;
        unchanged.refuses(&archive(&damaged), &format!("a byte of {name}"));
    }
    unchanged.refuses(&fs::read(component("hello")).unwrap(), "a component");
    unchanged.refuses(&of_schema(&backup, 99), "a newer schema");
    unchanged.refuses(&archive(&whole[..2]), "no component");
    unchanged.refuses(&archive(&[&whole[..1], &whole[2..], &whole[1..2]].concat()), "another order");
    let added = |name: &str, content: &[u8]| archive(&[&*whole, &[(name.to_owned(), content.to_vec())]].concat());
    unchanged.refuses(&added("admin.token", b"mine now"), "a file that does not belong");
    let strange = format!("components/{}.wasm", Digest::of(b"strange"));
    unchanged.refuses(&added(&strange, b"strange"), "a component of no version");

    let Unchanged { host, .. } = &unchanged;
    let form = host.api("PUT", "/v1/restore", "application/octet-stream", &backup);
    assert_eq!((form.status, form.code().as_str()), (415, "api.content_type"));
    // One that breaks off within the database.
    let mut stream = TcpStream::connect(host.admin).unwrap();
    let head = format!(
        "PUT /v1/restore HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/x-tar\r\n\
         content-length: {}\r\n\r\n",
        host.token,
        backup.len()
    );
    stream.write_all(&[head.as_bytes(), &backup[..4000]].concat()).unwrap();
    until("it has begun", || !files_in(host, "tmp").is_empty());
    stream.shutdown(Shutdown::Both).unwrap();
    unchanged.check("a body that broke off");
    let schema: Value = serde_json::from_slice(&whole[0].1).unwrap();
    let same = of_schema(&backup, schema["schema"].as_u64().unwrap() as u32);
    assert_eq!(restore(host, &same).status, 200, "the way it is put together is right");
    assert_eq!(host.get("/hello").status, 200);
}

#[test]
fn backups_are_for_whoever_runs_the_host() {
    let host = Host::start();
    for (name, scope) in [("reader", "read:*"), ("deployer", "deploy:*"), ("shopkeeper", "admin:app/default")] {
        let document = json!({"name": name, "scopes": [scope]}).to_string();
        let made = host.api("POST", "/v1/tokens", "application/json", document.as_bytes()).json();
        let token = made["token"].as_str().unwrap();
        for (method, path) in [("GET", "/v1/backup"), ("PUT", "/v1/restore")] {
            let answer = as_token(&host, token, method, path);
            assert_eq!((answer.status, answer.code().as_str()), (403, "auth.forbidden"), "{name} {method}");
        }
    }
}

#[test]
fn a_backup_is_written_whole_or_not_at_all() {
    let (host, dir) = (Host::start(), tempfile::tempdir().unwrap());
    host.deploy("hello");
    let file = backed_up(&host, &dir, "backup.tar");
    let before = fs::read(&file).unwrap();
    let piped = host.gust(&["backup", "-"]);
    assert_eq!(files(&piped.stdout)[1..], files(&before)[1..], "but for when it was made");
    let nowhere = dir.path().join("nowhere/backup.tar");
    let output = host.gust(&["backup", nowhere.to_str().unwrap()]);
    assert!(!output.status.success() && said(&output).contains("nowhere"), "{}", said(&output));

    let digest = host.info("hello")["digest"].as_str().unwrap().to_owned();
    fs::write(host.dir.join(format!("components/{digest}.wasm")), b"damaged").unwrap();
    let output = host.gust(&["backup", file.to_str().unwrap()]);
    assert!(!output.status.success() && said(&output).contains("store.corrupt"), "{}", said(&output));
    let output = broken_off(&file);
    assert!(!output.status.success() && said(&output).contains("broke off"), "{}", said(&output));
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
}

/// `gust backup` from a host that goes away within its answer.
fn broken_off(file: &Path) -> std::process::Output {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = gust();
    command.args(["--admin", &listener.local_addr().unwrap().to_string(), "backup"]).arg(file).env("GUST_TOKEN", "x");
    thread::scope(|scope| {
        let output = scope.spawn(move || command.output().unwrap());
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4096\r\n\r\nbackup.json").unwrap();
        drop(stream);
        output.join().unwrap()
    })
}

#[test]
fn restoring_asks_before_it_replaces_anything() {
    let (unchanged, dir) = (Unchanged::new(), tempfile::tempdir().unwrap());
    let empty = backed_up(&Host::start(), &dir, "empty.tar");
    let output = unchanged.host.gust(&["restore", empty.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("say --yes"), "{}", said(&output));
    unchanged.check("nobody said yes");
    let output = unchanged.host.gust(&["restore", component("hello").to_str().unwrap(), "--yes"]);
    assert!(!output.status.success() && said(&output).contains("backup.invalid"), "{}", said(&output));
    unchanged.check("no backup");
    let output = unchanged.host.gust(&["restore", empty.to_str().unwrap(), "--yes"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("0 functions, 0 versions, 1 app, 0 tokens, 0 key-values, 0 blobs"), "{told}");
    assert!(names(&unchanged.host).is_empty());
}
