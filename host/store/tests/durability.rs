//! What the store promises, seen from outside: what was acknowledged is there, what was not leaves nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use gust_core::{FunctionName, Manifest};
use gust_store::{Published, Store, StoreError, StoredVersion};

/// Set for the process that is to be killed: where its store is.
const VICTIM_DIR: &str = "GUST_STORE_TEST_VICTIM_DIR";

fn publish(store: &Store, name: &str, component: &[u8]) -> Published {
    let mut staging = store.stage(1 << 20).unwrap();
    staging.write(component).unwrap();
    let name: FunctionName = name.parse().unwrap();
    store.publish(&name, staging.finish().sync().unwrap(), &Manifest::default(), 1).unwrap()
}

/// The versions in force, by name.
fn current(store: &Store) -> Vec<StoredVersion> {
    let mut current = Vec::new();
    store.each_current(|version| current.push(version)).unwrap();
    current.sort_by(|a: &StoredVersion, b| a.name.cmp(&b.name));
    current
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
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
    assert!(store.delete(&name).unwrap());
    assert!(!store.delete(&name).unwrap());
    assert!(current(&store).is_empty());
    assert!(files(&dir.path().join("components")).is_empty());
    assert_eq!(publish(&store, "a", b"one").version.version, 3);
}

#[test]
fn a_component_shared_by_two_functions_outlives_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let digest = publish(&store, "a", b"shared").version.digest;
    publish(&store, "b", b"shared");
    store.delete(&"a".parse().unwrap()).unwrap();
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
        let error = Store::open(dir.path()).err().unwrap().to_string();
        assert!(error.contains("gust.db") && error.contains("Put it back"), "{error}");
        assert_eq!(files(&dir.path().join("components")).len(), 1);
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

/// Not a test of its own: what the killed process does.
#[test]
fn victim() {
    let Ok(dir) = env::var(VICTIM_DIR) else { return };
    let store = Store::open(Path::new(&dir)).unwrap();
    for round in 0_u32.. {
        let published = publish(&store, &format!("f{}", round % 3), &round.to_le_bytes());
        println!("\nacknowledged {} {}", published.version.name, published.version.version);
    }
}

#[test]
fn what_was_acknowledged_survives_being_killed() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=5 {
        let mut victim = Command::new(env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture"])
            .env(VICTIM_DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut acknowledged: Vec<String> =
            lines.filter(|line| line.starts_with("acknowledged")).take(round * 7).collect();
        // SIGKILL, somewhere within the next publish.
        victim.kill().unwrap();
        victim.wait().unwrap();
        let last = acknowledged.pop().expect("it published");
        let mut words = last.split(' ').skip(1);
        let (name, version): (FunctionName, u64) =
            (words.next().unwrap().parse().unwrap(), words.next().unwrap().parse().unwrap());

        let store = Store::open(dir.path()).unwrap();
        let current = current(&store);
        let found = current.iter().find(|stored| stored.name == name).expect("the function is there");
        assert!(found.version >= version, "version {version} was acknowledged, {} is there", found.version);
        for stored in &current {
            store.verify(&stored.digest).unwrap();
        }
        assert!(files(&dir.path().join("tmp")).is_empty());
    }
}
