//! Blobs: what functions keep in containers, in pieces and whole.

use crate::fixture::{Answer, Host, component, until};

const PICTURES: &str = "[allow]\nblob = [\"carts\"]\n";

fn put(host: &Host, path: &str, content: &[u8]) -> Answer {
    let answer = host.call("POST", path, content);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer
}

fn files(host: &Host) -> usize {
    let count = |dir: &str| std::fs::read_dir(host.dir.join(dir)).unwrap().count();
    count("blobs") + count("tmp")
}

#[test]
fn a_blob_is_written_read_and_removed() {
    let host = Host::start();
    host.deploy_as("f", "state", PICTURES);
    assert_eq!(host.get("/f/bl/get").status, 404);
    put(&host, "/f/bl/put", b"0123456789");
    assert_eq!(put(&host, "/f/bl/get", b"").text(), "0123456789");
    for (from, to, part) in [(0, 1, "0"), (3, 7, "3456"), (9, 100, "9"), (10, 20, ""), (5, 5, ""), (7, 3, "")] {
        assert_eq!(put(&host, &format!("/f/bl/range?from={from}&to={to}"), b"").text(), part, "{from}..{to}");
    }
    put(&host, "/f/bl/put?key=empty", b"");
    assert_eq!(
        (put(&host, "/f/bl/get?key=empty", b"").body, put(&host, "/f/bl/info?key=empty", b"").text()),
        (vec![], "0")
    );
    put(&host, "/f/bl/put", b"anew");
    assert_eq!(put(&host, "/f/bl/get", b"").text(), "anew");
    put(&host, "/f/bl/put?key=..%2F..%2Fadmin.token", b"harmless");
    assert_eq!(put(&host, "/f/bl/list", b"").text(), "../../admin.token,empty,k");
    for key in ["k", "empty", "..%2F..%2Fadmin.token", "gone"] {
        put(&host, &format!("/f/bl/delete?key={key}"), b"");
    }
    assert_eq!((put(&host, "/f/bl/list", b"").text(), files(&host)), ("", 0));
}

#[test]
fn containers_are_their_apps_and_named_by_manifests() {
    let host = Host::start();
    let bytes = std::fs::read(component("state")).unwrap();
    host.deploy_bytes("nothing", &bytes, "");
    host.deploy_bytes("kv", &bytes, "[allow]\nkv = [\"carts\"]\n");
    host.deploy_bytes("one", &bytes, PICTURES);
    for path in ["/nothing/bl/put", "/kv/bl/put", "/one/bl/put?place=others"] {
        let refused = host.call("POST", path, b"x");
        assert_eq!(refused.status, 418, "{refused:?}");
        assert!(refused.text().contains("add it to the function's gust.toml: [allow] blob = ["), "{refused:?}");
    }
    put(&host, "/one/bl/put", b"ours");
    host.api("PUT", "/v1/apps/shop", "application/json", b"{}");
    assert_eq!(host.api("PUT", "/v1/apps/shop/functions/one", "application/json", b"{}").status / 100, 2);
    assert_eq!(host.get("/~shop/one/bl/get").status, 404);
}

#[test]
fn a_large_blob_goes_through_in_pieces() {
    let host = Host::start();
    host.deploy_as("f", "state", &format!("{PICTURES}[limits]\nmemory_mib = 16\n"));
    put(&host, "/f/bl/stream?n=1", b"");
    let before = host.rss_mib();
    put(&host, "/f/bl/stream?n=64", b"");
    let sum: u64 = (0..1_u64 << 20).map(|n| n % 251).sum();
    assert_eq!(put(&host, "/f/bl/count", b"").text(), format!("{} {}", 64 << 20, 64 * sum));
    assert!(host.rss_mib() < before + 32, "{} MiB, and {before} before", host.rss_mib());
    // More than the guest could hold.
    let refused = host.get("/f/bl/get");
    assert_ne!(refused.status, 200);
}

#[test]
fn what_is_not_finished_is_not_there_and_leaves_nothing() {
    let host = Host::start();
    host.deploy_as("f", "state", PICTURES);
    put(&host, "/f/bl/put", b"before");
    put(&host, "/f/bl/abandon", b"after");
    assert_eq!(put(&host, "/f/bl/get", b"").text(), "before");
    until("what was abandoned is gone", || files(&host) == 1);
    std::fs::write(host.dir.join("blobs/half"), b"half").unwrap();
    let host = host.kill_and_restart();
    assert_eq!((put(&host, "/f/bl/get", b"").text(), files(&host)), ("before", 1));
}

#[test]
fn blobs_count_towards_the_quota() {
    let host = Host::start();
    host.deploy_as("f", "state", PICTURES);
    let spec = br#"{"quotas": {"storage_mib": 2}}"#;
    assert_eq!(host.api("PUT", "/v1/apps/default", "application/json", spec).status, 200);
    let refused = host.call("POST", "/f/bl/stream?n=3", b"");
    assert!(refused.status == 418 && refused.text().contains("its quota storage_mib is 2"), "{refused:?}");
    until("nothing is left of it", || files(&host) == 0);
    put(&host, "/f/bl/stream?n=1", b"");
}
