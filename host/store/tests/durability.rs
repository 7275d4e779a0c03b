//! What the store promises, seen from outside: what was acknowledged is there, what was not leaves nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{fs, os::unix::fs::PermissionsExt as _};

use common::{current, files, publish, release, try_publish};
use gust_core::{AliasName, FunctionName, Traffic};
use gust_store::{Change, Release, Store, StoreError, StoredFunction};

fn function(store: &Store, name: &str) -> StoredFunction {
    store.function(&name.parse().unwrap()).unwrap().unwrap()
}

fn traffic(store: &Store, name: &str, alias: &str) -> Traffic {
    let function = function(store, name);
    function.aliases.into_iter().find(|stored| stored.alias.as_str() == alias).unwrap().traffic
}

#[test]
fn versions_grow_over_restarts_and_deletes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(publish(&store, "a", b"one").version.version, 1);
    assert_eq!(publish(&store, "a", b"two").version.version, 2);
    let same = publish(&store, "a", b"two");
    assert_eq!((same.version.version, same.is_new), (2, false));
    drop(store);

    let store = Store::open(dir.path()).unwrap();
    let name: FunctionName = "a".parse().unwrap();
    assert_eq!(store.versions(&name).unwrap().iter().map(|v| v.version).collect::<Vec<_>>(), [2, 1]);
    assert!(store.delete(&name, None).unwrap());
    assert!(!store.delete(&name, None).unwrap());
    assert!(current(&store).is_empty());
    assert!(files(&dir.path().join("components")).is_empty());
    assert_eq!(publish(&store, "a", b"one").version.version, 3);
}

#[test]
fn the_oldest_versions_go_but_none_that_an_alias_points_to() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    publish(&store, "a", b"1");
    let canary: AliasName = "canary".parse().unwrap();
    try_publish(&store, "a", b"2", &Release { alias: Some(canary), ..release() }).unwrap();
    let two = Release { versions_kept: 2, ..release() };
    for version in [b"3", b"4", b"5"] {
        try_publish(&store, "a", version, &two).unwrap();
    }
    assert_eq!(function(&store, "a").kept, [2, 4, 5]);
    assert_eq!(files(&dir.path().join("components")).len(), 3);
}

#[test]
fn aliases_point_where_a_release_says() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let share = Release { weight: Some(10), ..release() };
    assert!(matches!(try_publish(&store, "a", b"1", &share), Err(StoreError::NothingToSplitWith)));
    assert!(files(&dir.path().join("components")).is_empty());
    publish(&store, "a", b"1");
    let canary = Release { alias: Some("canary".parse().unwrap()), ..share };
    try_publish(&store, "a", b"2", &canary).unwrap();
    assert_eq!(traffic(&store, "a", "live"), Traffic::split(1, 2, 10, None));
    assert_eq!(traffic(&store, "a", "canary"), Traffic::all_to(2));
    let again = publish(&store, "a", b"2");
    assert_eq!((again.version.version, again.is_new), (2, false), "the newest version is not made again");
    assert_eq!(traffic(&store, "a", "live"), Traffic::all_to(2));
    let live = AliasName::live();
    let past = store.alias_changes(&"a".parse().unwrap(), &live).unwrap();
    assert_eq!(
        past.iter().map(|change| change.before.clone()).collect::<Vec<_>>(),
        [Some(Traffic::split(1, 2, 10, None)), Some(Traffic::all_to(1)), None]
    );
}

#[test]
fn a_change_that_is_refused_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    publish(&store, "a", b"1");
    publish(&store, "a", b"2");
    let before = function(&store, "a");
    let (name, live) = ("a".parse().unwrap(), AliasName::live());
    let change = Change { after: Some(Traffic::all_to(1)), watch: None, why: "why".to_owned(), unix_ms: 2 };
    let refuse = |_: &StoredFunction| Err(StoreError::Vanished);
    assert!(store.change_alias(&name, &live, &change, None, refuse).is_err());
    let stale = Some(before.generation - 1);
    assert!(matches!(store.change_alias(&name, &live, &change, stale, |_| Ok(())), Err(StoreError::Changed)));
    let stale = Release { if_generation: stale, ..release() };
    assert!(matches!(try_publish(&store, "a", b"3", &stale), Err(StoreError::Changed)));
    let full = Release { stored_bytes_max: Some(2), ..release() };
    assert!(matches!(try_publish(&store, "a", b"3", &full), Err(StoreError::QuotaStored { bytes: 3, .. })));
    assert_eq!(function(&store, "a"), before);
    assert_eq!(files(&dir.path().join("components")).len(), 2);
    store.change_alias(&name, &live, &change, Some(before.generation), |_| Ok::<_, StoreError>(())).unwrap();
    assert_eq!(traffic(&store, "a", "live"), Traffic::all_to(1));
}

#[test]
fn a_component_shared_by_two_functions_outlives_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let digest = publish(&store, "a", b"shared").version.digest;
    publish(&store, "b", b"shared");
    store.delete(&"a".parse().unwrap(), None).unwrap();
    store.verify(&digest).unwrap();
}

#[test]
fn a_component_that_was_damaged_is_whole_again_when_it_is_published_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let digest = publish(&store, "a", b"whole").version.digest;
    for damage in [&b"damaged"[..], b""] {
        fs::write(store.component_path(&digest), damage).unwrap();
        assert!(matches!(store.verify(&digest), Err(StoreError::Corrupt(_))));
        assert!(!publish(&store, "a", b"whole").is_new);
        store.verify(&digest).unwrap();
    }
    fs::remove_file(store.component_path(&digest)).unwrap();
    publish(&store, "a", b"whole");
    store.verify(&digest).unwrap();
}

#[test]
fn components_outlive_a_lost_database() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("gust.db");
    publish(&Store::open(dir.path()).unwrap(), "a", b"one");
    let kept = fs::read(&database).unwrap();
    for lost in [Some(&b""[..]), None] {
        fs::remove_file(&database).unwrap();
        if let Some(bytes) = lost {
            fs::write(&database, bytes).unwrap();
        }
        // What the last commits may be in stays, too.
        let log = dir.path().join("gust.db-wal");
        fs::write(&log, b"commits").unwrap();
        for _ in 0..2 {
            let error = Store::open(dir.path()).err().unwrap().to_string();
            assert!(error.contains("gust.db") && error.contains("Put it back"), "{error}");
        }
        assert_eq!(files(&dir.path().join("components")).len(), 1);
        assert_eq!(fs::read(&log).unwrap(), b"commits");
        fs::remove_file(&log).unwrap();
        fs::write(&database, &kept).unwrap();
    }
    assert_eq!(current(&Store::open(dir.path()).unwrap()).len(), 1);
}

#[test]
fn one_manifest_that_cannot_be_read_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    publish(&store, "a", b"one");
    publish(&store, "b", b"two");
    drop(store);
    let database = rusqlite::Connection::open(dir.path().join("gust.db")).unwrap();
    database.execute("update versions set manifest = '{\"later\": 1}' where name = 'a'", []).unwrap();
    drop(database);
    let store = Store::open(dir.path()).unwrap();
    let current = current(&store);
    assert!(current[0].manifest.as_ref().unwrap_err().contains("later"));
    assert!(current[1].manifest.is_ok());
    assert!(publish(&store, "a", b"one").is_new, "deploying again mends it");
}

#[test]
fn an_empty_secret_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    fs::write(dir.path().join("admin.token"), "\n").unwrap();
    fs::set_permissions(dir.path().join("admin.token"), fs::Permissions::from_mode(0o600)).unwrap();
    let error = store.admin_token().unwrap_err().to_string();
    assert!(error.contains("it is empty"), "{error}");
}

#[test]
fn interrupted_uploads_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut staging = store.stage(4).unwrap();
    staging.write(b"half").unwrap();
    assert!(matches!(staging.write(b"x"), Err(StoreError::TooLarge(4))));
    drop(staging);
    assert!(files(&dir.path().join("tmp")).is_empty());
    // As a crash would leave them: an upload, and a component that never came to be a version.
    fs::write(dir.path().join("tmp/left"), b"x").unwrap();
    fs::write(dir.path().join("components/left.wasm"), b"x").unwrap();
    drop(store);
    Store::open(dir.path()).unwrap();
    assert!(files(&dir.path().join("tmp")).is_empty());
    assert!(files(&dir.path().join("components")).is_empty());
}

#[test]
fn a_flipped_bit_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let digest = publish(&store, "a", b"component").version.digest;
    fs::write(store.component_path(&digest), b"cOmponent").unwrap();
    assert!(matches!(store.verify(&digest), Err(StoreError::Corrupt(_))));
}

#[test]
fn one_host_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path()).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Locked(_))));
    drop(first);
    Store::open(dir.path()).unwrap();
}

#[test]
fn a_directory_that_cannot_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = Store::open(&file.join("data")).err().unwrap().to_string();
    assert!(error.contains("file/data"), "{error}");
}

#[test]
fn a_later_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let database = rusqlite::Connection::open(dir.path().join("gust.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    assert!(matches!(Store::open(dir.path()), Err(StoreError::NewerSchema { found: 99, .. })));
}

#[test]
fn secrets_stay_the_same_and_private() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let token = store.admin_token().unwrap();
    assert_eq!(token.len(), 64);
    assert_eq!(store.admin_token().unwrap(), token);
    assert_eq!(store.key("artifact").unwrap(), store.key("artifact").unwrap());
    let path = dir.path().join("admin.token");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = store.admin_token().unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
}
