//! What functions keep: in a backup as of its moment, restored with its accounts right, and refused where it is not whole.

use std::{
    thread,
    time::{Duration, Instant},
};

use gust_core::state::{Change, Changed};

use super::*;
use crate::{BlobCopy, Kept, Place, StateBackup};

const KEPT: Kept = Kept { ttl: None, bytes_max: 1 << 30 };

fn place(name: &str) -> Place {
    Place::new(&AppName::default_app(), &name.parse().unwrap())
}

impl Here {
    fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) {
        let change = Change::Set(vec![(key.to_owned(), value.to_vec())]);
        self.store.state().change_and_wait(&place("carts"), change, Kept { ttl, ..KEPT }).unwrap();
    }

    fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.store.state().get(&place("carts"), key).unwrap().map(|versioned| versioned.value)
    }

    fn put(&self, name: &str, content: &[u8]) {
        let mut blob = self.store.state().begin_blob(&AppName::default_app(), 1 << 30).unwrap();
        blob.write(content).unwrap();
        self.store.state().keep_blob(&place("pictures"), name, blob.finish().unwrap()).unwrap();
    }

    fn remove(&self, name: &str) {
        assert_eq!(self.store.state().remove_blobs(&place("pictures"), &[name.to_owned()]).unwrap(), 1);
    }

    fn content(&self, name: &str) -> Option<Vec<u8>> {
        let blob = self.store.state().read_blob(&place("pictures"), name).unwrap()?;
        let mut bytes = vec![0; blob.size_bytes as usize];
        assert_eq!(blob.read_at(&mut bytes, 0).unwrap(), bytes.len());
        Some(bytes)
    }

    fn stored_bytes(&self) -> u64 {
        self.store.state().stored_bytes(&AppName::default_app())
    }

    fn blob_files(&self) -> usize {
        self.files(crate::state::BLOBS_DIR).len()
    }

    fn restore(&self, backup: &Backup) {
        self.store.restore(&self.taken(backup).unwrap()).unwrap();
    }

    /// Opens its directory again.
    fn again(self) -> Self {
        let Self { store, _dir } = self;
        drop(store);
        Self { store: Store::open(_dir.path()).unwrap(), _dir }
    }
}

/// With two values and two blobs of the default app, and a value of another.
fn keeping() -> Here {
    let here = Here::new();
    here.store.set_app(&"shop".parse().unwrap(), &AppSpec::default(), None).unwrap();
    here.set("a", b"apples", None);
    here.set("b", b"", None);
    here.put("one", b"picture");
    here.put("empty", b"");
    let theirs = Place::new(&"shop".parse().unwrap(), &"carts".parse().unwrap());
    let change = Change::Set(vec![("a".to_owned(), b"theirs".to_vec())]);
    here.store.state().change_and_wait(&theirs, change, KEPT).unwrap();
    here
}

#[test]
fn what_is_kept_is_that_of_the_moment_and_nothing_else_is_afterwards() {
    let (here, there) = (keeping(), Here::new());
    let stored_bytes = here.stored_bytes();
    for key in ["a", "mine"] {
        there.set(key, b"mine", None);
    }
    there.put("one", b"mine");
    there.put("mine", b"mine");
    let backup = here.store.back_up().unwrap();
    here.set("a", b"pears", None);
    here.put("one", b"another picture");
    here.remove("empty");
    assert_eq!(here.blob_files(), 1, "what is gone is not kept for the backup's sake");
    let restoring = there.taken(&backup).unwrap();
    assert_eq!(restoring.contents().unwrap().state, Some(StateContents { key_values: 3, blobs: 2 }));
    there.store.restore(&restoring).unwrap();
    drop((backup, restoring));
    let check = |there: &Here| {
        assert_eq!((there.value("a").unwrap(), there.value("b").unwrap()), (b"apples".to_vec(), vec![]));
        assert_eq!((there.content("one").unwrap(), there.content("empty").unwrap()), (b"picture".to_vec(), vec![]));
        assert_eq!((there.value("mine"), there.content("mine")), (None, None));
        assert_eq!((there.stored_bytes(), there.blob_files()), (stored_bytes, 2));
        assert!(there.store.state().stored_bytes(&"shop".parse().unwrap()) > 0);
        there.leaves_nothing();
    };
    check(&there);
    check(&there.again());
    here.leaves_nothing();
}

/// The contents of a backup's blobs, by their names.
fn contents(backup: &StateBackup) -> Vec<(String, Vec<u8>)> {
    let mut contents = Vec::new();
    let read = |blob: BlobCopy| {
        contents.push((blob.name, fs::read(blob.path)?));
        Ok(())
    };
    backup.each_blob(read).unwrap();
    contents
}

#[test]
fn a_blob_that_goes_before_it_is_copied_is_still_in_the_backup() {
    let (here, dir) = (keeping(), tempfile::tempdir().unwrap());
    let moment = here.store.state().begin_backup(dir.path()).unwrap();
    here.remove("one");
    here.put("empty", b"no more");
    here.set("a", b"changed", None);
    assert_eq!(here.blob_files(), 3, "they wait");
    let backup = moment.copied().unwrap();
    assert_eq!(here.blob_files(), 1, "and are gone");
    let expected =
        [("empty", &b""[..]), ("one", b"picture")].map(|(name, content)| (name.to_owned(), content.to_vec()));
    assert_eq!(contents(&backup), expected);
    let database = Connection::open(backup.database()).unwrap();
    let row = "select value from pairs where key = 'a' and place = 'default/carts'";
    assert_eq!(database.query_row(row, [], |row| row.get::<_, Vec<u8>>(0)).unwrap(), b"apples");
}

#[test]
fn blobs_of_before_there_were_digests_get_theirs() {
    let (here, there) = (keeping(), Here::new());
    let database = Connection::open(here.store.dir().join("state.db")).unwrap();
    assert_eq!(database.execute("update blobs set digest = null", []).unwrap(), 2);
    there.restore(&here.store.back_up().unwrap());
    assert_eq!(there.content("one").unwrap(), b"picture");
}

#[test]
fn what_expired_does_not_come_back_and_what_will_goes_then() {
    let (here, there) = (Here::new(), Here::new());
    here.set("first", b"x", Some(Duration::from_millis(200)));
    here.set("second", b"x", Some(Duration::from_secs(3)));
    let backup = here.store.back_up().unwrap();
    let restoring = there.taken(&backup).unwrap();
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let until = Instant::now() + Duration::from_secs(30);
        while !is_so() {
            assert!(Instant::now() < until, "waited in vain until {what}");
            thread::sleep(Duration::from_millis(5));
        }
    };
    until("the first expired", &|| here.value("first").is_none());
    there.store.restore(&restoring).unwrap();
    let rows = |text: &str| -> i64 {
        let database = Connection::open(there.store.dir().join("state.db")).unwrap();
        database.query_row(text, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(rows("select count(*) from pairs where key = 'first'"), 0);
    until("the second is gone too", &|| there.stored_bytes() == 0);
    assert_eq!(there.value("second"), None);
    // What expired before it arrives is not even counted.
    assert_eq!(there.taken(&backup).unwrap().contents().unwrap().state.unwrap().key_values, 0);
}

#[test]
fn no_version_of_before_is_that_of_something_restored() {
    let (here, there) = (Here::new(), Here::new());
    here.set("k", b"here", None);
    there.set("k", b"there", None);
    let before = there.store.state().get(&place("carts"), "k").unwrap().unwrap();
    there.restore(&here.store.back_up().unwrap());
    let change = Change::Swap { key: "k".to_owned(), value: b"x".to_vec(), version: Some(before.version) };
    assert_eq!(there.store.state().change_and_wait(&place("carts"), change, KEPT).unwrap(), Changed::Stale);
    assert_eq!(there.value("k").unwrap(), b"here");
}

#[test]
fn quotas_hold_for_what_was_restored() {
    let (here, there) = (Here::new(), Here::new());
    here.set("k", &[0; 900 << 10], None);
    there.set("old", &[0; 900 << 10], None);
    there.restore(&here.store.back_up().unwrap());
    let set = |key: &str| {
        let change = Change::Set(vec![(key.to_owned(), vec![0; 200 << 10])]);
        there.store.state().change_and_wait(&place("carts"), change, Kept { ttl: None, bytes_max: 1 << 20 })
    };
    assert!(matches!(set("more"), Err(StoreError::QuotaStorage { .. })));
    set("k").unwrap();
    set("more").unwrap();
}

#[test]
fn a_restore_that_fails_in_the_end_leaves_what_is_kept() {
    let (here, there) = (keeping(), Here::new());
    there.set("mine", b"mine", None);
    there.put("mine", b"mine");
    let before = (there.stored_bytes(), there.files("blobs"));
    let restoring = there.taken(&here.store.back_up().unwrap()).unwrap();
    // The second of two.
    fs::remove_file(restoring.dir.path().join("state/2")).unwrap();
    assert!(matches!(there.store.restore(&restoring), Err(StoreError::Unwritten { .. })));
    assert_eq!((there.stored_bytes(), there.files("blobs")), before);
    assert_eq!((there.value("mine").unwrap(), there.content("mine").unwrap()), (b"mine".to_vec(), b"mine".to_vec()));
    assert_eq!(there.value("a"), None);
    there.set("mine", b"more", None);
}

#[test]
fn what_belongs_to_no_app_goes() {
    let (here, there) = (keeping(), Here::new());
    let shop: AppName = "shop".parse().unwrap();
    here.store.delete_app(&shop, None).unwrap();
    there.restore(&here.store.back_up().unwrap());
    assert!(there.store.state().stored_bytes(&shop) > 0);
    there.store.remove_state_of_none().unwrap();
    assert_eq!(there.store.state().stored_bytes(&shop), 0);
    assert_eq!(there.value("a").unwrap(), b"apples");
}

/// The error of a restore from a backup whose database of the state was changed.
fn refused(change: &str) -> String {
    let (here, there) = (keeping(), Here::new());
    let backup = here.store.back_up().unwrap();
    let database = Connection::open(backup.state().database()).unwrap();
    database.execute_batch(change).unwrap();
    drop(database);
    let mut restoring = there.store.begin_restore(there.staged(&fs::read(backup.database()).unwrap())).unwrap();
    let state = there.staged(&fs::read(backup.state().database()).unwrap());
    let error = restoring.begin_state(state).err().unwrap_or_else(|| panic!("{change}"));
    assert!(matches!(error, StoreError::Backup(_)), "{change}: {error:?}");
    drop(restoring);
    there.leaves_nothing();
    error.to_string()
}

#[test]
fn a_database_of_the_state_that_could_not_be_used_is_refused() {
    for (change, told) in [
        ("pragma user_version = 99", "later version"),
        ("pragma user_version = 0", "not a database of gust"),
        ("drop table pairs", "\"pairs"),
        ("drop table blobs; create view blobs as select * from pairs", "\"blobs"),
        ("update pairs set place = '../carts' where key = 'b'", "where an app and a bucket should be"),
        ("update pairs set place = 'carts' where key = 'b'", "where an app and a bucket should be"),
        ("update blobs set place = 'default/Not A Name'", "where an app and a bucket should be"),
        ("update pairs set key = '' where key = 'b'", "a key is empty"),
        ("update pairs set value = zeroblob(1048577) where key = 'b'", "at most 1048576"),
        ("update pairs set expires_unix_ms = -1 where key = 'b'", "out of range"),
        ("update blobs set size_bytes = -1", "out of range"),
        ("update blobs set digest = null", "digest"),
        ("update blobs set digest = 'x'", "64 hexadecimal digits"),
        ("update blobs set name = '' where name = 'one'", "a key is empty"),
        ("drop index pairs_by_key; update pairs set key = 'a'", "\"pairs_by_key\""),
    ] {
        let error = refused(change);
        assert!(error.contains(told), "{change}: {error}");
    }
}

#[test]
fn a_backup_has_its_blobs_and_no_others() {
    let (here, there) = (keeping(), Here::new());
    let backup = here.store.back_up().unwrap();
    let mut restoring = there.store.begin_restore(there.staged(&fs::read(backup.database()).unwrap())).unwrap();
    let is_refused = |added: Result<(), StoreError>| assert!(matches!(added, Err(StoreError::Backup(_))));
    is_refused(restoring.add_blob(there.staged(b"picture").sync().unwrap()));
    restoring.begin_state(there.staged(&fs::read(backup.state().database()).unwrap())).unwrap();
    is_refused(restoring.add_blob(there.staged(b"picture").sync().unwrap()));
    restoring.add_blob(there.staged(b"").sync().unwrap()).unwrap();
    is_refused(restoring.add_blob(there.staged(b"picturf").sync().unwrap()));
    is_refused(there.store.restore(&restoring));
    restoring.add_blob(there.staged(b"picture").sync().unwrap()).unwrap();
    is_refused(restoring.add_blob(there.staged(b"").sync().unwrap()));
    there.store.restore(&restoring).unwrap();
    assert_eq!(there.content("one").unwrap(), b"picture");
}
