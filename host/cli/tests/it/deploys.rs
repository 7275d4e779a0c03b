//! Deploying: what is taken, what is refused, what survives.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use ureq::http::Request;

use crate::fixture::{Host, agent, component, send, until};

fn names(host: &Host) -> Vec<String> {
    let list = host.api("GET", "/v1/functions", "", b"").json();
    let name = |function: &serde_json::Value| function["name"].as_str().unwrap().to_owned();
    list["functions"].as_array().unwrap().iter().map(name).collect()
}

fn files_in(host: &Host, dir: &str) -> usize {
    fs::read_dir(host.dir.join(dir)).unwrap().count()
}

#[test]
fn a_deploy_says_what_it_made() {
    let host = Host::start();
    let bytes = fs::read(component("hello")).unwrap();
    let made = host.upload("hello", &bytes);
    assert_eq!(made.status, 201);
    let info = made.json();
    assert_eq!((info["name"].as_str(), info["version"].as_u64()), (Some("hello"), Some(1)));
    assert_eq!(info["world"], "gust:function/handler");
    assert_eq!(info["urls"][0], format!("http://{}/hello", host.data));
    assert_eq!(host.upload("hello", &bytes).status, 200, "the same again makes no version");
    assert_eq!(host.api("GET", "/v1/functions/hello", "", b"").json(), info);
    let other = host.deploy_as("hello", "hello", "[limits]\nwall_ms = 5");
    assert_eq!((other.status, other.json()["version"].as_u64()), (201, Some(2)));
    let versions = host.api("GET", "/v1/functions/hello/versions", "", b"").json();
    assert_eq!(versions["versions"][0]["serving"], true);
    assert_eq!(versions["versions"][1]["version"], 1);
    assert_eq!(host.api("DELETE", "/v1/functions/hello", "", b"").status, 204);
    assert_eq!(host.api("DELETE", "/v1/functions/hello", "", b"").code(), "function.not_found");
    assert_eq!(host.get("/hello").status, 404);
    assert_eq!(files_in(&host, "components"), 0);
}

#[test]
fn large_components_are_taken_in_both_forms() {
    let host = Host::start();
    let mut large = fs::read(component("hello")).unwrap();
    // A custom section of 5 MiB: its id, its size and its name's, both in LEB128, and its name.
    let padding = vec![0_u8; 5 << 20];
    let size = (padding.len() + 2) as u32;
    let leb128 = [0, 7, 14, 21].map(|shift| (size >> shift) as u8 & 0x7f | if shift == 21 { 0 } else { 0x80 });
    large.extend([&[0_u8][..], &leb128, &[1, b'x'], &padding].concat());
    assert_eq!(host.upload("alone", &large).status, 201);
    assert_eq!(host.deploy_bytes("form", &large, "").status, 201);
    assert_eq!(host.get("/alone?name=Ada").text(), host.get("/form?name=Ada").text());
}

#[test]
fn what_cannot_run_here_is_refused_and_nothing_is_kept() {
    let host = Host::start();
    let hello = fs::read(component("hello")).unwrap();
    let import = wasm(r#"(component (import "acme:tools/saw@1.0.0" (instance)))"#);
    let elf = fs::read(env!("CARGO_BIN_EXE_gust")).unwrap();
    let cases: &[(&str, &[u8], u16, &str)] = &[
        ("nothing", b"", 400, "upload.incomplete"),
        ("text", b"hello", 422, "component.not_wasm"),
        ("elf", &elf[..4096], 422, "component.precompiled"),
        ("core", &wasm("(module)"), 422, "component.core_module"),
        ("empty", &wasm("(component)"), 422, "component.no_handler"),
        ("import", &import, 422, "component.unknown_import"),
        ("cut", &hello[..hello.len() - 1], 422, "component.malformed"),
        ("cut", &hello[..hello.len() / 2], 422, "component.malformed"),
        ("cut", &hello[..9], 422, "component.malformed"),
    ];
    for (what, bytes, status, code) in cases {
        let answer = host.upload("victim", bytes);
        assert_eq!((answer.status, answer.code().as_str()), (*status, *code), "{what}");
    }
    assert!(host.upload("victim", &import).text().contains("acme:tools/saw@1.0.0"));
    let artifact = fs::read_dir(host.dir.join("artifacts")).unwrap().next().unwrap().unwrap().path();
    host.deploy("hello");
    host.until_optimised("hello");
    let artifact = fs::read_dir(artifact).unwrap().next().unwrap().unwrap().path();
    assert_eq!(host.upload("victim", &fs::read(artifact).unwrap()).code(), "component.precompiled");
    assert_eq!(names(&host), ["hello"]);
    assert_eq!((files_in(&host, "tmp"), files_in(&host, "components")), (0, 1));
}

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn uploads_of_the_wrong_form_are_refused() {
    let host = Host::start_with(&[("GUST_UPLOAD_MIB_MAX", "1")]);
    let hello = fs::read(component("hello")).unwrap();
    for name in ["..%2fx", "A", "x_y", "-x", "%E2%84%8Cx", &"x".repeat(300)] {
        assert_eq!(host.upload(name, &hello).code(), "name.invalid", "{name}");
    }
    let put = |content_type: &str, body: &[u8]| host.api("PUT", "/v1/functions/x", content_type, body).code();
    assert_eq!(put("text/plain", &hello), "upload.content_type");
    assert_eq!(put("application/wasm", &vec![0; 3 << 20]), "upload.too_large");
    assert_eq!(host.deploy_as("x", "hello", "nmae = \"x\"").code(), "manifest.invalid");
    assert_eq!(host.deploy_as("x", "hello", "name = \"y\"").code(), "manifest.invalid");
    assert_eq!(host.deploy_as("x", "hello", "[limits]\nmemory_mib = 100000").code(), "manifest.invalid");
    let request = Request::put(format!("http://{}/v1/functions/x", host.admin)).header("content-encoding", "gzip");
    let request = request.header("authorization", format!("Bearer {}", host.token));
    let request = request.header("content-type", "application/wasm").body(&hello[..]).unwrap();
    assert_eq!(send(&agent(), request).code(), "upload.content_encoding");
    assert!(names(&host).is_empty());
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    let host = Host::start();
    let mut stream = TcpStream::connect(host.admin).unwrap();
    let head = format!(
        "PUT /v1/functions/x HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/wasm\r\n\
         content-length: 100000\r\n\r\n",
        host.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&[0; 1000]).unwrap();
    until("the upload has begun", || files_in(&host, "tmp") == 1);
    drop(stream);
    until("it is gone", || files_in(&host, "tmp") == 0);
    assert!(names(&host).is_empty());
}

#[test]
fn only_the_token_opens_the_api() {
    let host = Host::start();
    let ask = |authorization: Option<&str>| {
        let mut request = Request::get(format!("http://{}/v1/functions", host.admin));
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        send(&agent(), request.body(()).unwrap())
    };
    let (none, wrong) = (ask(None), ask(Some("Bearer wrong")));
    assert_eq!((none.status, none.code().as_str(), none.header("www-authenticate")), (401, "auth.required", "Bearer"));
    assert_eq!(none.body, wrong.body);
    for path in ["/metrics", "/v1/functions/x", "/v1/functions/x/logs", "/anything"] {
        let request = Request::get(format!("http://{}{path}", host.admin)).body(()).unwrap();
        assert_eq!(send(&agent(), request).status, 401, "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        let request = Request::get(format!("http://{}{path}", host.admin)).body(()).unwrap();
        assert_eq!(send(&agent(), request).status, 200, "{path}");
    }
    assert_eq!(host.api("GET", "/v1/nothing", "", b"").code(), "api.not_found");
}

#[test]
fn an_acknowledged_deploy_survives_being_killed() {
    let host = Host::start();
    host.deploy("hello");
    host.deploy("markdown");
    let before = host.api("GET", "/v1/functions", "", b"").json();
    let token = host.token.clone();
    let host = host.kill_and_restart();
    assert_eq!(host.token, token);
    let after = host.api("GET", "/v1/functions", "", b"").json();
    for (old, new) in before["functions"].as_array().unwrap().iter().zip(after["functions"].as_array().unwrap()) {
        assert_eq!((&old["digest"], &old["version"]), (&new["digest"], &new["version"]));
    }
    assert_eq!(host.get("/hello").text(), "Hello, world!");
    assert_eq!(host.call("POST", "/markdown", b"*x*").text(), "<p><em>x</em></p>\n");
}

/// Processes that compile for this host, by their arguments.
fn compilers(host: &Host) -> Vec<String> {
    let dir = host.dir.to_str().unwrap();
    let compiles = |pid: &String| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains("compile-worker") && line.contains(dir)
    };
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    processes.filter(compiles).collect()
}

/// A request that uploads the component.
fn upload_of(host: &Host, function: &str) -> Request<Vec<u8>> {
    Request::put(format!("http://{}/v1/functions/{function}", host.admin))
        .header("authorization", format!("Bearer {}", host.token))
        .header("content-type", "application/wasm")
        .body(fs::read(component(function)).unwrap())
        .unwrap()
}

#[test]
fn a_compiler_that_is_killed_is_no_fault_of_the_component() {
    let host = Host::start();
    let upload = upload_of(&host, "image");
    let uploading = thread::spawn(move || agent().run(upload).unwrap().into_body().read_to_string().unwrap());
    until("it is compiled", || compilers(&host).len() == 1);
    for pid in compilers(&host) {
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    }
    let answer = uploading.join().unwrap();
    assert!(answer.contains("host.busy") && answer.contains("the compiler was killed"), "{answer}");
    host.deploy("image");
    assert_eq!(host.info("image")["version"], 1);
}

#[test]
fn a_host_that_is_killed_takes_its_compiler_along() {
    let mut host = Host::start();
    let upload = upload_of(&host, "image");
    let uploading = thread::spawn(move || agent().run(upload).is_ok());
    until("it is compiled", || compilers(&host).len() == 1);
    host.child.kill().unwrap();
    assert!(!uploading.join().unwrap(), "the host was killed before it answered");
    until("the compiler has ended", || compilers(&host).is_empty());
    let host = host.kill_and_restart();
    assert_eq!((files_in(&host, "tmp"), files_in(&host, "components")), (0, 0));
}

#[test]
fn concurrency_is_the_functions_over_all_its_versions() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "[limits]\nconcurrency = 1");
    let mut holder = TcpStream::connect(host.data).unwrap();
    holder.write_all(b"GET /hostile/sleep?n=60000 HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    host.until_serving(1);
    host.deploy_as("hostile", "hostile", "[limits]\nconcurrency = 1\nlog_kib = 8");
    assert_eq!(host.get("/hostile/state").code(), "limit.concurrency");
}

#[test]
fn a_strange_thing_among_the_components_is_in_nobodys_way() {
    let host = Host::start();
    host.deploy("hello");
    fs::create_dir_all(host.dir.join("components/strange/below")).unwrap();
    assert_eq!(host.api("DELETE", "/v1/functions/hello", "", b"").status, 204);
    assert!(names(&host).is_empty());
    fs::create_dir_all(host.dir.join("tmp/strange")).unwrap();
    let host = host.kill_and_restart();
    assert!(names(&host).is_empty());
    assert_eq!((files_in(&host, "components"), files_in(&host, "tmp")), (0, 0));
}

#[test]
fn a_form_has_an_end() {
    let host = Host::start_with(&[("GUST_UPLOAD_MIB_MAX", "1")]);
    let before = host.rss_mib();
    let preamble = vec![b'x'; 100 << 20];
    let request = Request::put(format!("http://{}/v1/functions/hello", host.admin))
        .header("authorization", format!("Bearer {}", host.token))
        .header("content-type", "multipart/form-data; boundary=b")
        .header("transfer-encoding", "chunked");
    // It may be refused while it is still sent.
    if let Ok(response) = agent().run(request.body(&preamble[..]).unwrap()) {
        assert!(response.status().is_client_error(), "{response:?}");
    }
    assert!(host.rss_mib() < before + 50, "from {before} to {} MiB", host.rss_mib());
}

#[test]
fn a_deleted_function_leaves_no_metrics() {
    let host = Host::start();
    host.deploy("hello");
    host.get("/hello");
    let has_metrics = || host.api("GET", "/metrics", "", b"").text().contains("function=\"hello\"");
    until("the request is counted", || host.metric("gust_requests_total", &["function=\"hello\""]) == 1.0);
    assert!(has_metrics());
    host.deploy_as("hello", "hello", "[limits]\nwall_ms = 5000");
    host.api("DELETE", "/v1/functions/hello", "", b"");
    assert!(!has_metrics());
}

#[test]
fn artifacts_that_nobody_needs_are_gone_after_the_next_start() {
    let host = Host::start();
    host.deploy("hello");
    host.deploy("auth");
    for name in ["hello", "auth"] {
        host.until_optimised(name);
    }
    assert_eq!(host.api("DELETE", "/v1/functions/auth", "", b"").status, 204);
    let host = host.kill_and_restart();
    let engine = fs::read_dir(host.dir.join("artifacts")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read_dir(engine).unwrap().count(), 1);
    assert_eq!(host.get("/hello").text(), "Hello, world!");
}

#[test]
fn a_damaged_artifact_is_compiled_anew_and_a_damaged_component_costs_one_function() {
    let host = Host::start();
    for name in ["hello", "auth"] {
        host.deploy(name);
        host.until_optimised(name);
    }
    let digest_of = |name: &str| host.info(name)["digest"].clone();
    let (hello, auth) = (digest_of("hello"), digest_of("auth"));
    let engine = fs::read_dir(host.dir.join("artifacts")).unwrap().next().unwrap().unwrap().path();
    for (digest, at) in [(&hello, 5000), (&auth, 100)] {
        let path = engine.join(format!("{}.rewind.optimised.cwasm", digest.as_str().unwrap()));
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let component = host.dir.join(format!("components/{}.wasm", auth.as_str().unwrap()));
    let mut bytes = fs::read(&component).unwrap();
    bytes[1000] ^= 1;
    fs::write(&component, bytes).unwrap();

    let host = host.kill_and_restart();
    assert_eq!(host.get("/hello").text(), "Hello, world!");
    let answer = host.get("/auth/verify");
    assert_eq!((answer.status, answer.code().as_str()), (503, "function.unavailable"));
    let info = host.info("auth");
    assert!(info["unavailable"].as_str().unwrap().contains("store.corrupt"), "{info}");
}

#[test]
fn a_new_upload_swaps_without_a_failed_request() {
    let host = Arc::new(Host::start());
    host.deploy("hello");
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (host, stop, answered) = (host.clone(), stop.clone(), answered.clone());
            thread::spawn(move || {
                let agent = agent();
                while !stop.load(Ordering::Relaxed) {
                    let request = Request::get(format!("http://{}/hello", host.data)).body(()).unwrap();
                    let answer = send(&agent, request);
                    assert_eq!((answer.status, answer.text()), (200, "Hello, world!"));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 1..=30 {
        let swapped = host.deploy_as("hello", "hello", &format!("[limits]\nwall_ms = {}", 30_000 + round));
        assert_eq!(swapped.status, 201);
        let before = answered.load(Ordering::Relaxed);
        until("requests go on", || answered.load(Ordering::Relaxed) > before);
    }
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    until("all are counted", || {
        host.metric("gust_requests_total", &["function=\"hello\""]) as u32 == answered.load(Ordering::Relaxed)
    });
}

#[test]
fn identical_uploads_at_once_all_succeed() {
    let host = Arc::new(Host::start());
    let bytes = Arc::new(fs::read(component("hello")).unwrap());
    let uploads: Vec<_> = (0..20)
        .map(|_| {
            let (host, bytes) = (host.clone(), bytes.clone());
            thread::spawn(move || host.upload("hello", &bytes))
        })
        .collect();
    let answers: Vec<_> = uploads.into_iter().map(|upload| upload.join().unwrap()).collect();
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert!(answers.iter().all(|answer| answer.json()["version"] == 1));
    assert_eq!(files_in(&host, "components"), 1);
}

#[test]
fn logs_are_followed_as_they_come() {
    let host = Host::start();
    host.deploy("hello");
    let mut stream = TcpStream::connect(host.admin).unwrap();
    let path = "/v1/functions/hello/logs?follow=true&tail=0";
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n", host.token);
    stream.write_all(head.as_bytes()).unwrap();
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains("text/event-stream") {
        let read = stream.read(&mut buffer).unwrap();
        seen.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    let id = host.get("/hello").header("x-request-id").to_owned();
    while !seen.contains(&id) {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0);
        seen.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
}
