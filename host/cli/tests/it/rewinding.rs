//! Instances that are put back: each request finds what instantiation left, whatever the one before did.
//!
//! All hosts of these tests compare the whole instance each time (`GUST_REWIND=checked`); what differs ends rewinding for the
//! function, which then says so.

use crate::fixture::{Host, until};

/// Requests that find out whether something was left behind.
const TRIES: usize = 50;

fn rewound() -> (String, String) {
    ("rewind".to_owned(), String::new())
}

#[test]
fn nothing_is_left_behind() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "");
    for _ in 0..TRIES {
        assert_eq!(host.get("/hostile/mark").text(), "done");
        assert_eq!(host.get("/hostile/seek").text(), "0");
        assert_eq!(host.get("/hostile/state").text(), "1");
    }
    assert_eq!(host.instance_of("hostile"), rewound());
    // A new instance is used in the same way, so the marks are not there because of how they are looked for.
    host.deploy_as("hostile", "hostile", "instance = \"fresh\"");
    assert_eq!(host.get("/hostile/seek").text(), "0");
    let (mode, reason) = host.instance_of("hostile");
    assert_eq!((mode.as_str(), reason.contains("manifest")), ("fresh", true), "{reason}");
}

#[test]
fn what_a_function_did_before_it_called_another_is_put_back() {
    let host = Host::start();
    host.deploy("hello");
    // The second calls another of the same function.
    let manifest = "[allow]\nfunctions = [\"hello\", \"hostile\"]";
    host.deploy_as("hostile", "hostile", manifest);
    for _ in 0..TRIES {
        for (called, text) in [("hello/", "Hello, world!"), ("hostile/mark", "done"), ("hostile/seek", "0")] {
            let (function, path) = called.split_once('/').unwrap();
            let url = format!("/hostile/mark-and-call?url=http://{function}.gust.internal/{path}");
            assert_eq!(host.get(&url).text(), text);
        }
        assert_eq!(host.get("/hostile/seek").text(), "0");
        assert_eq!(host.get("/hostile/state").text(), "1");
    }
    for function in ["hello", "hostile"] {
        assert_eq!(host.instance_of(function), rewound(), "{function}");
    }
}

#[test]
fn handles_have_the_numbers_that_a_new_instance_gives() {
    let host = Host::start();
    host.deploy_as("fresh", "raw", "instance = \"fresh\"");
    host.deploy_as("raw", "raw", "");
    let expected = host.get("/fresh/handles").text().to_owned();
    for _ in 0..TRIES {
        assert_eq!(host.get("/raw/handles").text(), expected);
    }
    assert_eq!(host.instance_of("raw"), rewound());
}

#[test]
fn many_calls_of_the_host_are_no_reason_to_stop() {
    let host = Host::start();
    host.deploy_as("raw", "raw", "");
    for _ in 0..3 {
        assert_eq!(host.get("/raw/stream?n=2000").body.len(), 2000 * 4096);
    }
    assert_eq!(host.instance_of("raw"), rewound());
}

#[test]
fn every_example_is_rewound() {
    let host = Host::start();
    for function in ["hello", "image", "markdown", "auth"] {
        host.deploy(function);
        for _ in 0..5 {
            host.call("POST", &format!("/{function}?name=Ada"), b"# Hi");
        }
        assert_eq!(host.instance_of(function), rewound(), "{function}");
    }
}

#[test]
fn failures_do_not_touch_those_that_come_after() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "[limits]\nwall_ms = 300\nmemory_mib = 32");
    for path in ["trap", "loop", "memory", "deep?n=100000000", "exit", "fail", "print?n=3", "big?n=100000"] {
        host.get(&format!("/hostile/{path}"));
        assert_eq!(host.get("/hostile/state").text(), "1", "after {path}");
        assert_eq!(host.get("/hostile/seek").text(), "0", "after {path}");
    }
    assert_eq!(host.instance_of("hostile"), rewound());
}

/// Requests after which the host has learned that nothing is gained.
const LESSONS: usize = 60;

#[test]
fn a_function_that_cannot_be_put_back_is_told_why_and_served_all_the_same() {
    let host = Host::start();
    for (function, guest, path, status, reason) in [
        ("leaks", "raw", "leak", 200, "keeps handles"),
        ("grows", "hostile", "grow?n=2000000", 200, "memory grows"),
        ("traps", "hostile", "trap", 500, "trap, run out of time or are abandoned"),
        ("writes", "pages", "?n=10000", 200, "more than 16 MiB"),
    ] {
        host.deploy_as(function, guest, "");
        // Optimised code is another function, of which nothing is known.
        host.until_optimised(function);
        for _ in 0..LESSONS {
            assert_eq!(host.get(&format!("/{function}/{path}")).status, status, "{function}");
        }
        let (mode, told) = host.instance_of(function);
        assert_eq!((mode.as_str(), told.contains(reason)), ("fresh", true), "{function}: {told}");
        let shown = String::from_utf8(host.gust(&["inspect", function]).stdout).unwrap();
        assert!(shown.contains(&format!("fresh: {told}")), "{shown}");
    }
    assert_eq!(host.get("/grows/state").text(), "1");
    assert_eq!(host.get("/grows/seek").text(), "0");
    assert_eq!(host.get("/writes/?n=10000").text(), "0 pages were not pristine");
}

#[test]
fn a_few_that_cannot_be_put_back_do_not_matter() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "");
    for _ in 0..LESSONS {
        host.get("/hostile/trap");
        for _ in 0..6 {
            assert_eq!(host.get("/hostile/state").text(), "1");
        }
    }
    assert_eq!(host.instance_of("hostile"), rewound());
}

#[test]
fn one_word_turns_it_off() {
    let host = Host::start_with(&[("GUST_REWIND", "off")]);
    host.deploy("hello");
    assert_eq!(host.get("/hello").status, 200);
    assert!(host.instance_of("hello").1.contains("setting rewind is off"));
}

#[test]
fn idle_instances_take_no_place_from_others() {
    let host = Host::start_with(&[("GUST_INSTANCES_MAX", "2")]);
    for name in ["a", "b", "c", "d"] {
        host.deploy_as(name, "hello", "");
    }
    for _ in 0..5 {
        for name in ["a", "b", "c", "d"] {
            assert_eq!(host.get(&format!("/{name}")).status, 200);
        }
    }
    until("all places are free", || host.metric("gust_instances_free", &[]) == 2.0);
}
