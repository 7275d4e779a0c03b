//! Key-values and blobs as their users see them: places kept apart, expiry, swaps, quotas, and what a start finds.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use gust_core::{
    AppName, Code, Problem,
    state::{Change, Changed},
};
use tempfile::TempDir;

use super::*;
use crate::Store;

const KEPT: Kept = Kept { ttl: None, bytes_max: 1 << 30 };

fn store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

fn place(name: &str) -> Place {
    Place::new(&AppName::default_app(), &name.parse().unwrap())
}

fn set(key: &str, value: &[u8]) -> Change {
    Change::Set(vec![(key.to_owned(), value.to_vec())])
}

fn value(state: &State, place: &Place, key: &str) -> Option<Vec<u8>> {
    state.get(place, key).unwrap().map(|versioned| versioned.value)
}

fn code(error: StoreError) -> Code {
    Problem::from(error).code
}

fn written(state: &State, content: &[u8]) -> BlobWritten {
    let mut blob = state.begin_blob(&AppName::default_app(), 1 << 30).unwrap();
    blob.write(content).unwrap();
    blob.finish().unwrap()
}

fn content(state: &State, place: &Place, name: &str) -> Option<Vec<u8>> {
    let blob = state.read_blob(place, name).unwrap()?;
    let mut bytes = vec![0; blob.size_bytes as usize];
    assert_eq!(blob.read_at(&mut bytes, 0).unwrap(), bytes.len());
    Some(bytes)
}

#[test]
fn an_apps_places_are_those_with_something_in_them() {
    let (_dir, store) = store();
    let state = store.state();
    let places =
        |kind, prefix: &str, after: &str, max| state.places(&AppName::default_app(), kind, prefix, after, max).unwrap();
    assert!(places(PlaceKind::Bucket, "", "", 10).is_empty());
    // Others' are before and after them.
    for app in ["defaul", "default-2", "a", "z"] {
        let elsewhere = Place::new(&app.parse().unwrap(), &"elsewhere".parse().unwrap());
        state.change_and_wait(&elsewhere, set("k", b"v"), KEPT).unwrap();
    }
    for bucket in ["carts", "cards", "visits", "a", "z9"] {
        for key in ["", "k", "k2"] {
            state.change_and_wait(&place(bucket), set(&format!("x{key}"), b"v"), KEPT).unwrap();
        }
    }
    assert_eq!(places(PlaceKind::Bucket, "", "", 10), ["a", "cards", "carts", "visits", "z9"]);
    assert_eq!(places(PlaceKind::Bucket, "ca", "", 10), ["cards", "carts"]);
    assert_eq!(places(PlaceKind::Bucket, "ca", "cards", 10), ["carts"]);
    assert_eq!(places(PlaceKind::Bucket, "", "carts", 1), ["visits"]);
    assert!(places(PlaceKind::Bucket, "ca", "d", 10).is_empty());
    assert!(places(PlaceKind::Bucket, "", "z9", 10).is_empty());
    assert!(places(PlaceKind::Container, "", "", 10).is_empty());
    state.keep_blob(&place("pictures"), "a.jpg", written(state, b"a")).unwrap();
    assert_eq!(places(PlaceKind::Container, "", "", 10), ["pictures"]);
    let all = Change::Delete(["x", "xk", "xk2"].map(str::to_owned).to_vec());
    state.change_and_wait(&place("carts"), all, KEPT).unwrap();
    assert_eq!(places(PlaceKind::Bucket, "c", "", 10), ["cards"]);
}

#[test]
fn what_is_set_is_read_in_its_place_alone() {
    let (_dir, store) = store();
    let (state, carts) = (store.state(), place("carts"));
    for key in ["a", "../../etc/passwd", "a\0b", "ключ", "%2e%2e", "'; drop table pairs; --"] {
        assert_eq!(value(state, &carts, key), None);
        assert_eq!(state.change_and_wait(&carts, set(key, key.as_bytes()), KEPT).unwrap(), Changed::Done);
        assert_eq!(value(state, &carts, key).unwrap(), key.as_bytes());
        assert_eq!(value(state, &place("others"), key), None);
        let elsewhere = Place::new(&"shop".parse().unwrap(), &"carts".parse().unwrap());
        assert_eq!(value(state, &elsewhere, key), None);
    }
    state.change_and_wait(&carts, Change::Delete(vec!["a".to_owned(), "gone".to_owned()]), KEPT).unwrap();
    assert!(!state.exists(&carts, "a").unwrap() && state.exists(&carts, "a\0b").unwrap());
}

#[test]
fn keys_are_listed_in_order_and_by_the_page() {
    let (_dir, store) = store();
    let (state, carts) = (store.state(), place("carts"));
    let pairs = (0..250).map(|n| (format!("k{n:03}"), vec![])).collect();
    state.change_and_wait(&carts, Change::Set(pairs), KEPT).unwrap();
    state.change_and_wait(&carts, set("other", b""), KEPT).unwrap();
    let (mut after, mut keys) = (String::new(), Vec::new());
    loop {
        let page = state.keys(&carts, "k", &after, 100).unwrap();
        let Some(last) = page.last() else { break };
        after.clone_from(last);
        keys.extend(page);
    }
    assert_eq!(keys, (0..250).map(|n| format!("k{n:03}")).collect::<Vec<_>>());
    assert_eq!(state.keys(&carts, "", "k249", 100).unwrap(), ["other"]);
}

#[test]
fn a_swap_is_made_only_where_nothing_was_changed_since() {
    let (_dir, store) = store();
    let (state, carts) = (store.state(), place("carts"));
    let swap = |version, value: &[u8]| {
        let change = Change::Swap { key: "k".to_owned(), value: value.to_vec(), version };
        state.change_and_wait(&carts, change, KEPT).unwrap()
    };
    assert_eq!(swap(None, b"1"), Changed::Done);
    assert_eq!(swap(None, b"2"), Changed::Stale);
    let first = state.get(&carts, "k").unwrap().unwrap();
    assert_eq!(swap(Some(first.version), b"2"), Changed::Done);
    assert_eq!(swap(Some(first.version), b"3"), Changed::Stale);
    // Removed and set again as it was: it is another one all the same.
    state.change_and_wait(&carts, Change::Delete(vec!["k".to_owned()]), KEPT).unwrap();
    state.change_and_wait(&carts, set("k", b"1"), KEPT).unwrap();
    assert_eq!(swap(Some(first.version), b"3"), Changed::Stale);
}

#[test]
fn numbers_are_counted_together() {
    let (_dir, store) = store();
    let (store, carts) = (Arc::new(store), place("carts"));
    let increment = |by| Change::Increment { key: "n".to_owned(), by, range: (i64::MIN.into(), i64::MAX.into()) };
    let threads = (0..8).map(|_| {
        let (store, carts) = (store.clone(), carts.clone());
        thread::spawn(move || {
            for _ in 0..100 {
                store.state().change_and_wait(&carts, increment(1), KEPT).unwrap();
            }
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    let state = store.state();
    assert_eq!(state.change_and_wait(&carts, increment(-1), KEPT).unwrap(), Changed::Number(799));
    assert_eq!(value(state, &carts, "n").unwrap(), b"799");
    assert!(state.change_and_wait(&carts, increment(i64::MAX.into()), KEPT).is_err(), "it would be too large");
    state.change_and_wait(&carts, set("n", b"x"), KEPT).unwrap();
    assert_eq!(code(state.change_and_wait(&carts, increment(1), KEPT).unwrap_err()), Code::StateInvalid);
    assert_eq!(value(state, &carts, "n").unwrap(), b"x");
}

#[test]
fn what_expired_is_not_read_and_goes() {
    let (_dir, store) = store();
    let (state, carts) = (store.state(), place("carts"));
    let shortly = Kept { ttl: Some(Duration::from_millis(300)), ..KEPT };
    state.change_and_wait(&carts, set("stays", b"x"), KEPT).unwrap();
    let stored_bytes = state.stored_bytes(carts.app());
    state.change_and_wait(&carts, set("goes", b"x"), shortly).unwrap();
    assert!(state.exists(&carts, "goes").unwrap());
    let until = Instant::now() + Duration::from_secs(20);
    while state.stored_bytes(carts.app()) > stored_bytes {
        assert!(Instant::now() < until, "it was not removed");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((value(state, &carts, "goes"), value(state, &carts, "stays").unwrap()), (None, b"x".to_vec()));
    // Set again for ever, it stays.
    state.change_and_wait(&carts, set("k", b"1"), Kept { ttl: Some(Duration::from_millis(1)), ..KEPT }).unwrap();
    thread::sleep(Duration::from_millis(5));
    assert_eq!((value(state, &carts, "k"), state.keys(&carts, "", "", 10).unwrap()), (None, vec!["stays".to_owned()]));
    let swap = Change::Swap { key: "k".to_owned(), value: b"2".to_vec(), version: None };
    assert_eq!(state.change_and_wait(&carts, swap, KEPT).unwrap(), Changed::Done, "what expired is as good as gone");
}

#[test]
fn nothing_is_stored_beyond_the_quota_and_room_comes_back() {
    let (_dir, store) = store();
    let (state, carts) = (store.state(), place("carts"));
    let kept = Kept { ttl: None, bytes_max: 2 << 20 };
    state.change_and_wait(&carts, set("a", &[0; 1 << 20]), kept).unwrap();
    let both = Change::Set(vec![("b".to_owned(), vec![1]), ("c".to_owned(), vec![0; 1 << 20])]);
    let refused = state.change_and_wait(&carts, both, kept).unwrap_err();
    assert_eq!(refused.to_string(), "the app has no room for it: its quota storage_mib is 2");
    assert_eq!((code(refused), value(state, &carts, "b")), (Code::QuotaStorage, None));
    state.change_and_wait(&carts, set("a", &[1; 1 << 20]), kept).unwrap();
    let mut blob = state.begin_blob(carts.app(), 2 << 20).unwrap();
    blob.write(&[0; 900 << 10]).unwrap();
    assert_eq!(code(blob.write(&[0; 200 << 10]).unwrap_err()), Code::QuotaStorage);
    drop(blob);
    state.change_and_wait(&carts, Change::Delete(vec!["a".to_owned()]), kept).unwrap();
    assert_eq!(state.stored_bytes(carts.app()), 0);
}

#[test]
fn many_that_write_at_once_share_the_wait_for_the_disk() {
    let (_dir, store) = store();
    let (answer, answers) = std::sync::mpsc::channel();
    for n in 0..5000 {
        let answer = answer.clone();
        let key = format!("k{}", n % 700);
        store.state().change(&place("carts"), set(&key, &[7; 100]), KEPT, move |result| answer.send(result).unwrap());
    }
    drop(answer);
    assert_eq!(answers.iter().map(|result| result.unwrap()).filter(|changed| *changed == Changed::Done).count(), 5000);
    assert_eq!(store.state().keys(&place("carts"), "", "", 1000).unwrap().len(), 700);
}

#[test]
fn blobs_are_kept_replaced_copied_moved_and_removed() {
    let (dir, store) = store();
    let (state, pictures, others) = (store.state(), place("pictures"), place("others"));
    assert!(state.keep_blob(&pictures, "a/../b", written(state, b"one")).unwrap());
    let open = state.read_blob(&pictures, "a/../b").unwrap().unwrap();
    assert!(!state.keep_blob(&pictures, "a/../b", written(state, b"second")).unwrap());
    let mut first = [0; 8];
    assert_eq!((open.read_at(&mut first, 0).unwrap(), &first[..3]), (3, b"one".as_slice()), "who reads goes on");
    state.copy_blob((&pictures, "a/../b"), (&others, "c"), 1 << 30).unwrap();
    state.move_blob((&pictures, "a/../b"), (&pictures, "d")).unwrap();
    assert_eq!(
        (content(state, &pictures, "a/../b"), content(state, &pictures, "d").unwrap()),
        (None, b"second".to_vec())
    );
    assert_eq!(content(state, &others, "c").unwrap(), b"second");
    assert!(state.move_blob((&pictures, "gone"), (&pictures, "d")).is_err());
    assert_eq!(std::fs::read_dir(dir.path().join(BLOBS_DIR)).unwrap().count(), 2);
    assert_eq!(state.remove_blobs(&pictures, &["d".to_owned(), "gone".to_owned()]).unwrap(), 1);
    state.clear_blobs(&others).unwrap();
    assert_eq!(state.stored_bytes(pictures.app()), 0);
    assert_eq!(std::fs::read_dir(dir.path().join(BLOBS_DIR)).unwrap().count(), 0);
}

#[test]
fn a_start_finds_what_was_kept_and_removes_what_was_not() {
    let (dir, store) = store();
    let (carts, pictures) = (place("carts"), place("pictures"));
    store.state().change_and_wait(&carts, set("k", b"v"), KEPT).unwrap();
    store.state().keep_blob(&pictures, "p", written(store.state(), b"picture")).unwrap();
    let stored_bytes = store.state().stored_bytes(carts.app());
    drop(store);
    std::fs::write(dir.path().join(BLOBS_DIR).join("half"), b"half").unwrap();
    let store = Store::open(dir.path()).unwrap();
    let state = store.state();
    assert_eq!((value(state, &carts, "k").unwrap(), state.stored_bytes(carts.app())), (b"v".to_vec(), stored_bytes));
    assert_eq!(content(state, &pictures, "p").unwrap(), b"picture");
    assert!(!dir.path().join(BLOBS_DIR).join("half").exists());
    state.remove_app(carts.app()).unwrap();
    assert_eq!((value(state, &carts, "k"), content(state, &pictures, "p")), (None, None));
    assert_eq!(state.stored_bytes(carts.app()), 0);
}

#[test]
fn what_an_app_kept_that_is_gone_is_gone_at_the_next_start() {
    let (dir, store) = store();
    let place = Place::new(&"gone".parse().unwrap(), &"carts".parse().unwrap());
    store.state().change_and_wait(&place, set("k", b"v"), KEPT).unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(value(store.state(), &place, "k"), None);
}

#[test]
fn versions_go_on_over_a_start() {
    let (dir, store) = store();
    let carts = place("carts");
    store.state().change_and_wait(&carts, set("k", b"1"), KEPT).unwrap();
    let before = store.state().get(&carts, "k").unwrap().unwrap().version;
    store.state().change_and_wait(&carts, Change::Delete(vec!["k".to_owned()]), KEPT).unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    store.state().change_and_wait(&carts, set("k", b"1"), KEPT).unwrap();
    assert!(store.state().get(&carts, "k").unwrap().unwrap().version > before);
}
