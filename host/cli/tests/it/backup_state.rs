//! Backups of what functions keep: of one moment while writers go on, whole or refused, with time and room as they were.

use std::{
    fs,
    io::Write as _,
    net::{Shutdown, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    thread,
};

use serde_json::{Value, json};

use crate::{
    backup::{archive, backed_up, files, restore, restored},
    faults::files_in,
    fixture::{Answer, Host, until},
    operator::said,
};

const CARTS: &str = "[allow]\nkv = [\"carts\"]\nblob = [\"carts\"]\n";

fn kv(key: &str) -> String {
    format!("/v1/apps/default/kv/carts/{key}")
}

fn blob(name: &str) -> String {
    format!("/v1/apps/default/blobs/carts/{name}")
}

fn put(host: &Host, path: &str, content: &[u8]) {
    let answer = host.api("PUT", path, "application/octet-stream", content);
    assert_eq!(answer.status / 100, 2, "{path}: {answer:?}");
}

fn get(host: &Host, path: &str) -> Answer {
    host.api("GET", path, "", b"")
}

#[test]
fn what_functions_keep_goes_to_another_host() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (Host::start(), Host::start());
    here.deploy_as("f", "state", CARTS);
    assert_eq!(here.call("POST", "/f/kv/set?key=a", b"apples").status, 200);
    assert_eq!(here.call("POST", "/f/bl/stream?n=3", b"").status, 200);
    put(&here, &format!("{}?ttl=1s", kv("brief")), b"x");
    put(&here, &format!("{}?ttl=7d", kv("long")), b"x");
    let counted = here.call("POST", "/f/bl/count", b"").body;
    until("it has expired", || get(&here, &kv("brief")).status == 404);
    let file = backed_up(&here, &dir, "backup.tar");
    put(&there, &kv("mine"), b"mine");
    put(&there, &blob("mine"), b"mine");
    let output = there.gust(&["restore", file.to_str().unwrap(), "--yes"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("0 tokens, 2 key-values, 1 blob\n"), "{}", said(&output));
    let check = |there: &Host| {
        assert_eq!(there.call("POST", "/f/kv/keys", b"").text(), "a,long");
        assert_eq!(there.get("/f/kv/get?key=a").text(), "apples");
        assert_eq!(there.call("POST", "/f/bl/count", b"").body, counted);
        assert_eq!(get(there, &blob("mine")).code(), "state.not_found");
        assert_eq!((files_in(there, "blobs").len(), files_in(there, "tmp")), (1, vec![]));
    };
    check(&there);
    let there = there.kill_and_restart();
    check(&there);
    let quota = json!({"quotas": {"storage_mib": 4}}).to_string();
    assert_eq!(there.api("PUT", "/v1/apps/default", "application/json", quota.as_bytes()).status, 200);
    put(&there, &kv("half"), &[0; 512 << 10]);
    let refused = there.api("PUT", &kv("more"), "application/octet-stream", &[0; 768 << 10]);
    assert_eq!(refused.code(), "quota.storage_mib", "what was restored counts: {refused:?}");
}

#[test]
fn backups_under_a_load_of_changes_are_each_of_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (Host::start(), Host::start());
    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let set = |path: &str, round: u64| put(&here, path, round.to_string().as_bytes());
    for path in [kv("a"), kv("b"), blob("c"), blob("gone0")] {
        set(&path, 0);
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1_u64.. {
                // In this order, so that at any moment each is as new as the one after it, or newer by one.
                set(&kv("a"), round);
                set(&blob("c"), round);
                set(&kv("b"), round);
                set(&blob(&format!("gone{round}")), round);
                assert_eq!(here.api("DELETE", &blob(&format!("gone{}", round - 1)), "", b"").status, 204);
                rounds.store(round, SeqCst);
                if stop.load(SeqCst) {
                    return;
                }
            }
        });
        for backup in 0..6 {
            let before = rounds.load(SeqCst);
            until("writers go on", || rounds.load(SeqCst) > before + 2);
            let (first, file) = (rounds.load(SeqCst), backed_up(&here, &dir, &format!("{backup}.tar")));
            let last = rounds.load(SeqCst) + 1;
            restored(&there, &file);
            let read = |path: &str| get(&there, path).text().parse::<u64>().unwrap();
            let seen = [read(&kv("a")), read(&blob("c")), read(&kv("b"))];
            let list = get(&there, "/v1/apps/default/blobs/carts?prefix=gone").json();
            let gone: Vec<u64> =
                list["blobs"].as_array().unwrap().iter().map(|b| read(&blob(b["name"].as_str().unwrap()))).collect();
            assert!(seen.iter().all(|round| (first..=last).contains(round)), "{seen:?} in {first}..={last}");
            assert!(seen.is_sorted_by(|newer, older| newer >= older) && seen[0] - seen[2] <= 1, "{seen:?}");
            let newest = *gone.iter().max().unwrap();
            assert!(gone.len() <= 2 && [seen[2], seen[2].saturating_sub(1)].contains(&newest), "{gone:?} of {seen:?}");
        }
        stop.store(true, SeqCst);
    });
    until("nothing is left behind", || files_in(&here, "tmp").is_empty() && files_in(&there, "tmp").is_empty());
    assert_eq!((files_in(&here, "blobs").len(), files_in(&there, "blobs").len() <= 3), (2, true));
}

#[test]
fn a_large_blob_is_backed_up_and_restored_in_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (Host::start(), Host::start());
    put(&here, &blob("small"), b"x");
    put(&here, &blob("large"), &vec![7; 96 << 20]);
    drop(get(&here, &blob("large")));
    backed_up(&here, &dir, "first.tar");
    let (before, file) = (here.rss_mib(), dir.path().join("backup.tar"));
    let peak = here.rss_peak_mib(|| drop(backed_up(&here, &dir, "backup.tar")));
    assert!(peak < before + 32, "{peak} MiB, and {before} before");
    put(&there, &blob("small"), b"y");
    let before = there.rss_mib();
    let peak = there.rss_peak_mib(|| restored(&there, &file));
    assert!(peak < before + 32, "{peak} MiB, and {before} before");
    let large = get(&there, &blob("large")).body;
    assert!(large.len() == 96 << 20 && large.iter().all(|byte| *byte == 7));
    assert_eq!(get(&there, &blob("small")).text(), "x");
}

/// A backup as a host made it that did not have what functions keep in it.
fn of_first_format(backup: &[u8]) -> Vec<u8> {
    let mut files = files(backup);
    files.retain(|(name, _)| name != "state.db" && !name.starts_with("blobs/"));
    let mut info: Value = serde_json::from_slice(&files[0].1).unwrap();
    info["format"] = json!(1);
    info.as_object_mut().unwrap().remove("state").unwrap();
    files[0].1 = info.to_string().into_bytes();
    archive(&files)
}

#[test]
fn a_backup_of_before_leaves_what_functions_keep() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (Host::start(), Host::start());
    here.deploy("hello");
    put(&here, &kv("a"), b"here");
    there.api("PUT", "/v1/apps/shop", "application/json", b"{}");
    put(&there, &kv("a"), b"there");
    put(&there, &blob("b"), b"there");
    put(&there, "/v1/apps/shop/blobs/carts/b", b"goes with its app");
    let file = dir.path().join("old.tar");
    fs::write(&file, of_first_format(&get(&here, "/v1/backup").body)).unwrap();
    let output = there.gust(&["restore", file.to_str().unwrap(), "--yes"]);
    assert!(
        String::from_utf8_lossy(&output.stdout)
            .contains("0 tokens; what functions keep is not in it, and is as it was\n"),
        "{}",
        said(&output)
    );
    assert_eq!(there.get("/hello").status, 200);
    assert_eq!((get(&there, &kv("a")).text(), get(&there, &blob("b")).text()), ("there", "there"));
    assert_eq!(files_in(&there, "blobs").len(), 1);
}

#[test]
fn what_is_not_whole_changes_nothing() {
    let (here, there) = (Host::start(), Host::start());
    put(&here, &kv("a"), &[1; 3000]);
    put(&here, &blob("b"), &[2; 3000]);
    put(&here, &blob("c"), &[3; 3000]);
    put(&there, &kv("a"), b"there");
    put(&there, &blob("b"), b"there");
    let check = |why: &str| {
        assert_eq!((get(&there, &kv("a")).text(), get(&there, &blob("b")).text()), ("there", "there"), "{why}");
        assert_eq!(get(&there, &blob("c")).status, 404, "{why}");
        until("nothing is left behind", || files_in(&there, "tmp").is_empty());
        assert_eq!(files_in(&there, "blobs").len(), 1, "{why}");
    };
    let refuses = |archive: &[u8], why: &str| {
        let answer = restore(&there, archive);
        assert_eq!((answer.status, answer.code().as_str()), (422, "backup.invalid"), "{why}: {answer:?}");
        check(why);
    };
    let backup = get(&here, "/v1/backup").body;
    let whole = files(&backup);
    let names: Vec<_> = whole.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        matches!(names[..], ["backup.json", "gust.db", "state.db", b, c] if [b, c].iter().all(|name| name.starts_with("blobs/"))),
        "{names:?}"
    );
    for from_end in [1024 + 512, 4000, 9000, 20_000] {
        refuses(&backup[..backup.len() - from_end], &format!("{from_end} bytes before its end"));
    }
    for at in 2..5 {
        let mut damaged = whole.clone();
        let middle = damaged[at].1.len() / 2;
        damaged[at].1[middle] ^= 1;
        refuses(&archive(&damaged), &format!("a byte of {}", names[at]));
        let mut missing = whole.clone();
        missing.remove(at);
        refuses(&archive(&missing), &format!("without {}", names[at]));
    }
    let mut swapped = whole.clone();
    swapped.swap(3, 4);
    refuses(&archive(&swapped), "blobs in another order");
    refuses(&archive(&[&*whole, &whole[4..]].concat()), "a blob twice");
    refuses(&archive(&[&*whole, &[("blobs/x".to_owned(), vec![])]].concat()), "a blob too many");
    let mut escaping = whole.clone();
    escaping[3].0 = "blobs/../../escaped".to_owned();
    let bytes = raw_named(&escaping);
    refuses(&bytes, "a name that leads elsewhere");
    assert!(!there.dir.join("../escaped").exists());

    // One that breaks off within a blob.
    let mut stream = TcpStream::connect(there.admin).unwrap();
    let head = format!(
        "PUT /v1/restore HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/x-tar\r\n\
         content-length: {}\r\n\r\n",
        there.token,
        backup.len()
    );
    stream.write_all(&[head.as_bytes(), &backup[..backup.len() - 4000]].concat()).unwrap();
    until("it has begun", || !files_in(&there, "tmp").is_empty());
    stream.shutdown(Shutdown::Both).unwrap();
    check("a body that broke off");
    assert_eq!(restore(&there, &archive(&whole)).status, 200, "the way it is put together is right");
    assert_eq!(get(&there, &blob("c")).body, [3; 3000]);
}

/// An archive of names as they are, which its builder would refuse.
fn raw_named(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut made = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_cksum();
        made.append(&header, &**content).unwrap();
    }
    made.into_inner().unwrap()
}

#[test]
fn a_blob_that_is_damaged_on_the_disk_is_told_of() {
    let (host, dir) = (Host::start(), tempfile::tempdir().unwrap());
    put(&host, &blob("b"), &[2; 3000]);
    let file = backed_up(&host, &dir, "backup.tar");
    let before = fs::read(&file).unwrap();
    let path = host.dir.join("blobs").join(&files_in(&host, "blobs")[0]);
    fs::write(&path, [3; 3000]).unwrap();
    let output = host.gust(&["backup", file.to_str().unwrap()]);
    assert!(!output.status.success() && said(&output).contains("broke off"), "{}", said(&output));
    let line = host.logged(|line| line["message"] == "a backup was broken off");
    assert!(line["error"].as_str().unwrap().contains("the blob \"b\" of default/carts is damaged"), "{line}");
    fs::remove_file(&path).unwrap();
    let output = host.gust(&["backup", file.to_str().unwrap()]);
    assert!(!output.status.success() && said(&output).contains("store.corrupt"), "{}", said(&output));
    assert!(said(&output).contains("the blob \"b\" of default/carts"), "{}", said(&output));
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    assert_eq!(host.gust(&["blob", "rm", "carts", "b"]).status.code(), Some(0));
    backed_up(&host, &dir, "backup.tar");
}
