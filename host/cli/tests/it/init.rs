//! Functions that get ready before their first request: every request begins with what init left, wherever its instance comes
//! from, and a function whose init fails is not deployed.

use std::{fs, thread};

use crate::fixture::{Host, component};

/// Requests that find out whether all begin alike.
const TRIES: usize = 30;

fn manifest(init: &str, rest: &str) -> String {
    format!("{rest}\n[env]\nINIT = \"{init}\"\nN = \"100000\"")
}

fn rewound() -> (String, String) {
    ("rewind".to_owned(), String::new())
}

#[test]
fn every_request_begins_with_what_init_left() {
    let host = Host::start();
    host.deploy_as("rewound", "ready", "");
    host.deploy_as("fresh", "ready", "instance = \"fresh\"");
    for _ in 0..TRIES {
        for function in ["rewound", "fresh"] {
            assert_eq!(host.get(&format!("/{function}")).text(), "made, 1 inits, 1 requests", "{function}");
        }
    }
    assert_eq!(host.instance_of("rewound"), rewound());
    assert_eq!(host.instance_of("fresh").0, "fresh");
    let off = Host::start_with(&[("GUST_REWIND", "off")]);
    off.deploy_as("ready", "ready", "");
    assert_eq!(off.get("/ready").text(), "made, 1 inits, 1 requests");
}

#[test]
fn a_slow_init_keeps_no_other_deploy_waiting() {
    let host = Host::start();
    // Compiled before, so that all that is left of a deploy is to try an instance.
    host.deploy_as("ready", "ready", "");
    host.deploy("hello");
    let slow = manifest("sleep", "[limits]\nwall_ms = 5000");
    thread::scope(|scope| {
        let deploys = ["a", "b", "c"].map(|name| scope.spawn(|| host.deploy_as(name, "ready", &slow).status));
        for n in 0..8 {
            assert_eq!(host.deploy_as(&format!("hello-{n}"), "hello", "").status, 201);
            assert!(!deploys.iter().all(thread::ScopedJoinHandle::is_finished), "{n} waited for them");
        }
        assert!(deploys.into_iter().all(|deploy| deploy.join().unwrap() == 422));
    });
}

#[test]
fn an_init_that_fails_refuses_the_deploy_and_says_why() {
    let host = Host::start();
    for (how, limits, expected) in [
        ("fail", "", "its init failed: there is no table"),
        ("panic", "", "it was asked to"),
        ("loop", "[limits]\nwall_ms = 300", "it took longer than 300 ms (limit.wall_ms)"),
        ("sleep", "[limits]\nwall_ms = 300", "it took longer than 300 ms (limit.wall_ms)"),
        ("hoard", "[limits]\nmemory_mib = 32", "(limit.memory)"),
    ] {
        let refused = host.deploy_as("victim", "ready", &manifest(how, limits));
        assert_eq!((refused.status, refused.code().as_str()), (422, "component.init_failed"), "{how}: {refused:?}");
        assert!(refused.text().contains(expected), "{how}: {}", refused.text());
    }
    assert_eq!(host.get("/victim").code(), "function.not_found");
    for dir in ["components", "tmp"] {
        assert_eq!(fs::read_dir(host.dir.join(dir)).unwrap().count(), 0, "{dir}");
    }
    // One that serves goes on serving.
    host.deploy_as("victim", "ready", "");
    host.deploy_as("victim", "ready", &manifest("fail", ""));
    assert_eq!(host.get("/victim").text(), "made, 1 inits, 1 requests");
}

#[test]
fn what_init_draws_at_random_is_the_same_for_all_requests_and_what_they_draw_is_not() {
    let host = Host::start();
    host.deploy_as("rewound", "ready", &manifest("random", ""));
    host.deploy_as("fresh", "ready", &manifest("random", "instance = \"fresh\""));
    // Optimised code is loaded anew, and draws anew.
    for function in ["rewound", "fresh"] {
        host.until_optimised(function);
    }
    let (rewound_text, fresh_text) = (host.get("/rewound").text().to_owned(), host.get("/fresh").text().to_owned());
    assert_ne!(rewound_text, fresh_text, "each function has its own");
    for _ in 0..TRIES {
        assert_eq!(host.get("/rewound").text(), rewound_text);
        assert_eq!(host.get("/fresh").text(), fresh_text);
    }
    assert_eq!(host.instance_of("rewound"), rewound());
    host.deploy_as("plain", "ready", "");
    assert_ne!(host.get("/plain/random").text(), host.get("/plain/random").text());
}

#[test]
fn an_init_that_is_never_the_same_is_not_rewound() {
    let host = Host::start();
    host.deploy_as("ready", "ready", &manifest("time", ""));
    for _ in 0..TRIES {
        assert!(host.get("/ready").text().ends_with(", 1 inits, 1 requests"));
    }
    // A second one is only made beside the first: the state that it begins with is another.
    host.deploy_as("ready", "ready", &manifest("time", "[limits]\nwall_ms = 60000"));
    host.until_optimised("ready");
    let held = host.begin("/ready/hold");
    host.until_serving(1);
    host.get("/ready");
    let (mode, reason) = host.instance_of("ready");
    assert_eq!((mode.as_str(), reason.contains("begin in the same state")), ("fresh", true), "{reason}");
    drop(held);
    let (first, second) = (host.get("/ready"), host.get("/ready"));
    assert_ne!(first.text(), second.text(), "each is made anew");
}

#[test]
fn an_init_that_prints_is_logged_and_not_rewound() {
    let host = Host::start();
    host.deploy_as("ready", "ready", &manifest("print", ""));
    for _ in 0..TRIES {
        assert_eq!(host.get("/ready").text(), "printed, 1 inits, 1 requests");
    }
    let (mode, reason) = host.instance_of("ready");
    assert_eq!((mode.as_str(), reason.contains("leaves handles open")), ("fresh", true), "{reason}");
    let logs = host.api("GET", "/v1/functions/ready/logs?tail=1000", "", b"").json();
    assert!(logs["lines"].as_array().unwrap().iter().any(|line| line["text"] == "it prints"), "{logs}");
}

#[test]
fn handles_that_init_gave_back_are_in_order_for_every_request() {
    let host = Host::start();
    host.deploy_as("ready", "ready", &manifest("handles", ""));
    for _ in 0..TRIES {
        assert_eq!(host.get("/ready/handles").text(), "[1, 2, 3]");
    }
    assert_eq!(host.instance_of("ready"), rewound());
}

#[test]
fn what_init_leaves_may_be_large() {
    let host = Host::start();
    let manifest = "[env]\nINIT = \"large\"\nN = \"25000000\"";
    assert_eq!(host.deploy_as("ready", "ready", manifest).status, 201);
    for _ in 0..5 {
        assert_eq!(host.get("/ready/length").text(), "25000000");
    }
    assert_eq!(host.instance_of("ready"), rewound());
}

#[test]
fn inspect_shows_that_there_is_one() {
    let host = Host::start();
    host.deploy_as("ready", "ready", "");
    host.deploy("hello");
    let shown = |name: &str| String::from_utf8(host.gust(&["inspect", name]).stdout).unwrap();
    assert!(shown("ready").contains("gust:function/init"), "{}", shown("ready"));
    assert!(!shown("hello").contains("gust:function/init"), "{}", shown("hello"));
}

#[test]
fn an_init_of_another_type_is_refused() {
    let host = Host::start();
    let mut ready = fs::read(component("ready")).unwrap();
    // The type `result<_, string>` becomes `result<string>`, which is as long and is passed in the same way.
    let (type_of_init, another) = ([0x6a, 0, 1, 0x73], [0x6a, 1, 0x73, 0]);
    for at in 0..ready.len() - 4 {
        if ready[at..at + 4] == type_of_init {
            ready[at..at + 4].copy_from_slice(&another);
        }
    }
    let refused = host.upload("ready", &ready);
    assert_eq!(refused.code(), "component.init_failed", "{refused:?}");
    assert!(refused.text().contains("does not fit"), "{}", refused.text());
}
