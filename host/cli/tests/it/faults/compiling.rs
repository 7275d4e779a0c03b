//! Components that make the compiler run wild: it runs in a process of its own, with limits, and not in numbers.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::{
    Watch, compilers,
    components::{answering, doubled, large_function, large_value, many_functions, nested, wasm},
    names, settle_neighbour,
};
use crate::fixture::{Host, until};

/// The limits of a compiler where it is to reach them.
const COMPILE_MS_MAX: u64 = 2500;
const COMPILE_MIB_MAX: u64 = 3072;

/// Sends a signal to a process.
pub fn signal(pid: &str, name: &str) {
    assert!(Command::new("kill").args([name, pid]).status().unwrap().success());
}

/// Begins an upload, and does not wait for what comes of it.
pub fn begin_upload(host: &Host, name: &str, component: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(host.admin).unwrap();
    let head = format!(
        "PUT /v1/functions/{name} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/wasm\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        host.token,
        component.len()
    );
    stream.write_all(&[head.as_bytes(), component].concat()).unwrap();
    stream
}

#[test]
fn types_that_are_nested_or_doubled_without_end_are_refused() {
    let host = Host::start();
    let watch = Watch::begin(&host);
    for component in [nested(10_000), nested(101), doubled(64), doubled(21)] {
        let answer = host.upload("victim", &component);
        assert_eq!((answer.status, answer.code().as_str()), (422, "component.malformed"), "{answer:?}");
    }
    // As deep and as large as may be: that costs little, and it is something else that is refused.
    let (import, handler) = ("component.unknown_import", "component.no_handler");
    for (component, code) in [(nested(90), import), (doubled(18), import), (large_value(17), handler)] {
        let answer = host.upload("victim", &component);
        assert_eq!((answer.status, answer.code().as_str()), (422, code), "{answer:?}");
    }
    watch.check(&[&["component.malformed"; 4][..], &[import, import, handler]].concat());
}

#[test]
fn a_compiler_that_takes_too_much_is_killed_and_the_host_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    // The neighbour has all the time that it wants.
    settle_neighbour(&Host::start_in(dir.path(), &[]));
    let (ms, mib) = (COMPILE_MS_MAX.to_string(), COMPILE_MIB_MAX.to_string());
    let host = Host::start_in(dir.path(), &[("GUST_COMPILE_MS_MAX", &ms), ("GUST_COMPILE_MEMORY_MIB_MAX", &mib)]);
    let watch = Watch::begin(&host);
    for component in [large_function(7 << 20), many_functions(999_999)] {
        let began = Instant::now();
        let answer = host.upload("victim", &component);
        assert_eq!((answer.status, answer.code().as_str()), (422, "component.compile"), "{answer:?}");
        let named = ["compile_ms_max", "compile_memory_mib_max"];
        assert!(named.iter().any(|limit| answer.text().contains(limit)), "{answer:?}");
        // On a busy machine it takes a while to send it.
        assert!(began.elapsed() < 8 * Duration::from_millis(COMPILE_MS_MAX), "it took {:?}", began.elapsed());
    }
    assert_eq!(names(&host), ["neighbour"]);
    watch.check(&["component.compile"; 2]);
}

#[test]
fn a_compiler_has_limits_of_processor_time_and_memory_and_stands_back() {
    let host = Host::start_with(&[("GUST_COMPILE_MS_MAX", "50000"), ("GUST_COMPILE_MEMORY_MIB_MAX", "4096")]);
    let watch = Watch::begin(&host);
    host.until_optimised("neighbour");
    let mut uploading = begin_upload(&host, "victim", &large_function(7 << 20));
    until("it is compiled", || compilers(&host).len() == 1);
    let pid = compilers(&host).remove(0);
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let limit_of = |limits: &str, what: &str| {
        let line = limits.lines().find(|line| line.starts_with(what)).unwrap().to_owned();
        line[what.len()..].split_whitespace().next().unwrap().to_owned()
    };
    // It sets them itself, before it reads a byte of the component; this is the last of it.
    until("it stands back", || read("stat").rsplit(") ").next().unwrap().split(' ').nth(16) == Some("10"));
    let limits = read("limits");
    assert_eq!(limit_of(&limits, "Max address space"), (4096_u64 << 20).to_string());
    let cores = thread::available_parallelism().unwrap().get();
    assert_eq!(limit_of(&limits, "Max cpu time"), (50 * cores + 1).to_string());
    assert_eq!(limit_of(&limits, "Max core file size"), "0");
    assert_eq!(read("environ"), "", "it knows nothing that it need not know");
    signal(&pid, "-KILL");
    until("it is gone", || compilers(&host).is_empty());
    // Whoever goes away before the answer has no line in the log.
    let mut answer = String::new();
    uploading.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("host.busy"), "{answer}");
    watch.check(&["host.busy"]);
}

#[test]
fn no_more_compilers_work_than_there_are_cores_and_no_more_uploads_wait_than_may() {
    /// Components that may wait or be compiled, as `docs/reliability.md` says.
    const QUEUE: usize = 256;
    const REFUSED: usize = 20;
    let host = Host::start();
    // Each of these uploads has a thread for a moment, whose memory the allocator keeps for those to come.
    let watch = Watch { growth_mib_max: 256, ..Watch::begin(&host) };
    host.until_optimised("neighbour");
    let cores = thread::available_parallelism().unwrap().get();
    let slow = |n: usize| begin_upload(&host, &format!("slow{n}"), &large_function((6 << 20) + 5 * n));
    let _slow: Vec<_> = (0..cores).map(slow).collect();
    until("all cores compile", || compilers(&host).len() == cores);
    let stopped = compilers(&host);
    stopped.iter().for_each(|pid| signal(pid, "-STOP"));
    let quick = |n: usize| {
        let component = wasm(&format!(r#"(component (import "n{n}" (func)))"#));
        begin_upload(&host, &format!("quick{n}"), &component)
    };
    let _quick: Vec<_> = (0..QUEUE - cores + REFUSED).map(quick).collect();
    for _ in 0..REFUSED {
        host.logged(|line| line["code"] == "host.busy");
        assert_eq!(compilers(&host), stopped, "the others wait");
    }
    // Then those that wait have their turn.
    stopped.iter().for_each(|pid| signal(pid, "-KILL"));
    for _ in 0..QUEUE - cores {
        host.logged(|line| line["code"] == "component.unknown_import");
        assert!(compilers(&host).len() <= cores);
    }
    assert_eq!(names(&host), ["neighbour"]);
    watch.check(&[]);
}

#[test]
fn a_compiler_that_is_killed_is_no_fault_of_the_component() {
    let host = Host::start();
    let watch = Watch::begin(&host);
    host.until_optimised("neighbour");
    let answer = thread::scope(|scope| {
        let uploading = scope.spawn(|| host.upload("victim", &large_function(7 << 20)));
        until("it is compiled", || compilers(&host).len() == 1);
        compilers(&host).iter().for_each(|pid| signal(pid, "-KILL"));
        uploading.join().unwrap()
    });
    assert_eq!((answer.status, answer.code().as_str()), (503, "host.busy"), "{answer:?}");
    assert!(answer.text().contains("the compiler was killed"), "{answer:?}");
    watch.check(&["host.busy"]);
    assert_eq!(host.upload("victim", &answering("well")).json()["version"], 1);
}
