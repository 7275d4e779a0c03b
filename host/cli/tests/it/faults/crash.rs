//! A host that is killed: whatever it was doing, what was acknowledged is there after the next start, and nothing else.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use serde_json::Value;
use ureq::http::Request;

use super::{
    compilers,
    components::{answering, large_function},
    files_in, leftovers, names, points,
    strace::Strace,
};
use crate::fixture::{Host, agent, until};

/// Points of each change at which the host is killed, where nothing else is said.
const SAMPLE: usize = 10;

/// How long each call takes that changes a file, at first.
const CALL: Duration = Duration::from_millis(10);

/// What changes the store.
struct Change {
    what: &'static str,
    method: &'static str,
    component: Vec<u8>,
    /// What the function answers before and after; nothing where it is not there.
    before: Option<&'static str>,
    after: Option<&'static str>,
}

/// How far a change came.
struct Crash {
    /// The calls that had changed files.
    calls: Vec<String>,
    is_acknowledged: bool,
}

impl Change {
    /// Asks a host for it. None where the host went away instead of answering.
    fn ask(&self, host: &Host) -> Option<u16> {
        let request = Request::builder().method(self.method).uri(format!("http://{}/v1/functions/f", host.admin));
        let request = request.header("authorization", format!("Bearer {}", host.token));
        let request = request.header("content-type", "application/wasm").body(&self.component[..]).unwrap();
        agent().run(request).ok().map(|answer| answer.status().as_u16())
    }

    /// Waits until what is left to do behind it is done, or the host has gone away.
    fn wait_for_optimiser(&self, host: &Host) {
        let request = || {
            let request = Request::get(format!("http://{}/v1/functions/f", host.admin));
            request.header("authorization", format!("Bearer {}", host.token)).body(()).unwrap()
        };
        let asked = || agent().run(request()).and_then(|answer| answer.into_body().read_to_string());
        until("it is optimised", || asked().map_or(true, |info| !info.contains(r#""tier":"quick""#)));
    }

    /// Kills a host in `dir` in the middle of it: after so many calls that change files, each of which takes so long, or when
    /// nothing is left to do. None where that cannot be done here.
    fn crash(&self, dir: &Path, calls_max: usize, each: Duration) -> Option<Crash> {
        let mut host = Host::start_in(dir, &[]);
        assert_eq!(answer_of(&host, "f").as_deref(), self.before);
        let (mut calls, path) = (Vec::new(), dir.to_str().unwrap());
        let mut strace = Strace::watching(&host, each)?;
        let is_acknowledged = thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let status = self.ask(&host);
                assert!(status.is_none_or(|status| [200, 201, 204].contains(&status)), "{status:?}");
                if status.is_some() {
                    self.wait_for_optimiser(&host);
                    host.signal("-KILL");
                }
                status.is_some()
            });
            while let Some(call) = strace.next_change(path) {
                calls.push(call);
                if calls.len() == calls_max {
                    host.signal("-KILL");
                }
            }
            asked.join().unwrap()
        });
        host.child.wait().unwrap();
        Some(Crash { calls, is_acknowledged })
    }

    /// A start in `dir` after it was interrupted.
    fn check(&self, dir: &Path, crash: &Crash) {
        let at = format!("{} after {:?}", self.what, crash.calls.last());
        let host = Host::start_in(dir, &[]);
        assert_eq!(answer_of(&host, "kept").as_deref(), Some("kept"), "{at}");
        let now = answer_of(&host, "f");
        let is_done = now.as_deref() == self.after;
        assert!(is_done || (!crash.is_acknowledged && now.as_deref() == self.before), "{at}: it answers {now:?}");
        // What the start did not remove stays; what this host's optimiser is writing does not.
        until(&format!("nothing is left behind: {at}"), || leftovers(&host).is_empty());
        assert_eq!(sorted(files_in(&host, "components")), components_of(&host), "{at}");
        let again = self.ask(&host).unwrap();
        assert!([200, 201, 204, 404].contains(&again), "{at}: {again}");
        assert_eq!(answer_of(&host, "f").as_deref(), self.after, "{at}: and once more");
    }
}

/// What a function answers; nothing where it is not there.
fn answer_of(host: &Host, function: &str) -> Option<String> {
    let answer = host.get(&format!("/{function}"));
    if answer.status == 404 {
        return None;
    }
    assert_eq!(answer.status, 200, "{answer:?}");
    Some(answer.text().to_owned())
}

/// The files of the components that versions refer to.
fn components_of(host: &Host) -> Vec<String> {
    let versions =
        |name| host.api("GET", &format!("/v1/functions/{name}/versions"), "", b"").json()["versions"].clone();
    let file = |version: &Value| format!("{}.wasm", version["digest"].as_str().unwrap());
    let all = names(host).iter().map(versions).collect::<Vec<_>>();
    sorted(all.iter().flat_map(|versions| versions.as_array().unwrap()).map(file).collect())
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

/// A data directory, left by a host that was killed, of a function that is kept and one that changes.
fn begin(dir: &Path, before: Option<&str>) {
    let mut host = Host::start_in(dir, &[]);
    for (name, answer) in [("kept", Some("kept")), ("f", before)] {
        if let Some(answer) = answer {
            assert_eq!(host.upload(name, &answering(answer)).status, 201);
            host.until_optimised(name);
        }
    }
    host.child.kill().unwrap();
    host.child.wait().unwrap();
}

/// Kills a host at points of a change, and looks at what the next one finds.
fn kill_at_points_of(change: &Change) {
    let dir = tempfile::tempdir().unwrap();
    let (first, data) = (dir.path().join("first"), dir.path().join("data"));
    begin(&first, change.before);
    let crash = |calls_max, each| {
        let _ = fs::remove_dir_all(&data);
        assert!(Command::new("cp").arg("-r").args([&first, &data]).status().unwrap().success());
        let crash = change.crash(&data, calls_max, each)?;
        change.check(&data, &crash);
        Some(crash)
    };
    let Some(whole) = crash(usize::MAX, CALL) else { return };
    assert!(whole.is_acknowledged && whole.calls.len() > 5, "{:?}", whole.calls);
    for point in points(whole.calls.len(), SAMPLE, usize::MAX) {
        let mut each = CALL;
        // On a busy machine it may be too late: then once more, with more time.
        while crash(point + 1, each).is_some_and(|crash| crash.calls.len() > point + 1) {
            each *= 2;
        }
    }
}

#[test]
fn a_host_that_is_killed_in_a_first_deploy_has_the_function_or_not() {
    kill_at_points_of(&Change {
        what: "first deploy",
        method: "PUT",
        component: answering("new"),
        before: None,
        after: Some("new"),
    });
}

#[test]
fn a_host_that_is_killed_in_a_deploy_has_the_old_version_or_the_new_one() {
    kill_at_points_of(&Change {
        what: "deploy",
        method: "PUT",
        component: answering("new"),
        before: Some("old"),
        after: Some("new"),
    });
}

#[test]
fn a_host_that_is_killed_in_a_delete_has_the_function_or_not() {
    kill_at_points_of(&Change {
        what: "delete",
        method: "DELETE",
        component: Vec::new(),
        before: Some("old"),
        after: None,
    });
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

#[test]
fn a_host_that_is_killed_takes_its_compiler_along() {
    let mut host = Host::start();
    let change =
        Change { what: "deploy", method: "PUT", component: large_function(7 << 20), before: None, after: None };
    let compiler = thread::scope(|scope| {
        let asked = scope.spawn(|| change.ask(&host));
        let mut found = Vec::new();
        until("it is compiled", || {
            found = compilers(&host);
            found.len() == 1
        });
        host.signal("-KILL");
        assert_eq!(asked.join().unwrap(), None, "the host was killed before it answered");
        found.remove(0)
    });
    host.child.wait().unwrap();
    until("the compiler has ended", || !Path::new(&format!("/proc/{compiler}")).exists());
    let host = host.kill_and_restart();
    assert_eq!((leftovers(&host).len(), files_in(&host, "components").len()), (0, 0));
}
