//! What the outside does to a host, and what holds whatever it does.
//!
//! Each test provokes one fault (a hostile upload, a dying disk, a careless operator) and checks the answer. What has to hold
//! besides is the same for all of them: [`Watch`].

mod compiling;
pub mod components;
mod crash;
mod exhaustion;
mod frames;
mod guests;
mod http_in;
mod operator;
mod outside;
mod stopping;
mod storage;
mod strace;
mod upload;

use std::{env, fs, io, io::Write as _};

use serde_json::Value;

use crate::fixture::{Host, component, until};

/// By how much a host's memory may be larger after a fault than before, in MiB.
const GROWTH_MIB_MAX: u64 = 48;

/// Says with `all` that many points are to be tried, and not a sample of them.
const VARIABLE: &str = "GUST_FAULT_POINTS";

/// What holds whatever goes wrong with one function, seen by its neighbour. Begun before, checked after.
pub struct Watch<'h> {
    host: &'h Host,
    rss_mib: u64,
    /// By how much its memory may have grown.
    pub growth_mib_max: u64,
}

impl<'h> Watch<'h> {
    pub fn begin(host: &'h Host) -> Self {
        settle_neighbour(host);
        let watch = Self { host, rss_mib: host.rss_mib(), growth_mib_max: GROWTH_MIB_MAX };
        watch.lines_until_now();
        watch
    }

    /// The same process serves and answers the neighbour, its memory is what it was, nothing is left behind on the disk,
    /// and these failures, in this order, are in its log, each in one line.
    pub fn check(self, failures: &[&str]) {
        let Self { host, rss_mib, growth_mib_max } = self;
        let mut codes = Vec::new();
        // A request's line comes a moment after its answer.
        while codes.len() < failures.len() {
            codes.extend(failure(&host.logged(|line| failure(line).is_some())));
        }
        codes.extend(self.codes_until_now());
        assert_eq!(codes, failures, "the log's lines");
        until("no compiler is left", || compilers(host).is_empty());
        until("nothing is left behind", || leftovers(host).is_empty());
        until(&format!("its memory is what it was ({rss_mib} MiB)"), || host.rss_mib() <= rss_mib + growth_mib_max);
    }

    /// The codes of failures in the log since it was last looked at.
    pub fn codes_until_now(&self) -> Vec<String> {
        self.lines_until_now().iter().filter_map(failure).collect()
    }

    /// The log's lines up to a call of the neighbour, which is made and answered.
    fn lines_until_now(&self) -> Vec<Value> {
        // Its port was chosen by the system, so nobody else answers there.
        let answer = self.host.get("/neighbour");
        assert_eq!((answer.status, answer.text()), (200, "a good neighbour"));
        let (mut lines, id) = (Vec::new(), answer.header("x-request-id"));
        self.host.logged(|line| {
            lines.push(line.clone());
            line["request_id"] == id
        });
        lines
    }
}

/// Sees to it that a host has the neighbour.
fn settle_neighbour(host: &Host) {
    if host.get("/neighbour").status == 404 {
        let deployed = host.upload("neighbour", &components::answering("a good neighbour"));
        assert_eq!(deployed.status, 201, "{deployed:?}");
    }
}

/// The code in a line of the log, where the line is about a failure.
fn failure(line: &Value) -> Option<String> {
    line["code"].as_str().filter(|code| !code.is_empty()).map(str::to_owned)
}

/// Processes that compile for this host, by their numbers.
fn compilers(host: &Host) -> Vec<String> {
    let parent = host.child.id().to_string();
    let compiles = |pid: &String| {
        let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        // The parent comes after the name in brackets and the state.
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        let is_child = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(&parent);
        is_child && String::from_utf8_lossy(&read("cmdline")).contains("compile-worker")
    };
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    processes.filter(compiles).collect()
}

/// The files of a directory of the host's.
pub fn files_in(host: &Host, dir: &str) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    fs::read_dir(host.dir.join(dir)).unwrap().map(name).collect()
}

/// The directory of what this host's engine compiled, from its data directory.
fn artifacts_dir(host: &Host) -> String {
    let engines = files_in(host, "artifacts");
    assert_eq!(engines.len(), 1, "{engines:?}");
    format!("artifacts/{}", engines[0])
}

/// What is on its way, in the directories where uploads and compilers write.
fn leftovers(host: &Host) -> Vec<String> {
    let unfinished = files_in(host, &artifacts_dir(host)).into_iter().filter(|name| !name.ends_with(".cwasm"));
    files_in(host, "tmp").into_iter().chain(unfinished).collect()
}

/// The names of all functions.
pub fn names(host: &Host) -> Vec<String> {
    let list = host.api("GET", "/v1/functions", "", b"").json();
    let name = |function: &Value| function["name"].as_str().unwrap().to_owned();
    list["functions"].as_array().unwrap().iter().map(name).collect()
}

/// The component of an example.
fn example(name: &str) -> Vec<u8> {
    fs::read(component(name)).unwrap()
}

/// Of so many points a sample of this size, the first and the last among them; in the long run of that size.
fn points(count: usize, sample: usize, long: usize) -> Vec<usize> {
    let is_long = env::var(VARIABLE).is_ok_and(|value| value == "all");
    let tried = if is_long { long } else { sample };
    if count <= tried {
        return (0..count).collect();
    }
    (0..tried).map(|nth| nth * (count - 1) / (tried - 1)).collect()
}

/// Says that something could not be tested here. Written past the test harness, which hides what is printed by tests that pass.
fn skipped(what: &str, why: &str) {
    io::stderr().write_all(format!("==> {what}: skipped, for {why}\n").as_bytes()).unwrap();
}
