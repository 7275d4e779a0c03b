//! Key-values: what functions keep in buckets, and who may reach it.

use std::{
    thread,
    time::{Duration, Instant},
};

use gust_core::state::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use serde_json::json;

use crate::fixture::{Answer, Host, until};

const CARTS: &str = "[allow]\nkv = [\"carts\"]\n";

fn set(host: &Host, path: &str, value: &[u8]) -> Answer {
    let answer = host.call("POST", path, value);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer
}

fn value(host: &Host, path: &str) -> Option<Vec<u8>> {
    let answer = host.get(path);
    match answer.status {
        200 => Some(answer.body),
        404 => None,
        _ => panic!("{path}: {answer:?}"),
    }
}

#[test]
fn nothing_is_reached_that_the_manifest_does_not_name() {
    let host = Host::start();
    host.deploy_as("nothing", "state", "");
    host.deploy_as("carts", "state", CARTS);
    for path in
        ["/nothing/kv/get", "/carts/kv/get?place=others", "/carts/kv/get?place=..%2Fcarts", "/carts/kv/get?place="]
    {
        let refused = host.get(path);
        assert_eq!(refused.status, 418, "{path}: {refused:?}");
        assert!(refused.text().contains("[allow] kv = ["), "{refused:?}");
    }
    assert_eq!(host.get("/nothing/dr/get").json()["detail"], "Error::AccessDenied");
    let line = host.logged(|line| line["message"].as_str().is_some_and(|text| text.contains("gust.toml: [allow]")));
    assert_eq!(
        line["message"],
        "\"carts\" is not allowed; add it to the function's gust.toml: [allow] kv = [\"carts\"]"
    );
    let init = host.deploy_as("early", "state", &format!("{CARTS}[env]\nINIT = \"kv\""));
    assert_eq!((init.status, init.code().as_str()), (422, "component.init_failed"), "an init reaches no state");
}

#[test]
fn functions_of_an_app_share_a_bucket_and_nobody_else_sees_it() {
    let host = Host::start();
    assert_eq!(host.api("PUT", "/v1/apps/shop", "application/json", b"{}").status, 201);
    let bytes = std::fs::read(crate::fixture::component("state")).unwrap();
    host.deploy_bytes("one", &bytes, CARTS);
    host.deploy_bytes("two", &bytes, CARTS);
    assert_eq!(host.api("PUT", "/v1/apps/shop/functions/two", "application/json", b"{}").status / 100, 2);
    set(&host, "/one/kv/set", b"ours");
    assert_eq!(value(&host, "/two/kv/get").unwrap(), b"ours");
    assert_eq!(value(&host, "/~shop/two/kv/get"), None);
    set(&host, "/~shop/two/kv/set", b"theirs");
    assert_eq!(
        (value(&host, "/one/kv/get").unwrap(), value(&host, "/~shop/two/kv/get").unwrap()),
        (b"ours".to_vec(), b"theirs".to_vec())
    );
    assert_eq!(host.api("DELETE", "/v1/apps/shop/functions/two", "", b"").status / 100, 2);
    assert_eq!(host.api("DELETE", "/v1/apps/shop", "", b"").status, 204);
    host.api("PUT", "/v1/apps/shop", "application/json", b"{}");
    host.api("PUT", "/v1/apps/shop/functions/two", "application/json", b"{}");
    assert_eq!(value(&host, "/~shop/two/kv/get"), None, "an app takes what it kept along");
    assert_eq!(value(&host, "/one/kv/get").unwrap(), b"ours");
}

#[test]
fn both_releases_see_the_same() {
    let host = Host::start();
    host.deploy_as("f", "state", CARTS);
    set(&host, "/f/kv/set", b"by draft2");
    assert_eq!(value(&host, "/f/dr/get").unwrap(), b"by draft2");
    assert_eq!(set(&host, "/f/dr/increment?key=n&n=41", b"").text(), "41");
    assert_eq!(set(&host, "/f/kv/increment?key=n&n=1", b"").text(), "42");
    assert_eq!(set(&host, "/f/dr/batch?key=b&n=1000", b"x").text(), "-,b00001,b00002");
    let too_many = host.call("POST", "/f/dr/batch?key=b&n=1001", b"x");
    assert!(too_many.status == 418 && too_many.text().contains("at most 1000"), "{too_many:?}");
    // Two pages and a part of one.
    set(&host, "/f/dr/batch?key=c&n=1000", b"x");
    set(&host, "/f/dr/batch?key=d&n=500", b"x");
    let keys = |path: &str| set(&host, path, b"").text().split(',').map(str::to_owned).collect::<Vec<_>>();
    let (draft, draft2) = (keys("/f/dr/keys"), keys("/f/kv/keys"));
    assert_eq!((draft.len(), draft.is_sorted()), (2 + 999 + 999 + 499, true));
    assert_eq!(draft, draft2);
}

#[test]
fn hostile_keys_and_values_are_stored_or_refused() {
    let host = Host::start();
    host.deploy_as("f", "state", CARTS);
    let of = |op: &str, key: &str| format!("/f/kv/{op}?key={key}");
    for key in [
        "..%2F..%2Fetc%2Fpasswd",
        "%00",
        "%27%3B+drop+table+pairs%3B--",
        "%E2%80%AE",
        "%25",
        "%FF%FF",
        &"k".repeat(KEY_BYTES_MAX),
    ] {
        set(&host, &of("set", key), key.as_bytes());
        assert_eq!(value(&host, &of("get", key)).unwrap(), key.as_bytes());
    }
    for (key, what) in [("", "empty"), (&"k".repeat(KEY_BYTES_MAX + 1), "at most 1024")] {
        for op in ["set", "get", "exists", "delete", "increment", "append"] {
            let refused = host.call("POST", &of(op, key), b"1");
            assert!(refused.status == 418 && refused.text().contains(what), "{op}: {refused:?}");
        }
    }
    set(&host, &of("set", "large"), &vec![7; VALUE_BYTES_MAX]);
    let refused = host.call("POST", &of("set", "large"), &vec![7; VALUE_BYTES_MAX + 1]);
    assert!(refused.status == 418 && refused.text().contains("at most 1048576"), "{refused:?}");
    assert_eq!(value(&host, &of("get", "large")).unwrap().len(), VALUE_BYTES_MAX);
}

#[test]
fn what_was_answered_is_there_after_the_host_was_killed() {
    let host = Host::start();
    host.deploy_as("f", "state", CARTS);
    let mut host = host;
    for round in 0..3 {
        let answered = thread::scope(|scope| {
            let host = &host;
            let writers = (0..8).map(|writer| {
                scope.spawn(move || {
                    let key = |n: u32| format!("r{round}w{writer}n{n}");
                    (0..25)
                        .map(key)
                        .inspect(|key| drop(set(host, &format!("/f/kv/set?key={key}"), key.as_bytes())))
                        .collect::<Vec<_>>()
                })
            });
            writers.collect::<Vec<_>>().into_iter().flat_map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
        });
        host = host.kill_and_restart();
        for key in answered {
            assert_eq!(value(&host, &format!("/f/kv/get?key={key}")).as_deref(), Some(key.as_bytes()));
        }
    }
}

#[test]
fn what_is_set_for_a_time_is_gone_then() {
    let host = Host::start();
    let manifest = "[allow]\nkv = [\"carts\", \"sessions\"]\n[kv.sessions]\nttl = \"1s\"\n";
    host.deploy_as("f", "state", manifest);
    let began = Instant::now();
    set(&host, "/f/kv/set?place=sessions", b"x");
    set(&host, "/f/kv/set-for?n=60000&key=long", b"x");
    set(&host, "/f/kv/set-for?n=1&key=short", b"x");
    set(&host, "/f/kv/set?key=ever", b"x");
    until("it is gone", || value(&host, "/f/kv/get?place=sessions").is_none());
    assert!(began.elapsed() >= Duration::from_secs(1), "it went too soon");
    assert_eq!(set(&host, "/f/kv/keys", b"").text(), "ever,long");
    let refused = host.call("POST", "/f/kv/set-for?n=0", b"x");
    assert!(refused.status == 418 && refused.text().contains("at least a millisecond"), "{refused:?}");
}

#[test]
fn no_update_is_lost_among_many_requests() {
    let host = Host::start();
    host.deploy_as("f", "state", CARTS);
    thread::scope(|scope| {
        for writer in b'a'..b'i' {
            let host = &host;
            scope.spawn(move || (0..10).for_each(|_| drop(set(host, "/f/kv/append", &[writer]))));
        }
    });
    let mut kept = value(&host, "/f/kv/get").unwrap();
    kept.sort_unstable();
    let expected: Vec<u8> = (b'a'..b'i').flat_map(|writer| [writer; 10]).collect();
    assert_eq!(kept, expected);
}

#[test]
fn an_app_stores_as_much_as_its_quota_and_reads_on() {
    let host = Host::start();
    host.deploy_as("f", "state", CARTS);
    let quota = |mib: u32| {
        let spec = json!({"quotas": {"storage_mib": mib}}).to_string();
        assert_eq!(host.api("PUT", "/v1/apps/default", "application/json", spec.as_bytes()).status, 200);
    };
    quota(2);
    set(&host, "/f/kv/set?key=a", &vec![1; 1 << 20]);
    let refused = host.call("POST", "/f/kv/set?key=b", &vec![1; 1 << 20]);
    assert_eq!(refused.status, 418, "{refused:?}");
    assert_eq!(refused.json()["detail"], "the app has no room for it: its quota storage_mib is 2");
    assert_eq!(value(&host, "/f/kv/get?key=a").unwrap().len(), 1 << 20);
    quota(3);
    set(&host, "/f/kv/set?key=b", &vec![1; 1 << 20]);
    set(&host, "/f/kv/delete?key=a", b"");
    set(&host, "/f/kv/set?key=c", &vec![1; 1 << 20]);
}

#[test]
fn instances_that_leave_handles_are_not_put_back_and_others_are() {
    let host = Host::start();
    host.deploy_as("f", "state", CARTS);
    for n in 0..20 {
        set(&host, &format!("/f/kv/set?key={n}"), b"x");
    }
    assert_eq!(host.instance_of("f").0, "rewind", "{:?}", host.instance_of("f"));
    set(&host, "/f/kv/leave", b"");
    assert_eq!(value(&host, "/f/kv/get?key=7").unwrap(), b"x");
}

#[test]
fn lines_with_a_level_come_to_the_log() {
    let host = Host::start();
    host.deploy_as("f", "state", "");
    assert_eq!(host.get("/f/unknown").status, 404);
    let line = host.logged(|line| line["target"] == "gust::guest");
    assert_eq!(line["message"], "[warn] there is no\\n/unknown");
}
