//! Limits: each is in force, says so by its own code, and is counted by its key.

use std::{sync::mpsc::channel, thread};

use crate::fixture::{Answer, Host, until};

/// How often requests of a function ran into a limit.
fn reached(host: &Host, function: &str, limit: &str) -> f64 {
    host.metric("gust_limits_reached_total", &[&format!("function=\"{function}\""), &format!("limit=\"{limit}\"")])
}

fn detail(answer: &Answer) -> String {
    answer.json()["detail"].as_str().unwrap().to_owned()
}

#[test]
fn a_guest_computes_for_as_long_as_it_may_and_waits_for_as_long_as_it_likes() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "[limits]\ncpu_ms = 100\nwall_ms = 20000");
    for path in ["/hostile/loop", "/hostile/spin?n=15000"] {
        let answer = host.get(path);
        assert_eq!((answer.status, answer.code().as_str()), (504, "limit.cpu_ms"), "{path}");
        assert!(detail(&answer).contains("its limit cpu_ms is 100"), "{}", detail(&answer));
        let line = host.logged(|line| line["target"] == "gust::request" && line["code"] == "limit.cpu_ms");
        let cpu_us = line["cpu_us"].as_u64().unwrap();
        assert!((100_000..150_000).contains(&cpu_us), "it ran for {cpu_us} us");
    }
    assert_eq!(host.get("/hostile/sleep?n=400").text(), "done", "waiting is not computing");
    assert_eq!(host.get("/hostile/spin?n=40").text(), "done", "what goes on elsewhere is answered too");
    until("both are counted", || reached(&host, "hostile", "cpu_ms") == 2.0);
}

#[test]
fn apps_share_the_processor_by_weight_and_not_by_how_many_guests_they_have() {
    let host = Host::start();
    let cores = thread::available_parallelism().unwrap().get();
    let apps = [("many", 100, 4 * cores), ("heavy", 300, 2 * cores)];
    for (app, weight, _) in apps {
        let quotas = format!("{{\"quotas\": {{\"cpu_weight\": {weight}}}}}");
        let set = host.api("PUT", &format!("/v1/apps/{app}"), "application/json", quotas.as_bytes());
        assert!(set.status < 300, "{set:?}");
        host.deploy_as(&format!("{app}?app={app}"), "hostile", "[limits]\ncpu_ms = 60000\nwall_ms = 3000");
    }
    thread::scope(|scope| {
        for (app, _, guests) in apps {
            for _ in 0..guests {
                let (host, path) = (&host, format!("/~{app}/{app}/loop"));
                scope.spawn(move || assert_eq!(host.get(&path).code(), "limit.wall_ms"));
            }
        }
    });
    let [many, heavy] = apps.map(|(app, _, guests)| {
        let app = format!("app=\"{app}\"");
        until("all are counted", || host.metric("gust_requests_total", &[&app]) == guests as f64);
        host.metric("gust_cpu_seconds_total", &[&app])
    });
    // Three times as much, but for what each computes before it goes where they share. By guests it would be half.
    assert!(heavy > many, "{heavy} s and {many} s");
}

#[test]
fn work_after_the_answer_is_computing_too() {
    let host = Host::start();
    host.deploy_as("raw", "raw", "[limits]\ncpu_ms = 100\nconcurrency = 1");
    assert_eq!(host.get("/raw/spin-late?n=15000").text(), "done");
    until("its place is free", || host.get("/raw").status == 200);
    let line = host.logged(|line| line["target"] == "gust::request" && line["cpu_us"].as_u64() > Some(50_000));
    assert!(line["cpu_us"].as_u64() < Some(150_000), "{line}");
}

#[test]
fn what_a_guest_may_have_is_refused_by_name_where_it_wants_more() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "[limits]\nheaders_kib = 1\nmemory_mib = 32\nlog_kib = 1");
    host.deploy_as("raw", "raw", "[limits]\nhandles = 100\nheaders_kib = 1");
    for (path, code, says) in [
        ("/hostile/many-headers?n=200", "limit.headers", "headers_kib"),
        ("/hostile/memory", "limit.memory", "its limit memory_mib is 32"),
        ("/raw/fields?n=1000", "limit.handles", "more than 100 resources"),
    ] {
        let answer = host.get(path);
        assert_eq!((answer.status, answer.code().as_str()), (500, code), "{path}");
        assert!(detail(&answer).contains(says), "{path}: {}", detail(&answer));
    }
    assert_eq!(host.get("/raw/fields?n=50").text(), "50");
    assert_eq!(host.get("/hostile/print?n=1000").text(), "done", "what is dropped is no failure");
    for (function, limit) in
        [("hostile", "headers_kib"), ("hostile", "memory_mib"), ("hostile", "log_kib"), ("raw", "handles")]
    {
        until("it is counted", || reached(&host, function, limit) == 1.0);
    }
}

#[test]
fn a_guest_sends_no_more_requests_and_carries_no_more_than_it_may() {
    let host = Host::start();
    host.deploy_as("hello", "hello", "");
    host.deploy_as("big", "hostile", "");
    let allowed = "[allow]\nfunctions = [\"hello\", \"big\"]\n[limits]\n";
    host.deploy_as("none", "hostile", &format!("{allowed}calls = 0"));
    host.deploy_as("few", "hostile", &format!("{allowed}calls = 1\ncalls_body_mib = 1"));
    let call = |from: &str, to: &str| host.get(&format!("/{from}/call?url=http://{to}"));
    assert_ne!(call("none", "hello.gust.internal/").status, 200);
    assert_eq!(call("few", "hello.gust.internal/").text(), "Hello, world!");
    assert_eq!(call("few", "big.gust.internal/big?n=1000000").body.len(), 1_000_000);
    assert_ne!(call("few", "big.gust.internal/big?n=1100000").status, 200);
    let line = host.logged(|line| line["limits"] == "calls_body_mib");
    assert_eq!((&line["target"], &line["function"]), (&"gust::request".into(), &"few".into()));
    assert!(line["internal"].as_str().unwrap().contains("its limit calls_body_mib, 1, allows"), "{line}");
    until("the calls are counted", || reached(&host, "none", "calls") == 1.0);
    until("the bodies are counted", || reached(&host, "few", "calls_body_mib") == 1.0);
}

#[test]
fn requests_wait_for_a_place_where_they_may() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "[limits]\nconcurrency = 1\nqueue = 1\nqueue_ms = 30000");
    let holder = host.begin("/hostile/sleep?n=60000");
    host.until_serving(1);
    let (sender, answers) = channel();
    thread::scope(|scope| {
        for _ in 0..4 {
            let (host, sender) = (&host, sender.clone());
            scope.spawn(move || sender.send(host.get("/hostile/headers")).unwrap());
        }
        // One of them waits.
        for _ in 0..3 {
            let refused = answers.recv().unwrap();
            assert_eq!((refused.status, refused.code().as_str()), (429, "limit.queue"));
        }
        drop(holder);
        assert_eq!(answers.recv().unwrap().status, 200);
    });
    until("they are counted", || reached(&host, "hostile", "queue") == 3.0);
}

#[test]
fn a_request_that_waits_for_a_place_is_no_idle_connection() {
    let host = Host::start_with(&[("GUST_IDLE_MS", "200")]);
    host.deploy_as("hostile", "hostile", "[limits]\nconcurrency = 1\nqueue = 1\nqueue_ms = 30000");
    thread::scope(|scope| {
        let holder = scope.spawn(|| host.get("/hostile/sleep?n=2000"));
        host.until_serving(1);
        assert_eq!(host.get("/hostile/headers").status, 200);
        assert_eq!(holder.join().unwrap().status, 200);
    });
}

#[test]
fn a_body_that_is_read_as_it_comes_has_its_limit() {
    let host = Host::start();
    host.deploy_as("raw", "raw", "[limits]\nrequest_body_mib = 1");
    let body = "x".repeat(65_536);
    let chunk = format!("{:x}\r\n{body}\r\n", body.len());
    let head = "POST /raw/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = host.raw(format!("{head}{}0\r\n\r\n", chunk.repeat(17)).as_bytes());
    assert!(answer.len() < 17 * 65_536, "{} bytes", answer.len());
    let line = host.logged(|line| line["target"] == "gust::request");
    assert_eq!(line["limits"], "request_body_mib", "{line}");
    until("it is counted", || reached(&host, "raw", "request_body_mib") == 1.0);
}

#[test]
fn what_a_host_has_less_of_than_before_is_a_limit_of_its_functions() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "");
    let host = host.kill_and_restart_with(&[("GUST_MEMORY_MIB_MAX", "64")]);
    assert_eq!(host.info("hostile")["limits"]["memory_mib"], 64);
    let answer = host.get("/hostile/memory");
    assert_eq!((answer.status, answer.code().as_str()), (500, "limit.memory"), "{answer:?}");
    assert!(detail(&answer).ends_with("its limit memory_mib is 64"), "{}", detail(&answer));
}

#[test]
fn a_request_waits_for_no_longer_than_it_may() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "[limits]\nconcurrency = 1\nqueue = 8\nqueue_ms = 50");
    let holder = host.begin("/hostile/sleep?n=60000");
    host.until_serving(1);
    let refused = host.get("/hostile/headers");
    assert_eq!((refused.status, refused.code().as_str(), refused.header("retry-after")), (429, "limit.queue_ms", "1"));
    drop(holder);
    until("its place is free", || host.get("/hostile/headers").status == 200);
    until("it is counted", || reached(&host, "hostile", "queue_ms") >= 1.0);
}

#[test]
fn a_component_has_a_limit_too() {
    let host = Host::start();
    let refused = host.deploy_as("image", "image", "[limits]\ncomponent_mib = 1");
    assert_eq!((refused.status, refused.code().as_str()), (413, "limit.component"));
    assert!(
        detail(&refused).contains("its limit component_mib is 1") || detail(&refused).contains("component_mib is 1")
    );
    assert_eq!(host.get("/image").status, 404, "nothing was deployed");
}

#[test]
fn no_function_has_more_than_its_host_allows() {
    let host = Host::start_with(&[("GUST_LIMITS_MAX", "cpu_ms=50,queue=0")]);
    host.deploy_as("hostile", "hostile", "[limits]\ncpu_ms = 60000\nqueue = 7");
    let limits = host.info("hostile")["limits"].clone();
    assert_eq!((limits["cpu_ms"].as_u64(), limits["queue"].as_u64()), (Some(50), Some(0)));
    let answer = host.get("/hostile/loop");
    assert_eq!(answer.code(), "limit.cpu_ms");
    assert!(detail(&answer).contains("its limit cpu_ms is 50"), "{}", detail(&answer));
}

#[test]
fn what_a_guest_does_after_its_answer_has_the_same_limits_and_is_told() {
    let host = Host::start();
    for (limits, path, code) in [
        ("cpu_ms = 100", "/raw/spin-late?n=60000", "limit.cpu_ms"),
        ("wall_ms = 500", "/raw/linger?n=60000", "limit.wall_ms"),
    ] {
        host.deploy_as("raw", "raw", &format!("[limits]\n{limits}"));
        assert_eq!(host.get(path).text(), "done");
        let line = host.logged(|line| line["target"] == "gust::request");
        assert_eq!((&line["code"], &line["status"]), (&code.into(), &200.into()), "{line}");
        until("it is counted", || reached(&host, "raw", &code["limit.".len()..]) == 1.0);
    }
}
