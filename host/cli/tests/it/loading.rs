//! Loading: what is compiled once, what is loaded when, and what goes when there is too much of it.

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

use crate::fixture::{Host, agent, component, send, until};

/// A component like hello, but another one: with a custom section of this text.
fn hello_with(text: &str) -> Vec<u8> {
    let mut bytes = fs::read(component("hello")).unwrap();
    // Its id, its size, its name's size, its name.
    bytes.extend([0, text.len() as u8 + 2, 1, b'x']);
    bytes.extend(text.as_bytes());
    bytes
}

fn loaded(host: &Host) -> f64 {
    host.metric("gust_functions_loaded{", &[])
}

/// Functions loaded because they were called.
fn loads(host: &Host) -> f64 {
    host.metric("gust_function_load_seconds_count", &[])
}

#[test]
fn the_first_answer_comes_from_quick_code_and_optimised_code_follows_without_a_failed_request() {
    let host = Host::start();
    let made = host.deploy_as("image", "image", "");
    assert_eq!((made.status, made.json()["tier"].as_str()), (201, Some("quick")));
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            // They hold no host: it ends with the test, however that ends.
            let (data, stop, answered) = (host.data, stop.clone(), answered.clone());
            thread::spawn(move || {
                let agent = agent();
                while !stop.load(Ordering::Relaxed) {
                    let request = ureq::http::Request::post(format!("http://{data}/image"));
                    // It is no picture, which the function itself says.
                    let answer = send(&agent, request.body(&b"no picture"[..]).unwrap());
                    assert!(answer.headers.get("server-timing").is_some() && answer.status < 500, "{answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    host.until_optimised("image");
    let before = answered.load(Ordering::Relaxed);
    assert!(before > 0, "it was called while it was optimised");
    until("requests go on", || answered.load(Ordering::Relaxed) > before + 8);
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    until("the quick code is gone", || {
        loaded(&host) == 1.0 && host.metric("gust_functions_loaded{tier=\"quick\"}", &[]) == 0.0
    });
    assert_eq!(host.instance_of("image").0, "rewind", "in every tier");
    let shown = String::from_utf8(host.gust(&["inspect", "image"]).stdout).unwrap();
    assert!(shown.contains("optimised"), "{shown}");
    let listed = String::from_utf8(host.gust(&["ls"]).stdout).unwrap();
    assert!(listed.contains("optimised"), "{listed}");
    assert_eq!(host.metric("gust_functions_to_optimise", &[]), 0.0);
}

#[test]
fn identical_uploads_are_compiled_once() {
    let host = Arc::new(Host::start());
    let uploads: Vec<_> = (0..20)
        .map(|n| {
            let host = host.clone();
            thread::spawn(move || host.deploy_as(&format!("f{n}"), "hello", "").status)
        })
        .collect();
    assert!(uploads.into_iter().all(|upload| upload.join().unwrap() == 201));
    for n in 0..20 {
        host.until_optimised(&format!("f{n}"));
    }
    assert_eq!(host.deploy_as("later", "hello", "").json()["tier"], "optimised");
    for tier in ["quick", "optimised"] {
        assert_eq!(host.metric("gust_compilations_total", &[&format!("tier=\"{tier}\"")]), 1.0, "{tier}");
    }
}

#[test]
fn nothing_is_loaded_at_a_start_and_what_was_only_quick_is_optimised() {
    let host = Host::start();
    host.deploy("hello");
    host.deploy("auth");
    host.until_optimised("hello");
    host.until_optimised("auth");
    host.deploy("image");
    let host = host.kill_and_restart();
    assert_eq!((loaded(&host), loads(&host)), (0.0, 0.0));
    let list = host.api("GET", "/v1/functions", "", b"").json();
    assert_eq!(list["functions"][0]["name"], "auth");
    assert!(list["functions"][0].get("tier").is_none(), "it is not loaded: {list}");
    assert_eq!(host.get("/hello").text(), "Hello, world!");
    assert_eq!((loaded(&host), loads(&host)), (1.0, 1.0));
    assert_eq!(host.info("hello")["tier"], "optimised");
    until("the image is optimised", || host.metric("gust_compilations_total", &["tier=\"optimised\""]) == 1.0);
    assert_eq!(loads(&host), 1.0, "it was not loaded for that");
    host.until_optimised("image");
    assert_eq!(host.metric("gust_compilations_total", &["tier=\"quick\""]), 0.0);
}

#[test]
fn a_thousand_first_hits_load_once() {
    const HITS: usize = 1000;
    let host = Host::start();
    host.deploy_as("hello", "hello", &format!("[limits]\nconcurrency = {HITS}"));
    let host = host.kill_and_restart();
    let hit = |_| {
        let mut stream = TcpStream::connect(host.data).unwrap();
        stream.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        stream
    };
    let streams: Vec<_> = (0..HITS).map(hit).collect();
    for mut stream in streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("Hello, world!"), "{answer}");
    }
    assert_eq!(loads(&host), 1.0);
}

#[test]
fn those_that_were_not_used_for_longest_go_and_come_back() {
    const FUNCTIONS: usize = 6;
    let host = Host::start_with(&[("GUST_FUNCTIONS_LOADED_MAX", "3")]);
    for n in 0..FUNCTIONS {
        assert_eq!(host.upload(&format!("f{n}"), &hello_with(&n.to_string())).status, 201);
    }
    until("no more are loaded than may be", || loaded(&host) <= 3.0);
    for round in 0..3 {
        for n in 0..FUNCTIONS {
            assert_eq!(host.get(&format!("/f{n}?name={round}")).text(), format!("Hello, {round}!"));
            assert_eq!(host.get("/f0").status, 200, "it is used all the time");
        }
    }
    until("no more are loaded than may be", || loaded(&host) <= 3.0);
    assert!(host.metric("gust_function_unloads_total", &[]) >= 9.0);
    let list = host.api("GET", "/v1/functions", "", b"").json();
    let tier = |n: usize| list["functions"][n].get("tier").is_some();
    assert!(tier(0) && tier(FUNCTIONS - 1) && !tier(1), "{list}");
    // Files and mappings went with them.
    let files = || fs::read_to_string(format!("/proc/{}/maps", host.child.id())).unwrap();
    until("they are unmapped", || {
        let maps = files();
        let artifacts: std::collections::HashSet<_> = maps
            .lines()
            .filter(|line| line.contains(".cwasm"))
            .filter_map(|line| line.split_whitespace().nth(4))
            .collect();
        artifacts.len() <= 3
    });
}

#[test]
fn compiled_components_that_somebody_removes_are_made_anew_while_the_host_runs() {
    let host = Host::start_with(&[("GUST_FUNCTIONS_LOADED_MAX", "1")]);
    for n in 0..2 {
        assert_eq!(host.upload(&format!("f{n}"), &hello_with(&n.to_string())).status, 201);
    }
    host.until_optimised("f1");
    fs::remove_dir_all(host.dir.join("artifacts")).unwrap();
    assert_eq!(host.get("/f0").status, 200, "it was unloaded, and its code is gone");
    assert_eq!(host.upload("f2", &hello_with("2")).status, 201);
}

#[test]
fn those_that_left_do_not_add_up_while_others_come() {
    let host = Host::start_with(&[("GUST_FUNCTIONS_LOADED_MAX", "1")]);
    for n in 0..3 {
        assert_eq!(host.upload(&format!("f{n}"), &hello_with(&n.to_string())).status, 201);
    }
    let mut most = 0.0_f64;
    for call in 0..600 {
        assert_eq!(host.get(&format!("/f{}", call % 3)).status, 200);
        if call % 20 == 0 {
            most = most.max(loaded(&host));
        }
    }
    assert!(most < 100.0, "{most} functions were loaded at the same time");
}

#[test]
fn a_function_in_use_is_not_taken_from_its_request() {
    let host = Host::start_with(&[("GUST_FUNCTIONS_LOADED_MAX", "1")]);
    host.deploy_as("hostile", "hostile", "");
    let mut stream = TcpStream::connect(host.data).unwrap();
    stream.write_all(b"GET /hostile/sleep?n=1500 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    host.until_serving(1);
    host.deploy("hello");
    assert_eq!(host.get("/hello").status, 200);
    assert!(host.api("GET", "/v1/functions", "", b"").json()["functions"][1].get("tier").is_none(), "it is unloaded");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    until("it is gone", || loaded(&host) == 1.0);
}

#[test]
fn a_request_does_not_wait_for_a_load_beyond_its_time() {
    let host = Host::start();
    host.deploy_as("image", "image", "[limits]\nwall_ms = 20");
    host.until_optimised("image");
    let engine = fs::read_dir(host.dir.join("artifacts")).unwrap().next().unwrap().unwrap().path();
    for artifact in fs::read_dir(engine).unwrap() {
        fs::remove_file(artifact.unwrap().path()).unwrap();
    }
    // Compiling it takes longer than the request may.
    let host = host.kill_and_restart();
    let early = host.get("/image");
    assert_eq!((early.status, early.code().as_str(), early.header("retry-after")), (503, "function.loading", "1"));
    until("it is loaded", || host.metric("gust_functions_loaded{", &[]) == 1.0);
    assert_eq!(loads(&host), 1.0);
    until("it answers", || host.get("/image").status != 503);
}

#[test]
fn what_cannot_be_loaded_is_tried_again_when_it_is_deployed_again() {
    let host = Host::start();
    host.deploy("hello");
    host.until_optimised("hello");
    let digest = host.info("hello")["digest"].as_str().unwrap().to_owned();
    fs::write(host.dir.join(format!("components/{digest}.wasm")), "damaged").unwrap();
    fs::remove_dir_all(host.dir.join("artifacts")).unwrap();
    let host = host.kill_and_restart();
    for _ in 0..3 {
        assert_eq!(host.get("/hello").code(), "function.unavailable");
    }
    assert!(host.info("hello")["unavailable"].as_str().unwrap().contains("store.corrupt"));
    host.upload("hello", &fs::read(component("hello")).unwrap());
    assert_eq!(host.get("/hello").text(), "Hello, world!");
}
