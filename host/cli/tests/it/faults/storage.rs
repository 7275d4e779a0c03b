//! A disk that is full, fails, lies or was touched.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Watch, artifacts_dir, components::answering, example, files_in, leftovers, settle_neighbour, skipped,
    strace::Strace,
};
use crate::{
    fixture::{Host, gust_behind, until},
    operator::said,
};

/// Changes one bit of a file.
fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Deploys something and waits until its code is optimised, so that nothing goes on.
fn settled(host: &Host, name: &str, component: &[u8]) {
    let deployed = host.upload(name, component);
    assert!([200, 201].contains(&deployed.status), "{deployed:?}");
    host.until_optimised(name);
}

fn digest_of(host: &Host, name: &str) -> String {
    host.info(name)["digest"].as_str().unwrap().to_owned()
}

/// Where the optimised code of a component is.
fn artifact_of(host: &Host, digest: &str) -> PathBuf {
    host.dir.join(artifacts_dir(host)).join(format!("{digest}.rewind.optimised.cwasm"))
}

#[test]
fn a_last_write_that_is_torn_leaves_the_old_version_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut host = Host::start_in(&data, &[]);
    settled(&host, "f", &answering("old"));
    let wal = data.join("gust.db-wal");
    let before = fs::metadata(&wal).unwrap().len();
    settled(&host, "f", &answering("new"));
    let (artifact, component) = {
        let digest = digest_of(&host, "f");
        (artifact_of(&host, &digest), data.join(format!("components/{digest}.wasm")))
    };
    host.child.kill().unwrap();
    host.child.wait().unwrap();
    let after = fs::metadata(&wal).unwrap().len();
    let written = after - before;
    assert!(written > 0, "the last deploy is in the log that is torn");

    let kept = dir.path().join("kept");
    copy(&data, &kept);
    let torn = |path: &Path, bytes: u64| {
        let _ = fs::remove_dir_all(&data);
        copy(&kept, &data);
        File::options().write(true).open(path).unwrap().set_len(bytes).unwrap();
        let host = Host::start_in(&data, &[]);
        let answer = host.get("/f");
        assert_eq!(answer.status, 200, "{} cut to {bytes} bytes: {answer:?}", path.display());
        settled(&host, "f", &answering("newer"));
        assert_eq!(host.get("/f").text(), "newer");
        assert_eq!(leftovers(&host), Vec::<String>::new());
        answer.text().to_owned()
    };
    let mut answers = Vec::new();
    for part in 0..=6 {
        answers.push(torn(&wal, before + written * part / 6));
    }
    answers.push(torn(&wal, after - 1));
    assert!(answers.iter().all(|answer| answer == "old" || answer == "new"), "{answers:?}");
    assert_eq!((answers[0].as_str(), answers[6].as_str(), answers[7].as_str()), ("old", "new", "old"));
    for path in [&artifact, &component] {
        let bytes = fs::metadata(kept.join(path.strip_prefix(&data).unwrap())).unwrap().len();
        // One of the two is enough to serve it.
        for bytes in [0, bytes / 2, bytes - 1] {
            assert_eq!(torn(path, bytes), "new", "{} cut to {bytes} bytes", path.display());
        }
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

#[test]
fn a_full_disk_refuses_a_deploy_and_nothing_else() {
    /// So much more room each time, until it is enough: the disk is full in the upload, in the compiler, in the database.
    const STEP_BYTES: u64 = 48 << 10;
    let dir = tempfile::tempdir().unwrap();
    let Some(host) = Host::start_behind(r#"mount -t tmpfs -o size=6m tmpfs "$dir""#, dir.path()) else {
        return skipped("a full disk", "nothing may be mounted here");
    };
    let watch = Watch::begin(&host);
    settled(&host, "f", &answering("old"));
    let ballast = host.dir.join("ballast");
    let new = example("hello");
    let mut refused = Vec::new();
    let made = loop {
        leave_free(&ballast, refused.len() as u64 * STEP_BYTES);
        let answer = host.upload("f", &new);
        if answer.status == 201 {
            break answer;
        }
        assert_eq!((answer.status, answer.code().as_str()), (507, "store.full"), "{answer:?}");
        refused.push("store.full");
        assert_eq!(host.get("/f").text(), "old");
        until("nothing is left behind", || leftovers(&host).is_empty());
        assert_eq!(files_in(&host, "components").len(), 2);
    };
    assert!(refused.len() > 4, "{refused:?}");
    assert_eq!(made.json()["version"], 2, "those that were refused are no versions");
    assert_eq!(host.get("/f").text(), "Hello, world!");
    fs::remove_file(&ballast).unwrap();
    settled(&host, "later", &answering("later"));
    watch.check(&refused);
}

/// Fills a disk with one file, but for so many bytes.
fn leave_free(ballast: &Path, bytes: u64) {
    let mut file = File::create(ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    let length = file.metadata().unwrap().len();
    file.set_len(length - bytes).unwrap();
}

#[test]
fn what_the_disk_did_not_take_is_not_acknowledged() {
    const SYNC: &str = "fsync,fdatasync";
    const MOVE: &str = "?rename,renameat,renameat2";
    let mut host = Host::start();
    settled(&host, "f", &answering("old"));
    // The upload, the component at its place, the database; and whether a delete has to do with that.
    let faults: [(&str, &[&str], bool); 6] = [
        (SYNC, &[], true),
        (SYNC, &["components"], false),
        (SYNC, &["gust.db-wal"], true),
        (SYNC, &[".", "gust.db", "gust.db-wal"], true),
        ("pwrite64", &["gust.db-wal"], true),
        (MOVE, &[], false),
    ];
    for (calls, paths, fails_deletes) in faults {
        let watch = Watch::begin(&host);
        let Some(strace) = Strace::failing(&host, calls, "EIO", paths) else { return };
        let mut answers = vec![host.upload("f", &answering("new"))];
        if fails_deletes {
            answers.push(host.api("DELETE", "/v1/functions/f", "", b""));
        }
        drop(strace);
        for answer in &answers {
            assert_eq!((answer.status, answer.code().as_str()), (500, "store.failed"), "{calls} {paths:?}: {answer:?}");
        }
        assert_eq!(host.get("/f").text(), "old");
        assert_eq!(files_in(&host, "components").len(), 2, "{calls} {paths:?}");
        watch.check(&vec!["store.failed"; answers.len()]);
        host = host.kill_and_restart();
        assert_eq!(host.get("/f").text(), "old", "{calls} {paths:?}: what was refused came back");
    }
    settled(&host, "f", &answering("new"));
    host = host.kill_and_restart();
    assert_eq!(host.get("/f").text(), "new");
}

#[test]
fn compiled_code_that_is_not_what_this_host_made_is_compiled_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut host = Host::start_in(dir.path(), &[]);
    settle_neighbour(&host);
    settled(&host, "f", &answering("right"));
    settled(&host, "other", &answering("wrong"));
    let artifact = artifact_of(&host, &digest_of(&host, "f"));
    let (whole, other) =
        (fs::read(&artifact).unwrap(), fs::read(artifact_of(&host, &digest_of(&host, "other"))).unwrap());
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    // In its head, its code, what follows the code, its proof; another's; none; without its proof.
    let mut cases: Vec<Vec<u8>> = [0, whole.len() / 2, whole.len() - 40, whole.len() - 1].map(flipped).into();
    cases.extend([other, Vec::new(), whole[..whole.len() - 32].to_vec()]);
    for damaged in cases {
        host.child.kill().unwrap();
        host.child.wait().unwrap();
        fs::write(&artifact, &damaged).unwrap();
        host = Host::start_in(dir.path(), &[]);
        let watch = Watch::begin(&host);
        assert_eq!(host.get("/f").text(), "right");
        assert_eq!(host.metric("gust_compilations_total", &["tier=\"quick\""]), 1.0, "it alone is compiled");
        host.until_optimised("f");
        assert_ne!(fs::read(&artifact).unwrap(), damaged);
        watch.check(&[]);
    }
}

#[test]
fn compiled_code_of_another_engine_is_compiled_anew() {
    let host = Host::start();
    settled(&host, "hello", &example("hello"));
    let own = host.dir.join(artifacts_dir(&host));
    let other = own.with_file_name("0.0.9-0123456789abcdef");
    let file = artifact_of(&host, &digest_of(&host, "hello"));
    let of_other_host = {
        let stranger = Host::start();
        settled(&stranger, "hello", &example("hello"));
        fs::read(artifact_of(&stranger, &digest_of(&stranger, "hello"))).unwrap()
    };
    // As another version of the engine left it; and as somebody copied it from another host.
    fs::rename(&own, &other).unwrap();
    let host = host.kill_and_restart();
    assert_eq!(host.get("/hello").text(), "Hello, world!");
    assert_eq!(host.metric("gust_compilations_total", &["tier=\"quick\""]), 1.0);
    assert!(!other.exists(), "what no engine needs is removed");
    host.until_optimised("hello");
    assert_ne!(fs::read(&file).unwrap(), of_other_host, "each host has a key of its own");
    fs::write(&file, of_other_host).unwrap();
    let host = host.kill_and_restart();
    assert_eq!(host.get("/hello").text(), "Hello, world!");
    assert_eq!(host.metric("gust_compilations_total", &["tier=\"quick\""]), 1.0);
}

#[test]
fn a_damaged_component_costs_its_function_and_no_other() {
    let host = Host::start();
    settled(&host, "damaged", &answering("damaged"));
    settled(&host, "neighbour", &answering("a good neighbour"));
    let digest = digest_of(&host, "damaged");
    let component = host.dir.join(format!("components/{digest}.wasm"));
    flip(&component, 100);
    let host = host.kill_and_restart();
    assert_eq!(host.get("/damaged").text(), "damaged", "its code is whole");
    fs::remove_file(artifact_of(&host, &digest)).unwrap();
    let host = host.kill_and_restart();
    let watch = Watch::begin(&host);
    let answer = host.get("/damaged");
    assert_eq!((answer.status, answer.code().as_str()), (503, "function.unavailable"));
    let info = host.info("damaged");
    assert!(info["unavailable"].as_str().unwrap().contains("store.corrupt"), "{info}");
    watch.check(&["function.unavailable"]);
    settled(&host, "damaged", &answering("damaged"));
    assert_eq!(host.get("/damaged").text(), "damaged", "a deploy mends it");
}

#[test]
fn a_directory_that_cannot_be_written_to_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(Host::start_in(dir.path(), &[]));
    let mounts = r#"mount --bind "$dir" "$dir" && mount -o remount,bind,ro "$dir""#;
    let Some(mut command) = gust_behind(mounts, dir.path()) else {
        return skipped("a read-only directory", "nothing may be mounted here");
    };
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir"]).arg(dir.path());
    let output = command.env("XDG_STATE_HOME", dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let shown = dir.path().display().to_string();
    assert!(said(&output).contains(&shown) && said(&output).contains("Read-only file system"), "{}", said(&output));
}
