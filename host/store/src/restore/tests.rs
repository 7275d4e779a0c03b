//! A backup in the place of what is stored, and all that is no backup.

use gust_core::{AliasName, AppName, AppSpec, FunctionName, Manifest, TokenName, Traffic};
use tempfile::TempDir;

use super::*;
use crate::{Backup, Release, SettingKind, StoredApp, StoredFunction, schema::MIGRATIONS};

mod state;

/// A store in a directory of its own.
struct Here {
    store: Store,
    _dir: TempDir,
}

/// All that can be seen of a store.
#[derive(PartialEq)]
struct Seen {
    functions: Vec<StoredFunction>,
    apps: Vec<StoredApp>,
    tokens: Vec<String>,
    components: Vec<String>,
}

impl Here {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { store: Store::open(dir.path()).unwrap(), _dir: dir }
    }

    /// With two functions, of which one has three versions and an alias, an app with a value, and a token.
    fn filled() -> Self {
        let here = Self::new();
        for component in [&b"1"[..], b"2", b"3"] {
            here.publish("f", component, None);
        }
        here.publish("f", b"canary", Some("canary"));
        here.publish("g", b"1", None);
        let (shop, token) = ("shop".parse::<AppName>().unwrap(), "ci".parse::<TokenName>().unwrap());
        here.store.set_app(&shop, &AppSpec::default(), None).unwrap();
        here.store.set_setting(&shop, (SettingKind::Secret, "KEY"), Some(b"sealed"), 1).unwrap();
        here.store.bind(&shop, &name("f"), Some(&AliasName::live())).unwrap();
        here.store.add_token(&token, "{}").unwrap();
        here
    }

    fn publish(&self, function: &str, component: &[u8], alias: Option<&str>) -> u64 {
        let release = Release {
            app: AppName::default_app(),
            alias: alias.map(|alias| alias.parse().unwrap()),
            weight: None,
            sticky: None,
            conditions: None,
            unix_ms: 1,
            versions_kept: 10,
            stored_bytes_max: None,
            if_generation: None,
        };
        let durable = self.staged(component).sync().unwrap();
        let published = self.store.publish(&name(function), durable, &Manifest::default(), &release, |_| Ok(()));
        published.map_err(|error: StoreError| error).unwrap().version.version
    }

    fn staged(&self, bytes: &[u8]) -> Staged {
        let mut staging = self.store.stage(64 << 20).unwrap();
        staging.write(bytes).unwrap();
        staging.finish()
    }

    /// Takes in all of a backup.
    fn taken(&self, backup: &Backup) -> Result<Restoring, StoreError> {
        let mut restoring = self.store.begin_restore(self.staged(&fs::read(backup.database()).unwrap()))?;
        for (digest, path) in backup.components() {
            let bytes = fs::read(path).unwrap();
            assert_eq!(restoring.awaited_bytes(&digest), Some(bytes.len() as u64));
            restoring.add(self.staged(&bytes).sync().unwrap())?;
        }
        restoring.begin_state(self.staged(&fs::read(backup.state().database()).unwrap()))?;
        let mut blobs = Vec::new();
        let take = |blob| {
            blobs.push(blob);
            Ok(())
        };
        backup.state().each_blob(take).unwrap();
        for blob in blobs {
            let awaited = restoring.awaited_blob().unwrap().unwrap();
            assert_eq!((awaited.file, awaited.size_bytes), (blob.file, blob.size_bytes));
            restoring.add_blob(self.staged(&fs::read(blob.path).unwrap()).sync().unwrap())?;
        }
        Ok(restoring)
    }

    fn seen(&self) -> Seen {
        let mut functions = Vec::new();
        self.store.each_function(|function| functions.push(function)).unwrap();
        for digest in self.store.digests().unwrap() {
            self.store.verify(&digest).unwrap();
        }
        let apps = self.store.apps().unwrap();
        Seen { functions, apps, tokens: self.store.tokens().unwrap(), components: self.files(components::DIR) }
    }

    fn files(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.store.dir().join(dir)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn leaves_nothing(&self) {
        assert_eq!(self.files(components::TMP_DIR), Vec::<String>::new());
    }
}

fn name(function: &str) -> FunctionName {
    function.parse().unwrap()
}

#[test]
fn a_backup_is_of_the_moment_when_it_was_made() {
    let (here, there) = (Here::filled(), Here::new());
    let before = here.seen();
    let backup = here.store.back_up().unwrap();
    here.publish("f", b"4", None);
    here.store.delete(&name("g"), None).unwrap();
    here.store.delete(&name("f"), None).unwrap();
    assert!(here.files(components::DIR).is_empty());
    let restoring = there.taken(&backup).unwrap();
    let state = Some(StateContents { key_values: 0, blobs: 0 });
    let expected = Contents { functions: 2, versions: 5, apps: 2, tokens: 1, state };
    assert_eq!(restoring.contents().unwrap(), expected);
    there.store.restore(&restoring).unwrap();
    assert!(there.seen() == before);
    drop((backup, restoring));
    here.leaves_nothing();
    there.leaves_nothing();
}

#[test]
fn nothing_is_left_of_what_was_there_before() {
    let (here, there) = (Here::filled(), Here::new());
    there.publish("f", b"another", None);
    there.publish("mine", b"mine", None);
    let mine = "mine".parse::<AppName>().unwrap();
    there.store.set_app(&mine, &AppSpec::default(), None).unwrap();
    there.store.note_cpu_us(1, &[(mine, 5)]).unwrap();
    there.store.restore(&there.taken(&here.store.back_up().unwrap()).unwrap()).unwrap();
    there.store.remove_unreferenced().unwrap();
    assert!(there.seen() == here.seen());
    let rows: u64 = there.store.database().query_row("select count(*) from usage", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0);
    let changes = |here: &Here| here.store.alias_changes(&name("f"), &AliasName::live()).unwrap();
    assert_eq!(changes(&there), changes(&here));
    assert_eq!(there.publish("f", b"5", None), 5, "numbers go on as they would have there");
}

#[test]
fn an_older_backup_is_brought_up_to_date() {
    let there = Here::new();
    let path = there.store.tmp_dir().join("old.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(MIGRATIONS.first().unwrap()).unwrap();
    let digest = Digest::of(b"old");
    let rows = format!(
        "insert into functions values ('a', 3, 3); insert into versions values ('a', 3, '{digest}', 3, '{{}}', 7);
         pragma user_version = 1"
    );
    old.execute_batch(&rows).unwrap();
    drop(old);
    let mut restoring = there.store.begin_restore(there.staged(&fs::read(&path).unwrap())).unwrap();
    restoring.add(there.staged(b"old").sync().unwrap()).unwrap();
    there.store.restore(&restoring).unwrap();
    let function = there.store.function(&name("a")).unwrap().unwrap();
    assert_eq!(function.aliases.first().unwrap().traffic, Traffic::all_to(3));
    there.store.verify(&digest).unwrap();
}

/// The error of a restore from a backup's database that was changed.
fn refused(change: &str) -> String {
    let (here, there) = (Here::filled(), Here::filled());
    let (backup, before) = (here.store.back_up().unwrap(), there.seen());
    let database = Connection::open(backup.database()).unwrap();
    database.pragma_update(None, "foreign_keys", false).unwrap();
    database.execute_batch(change).unwrap();
    drop(database);
    let error = there.taken(&backup).err().unwrap_or_else(|| panic!("{change}"));
    assert!(matches!(error, StoreError::Backup(_)), "{change}: {error:?}");
    assert!(there.seen() == before);
    there.leaves_nothing();
    error.to_string()
}

#[test]
fn a_database_that_could_not_be_served_is_refused() {
    for (change, told) in [
        ("pragma user_version = 99", "later version"),
        ("pragma user_version = 0", "not a database of gust"),
        ("drop table tokens", "tokens"),
        ("alter table aliases drop column watch", "aliases"),
        ("delete from functions where name = 'g'", "FOREIGN KEY"),
        (
            "drop table usage; create view usage (app, day, cpu_us) as with recursive n (x) as
             (values (1) union all select x + 1 from n) select 'default', x, x from n",
            "laid out as a database of gust is: \"usage\"",
        ),
        (
            "create view endless (day) as with recursive n (x) as (values (1) union all select x + 1 from n) select x from n;
             drop table usage; create virtual table usage using fts5 (day, content = 'endless')",
            "laid out",
        ),
        (
            "drop table tokens; create table tokens (name text primary key, token text generated always as
             (hex(zeroblob(100000000))) virtual); insert into tokens (name) values ('a')",
            "is not laid out as a database of gust is",
        ),
        ("create trigger t after insert on usage begin select 1; end", "laid out as a database of gust is: \"t\""),
        ("update versions set size_bytes = -1", "out of range"),
        ("update versions set digest = 'x'", "64 hexadecimal digits"),
        ("update functions set home = 'Not A Name' where name = 'g'", "name"),
        ("update aliases set traffic = 'x' where function = 'g'", "expected value"),
        (r#"update aliases set traffic = '{"targets":[{"version":9}]}' where function = 'g'"#, "g: an alias of it"),
        (
            r#"update aliases set traffic = '{"targets":[]}' where function = 'g'"#,
            "g: an alias of it points to no version",
        ),
        ("delete from aliases where function = 'g'", "g: an alias of it points to no version"),
        ("delete from bindings where function = 'g'", "g: it is not in the app"),
        ("update functions set version_last = 9223372036854775807 where name = 'g'", "g: its numbers"),
        ("update functions set version_last = 0 where name = 'f'", "f: its numbers"),
        ("update apps set revision = 9223372036854775807 where name = 'shop'", "shop: its numbers"),
        (r#"update apps set spec = '{"hosts":["*"]}' where name = 'shop'"#, "the app shop: "),
        (r#"update apps set spec = '{"hosts":["a.test"]}'"#, "default and shop both have the host a.test"),
        (
            "delete from settings; delete from bindings; delete from apps where name = 'default'",
            "the default app is not in it",
        ),
        (
            "delete from bindings where app = 'default'; delete from apps where name = 'default'",
            "the default app is not in it",
        ),
    ] {
        let error = refused(change);
        assert!(error.contains(told), "{change}: {error}");
    }
    // Constraints that it does not have itself.
    let lax = "create table lax (app, kind, name, value, changed_unix_ms); insert into lax values ('shop', 'x', 'x', x'00', 1);
        drop table settings; alter table lax rename to settings";
    assert!(refused(lax).contains("\"settings\""));
}

#[test]
fn what_is_no_database_is_refused() {
    let there = Here::new();
    let path = there.store.tmp_dir().join("foreign.db");
    Connection::open(&path).unwrap().execute_batch("create table x (y)").unwrap();
    let foreign = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    for (bytes, told) in [
        (&b""[..], "not a database of gust"),
        (b"text", "not a database"),
        (&[0; 8192], "not a database"),
        (&foreign, "not a database of gust"),
    ] {
        let error = there.store.begin_restore(there.staged(bytes)).err().unwrap();
        assert!(matches!(&error, StoreError::Backup(what) if what.contains(told)), "{told}: {error}");
    }
    there.leaves_nothing();
}

#[test]
fn a_backup_has_all_components_and_no_others() {
    let (here, there) = (Here::filled(), Here::filled());
    let (backup, before) = (here.store.back_up().unwrap(), there.seen());
    let database = there.staged(&fs::read(backup.database()).unwrap());
    let mut restoring = there.store.begin_restore(database).unwrap();
    assert_eq!(restoring.awaited_bytes(&Digest::of(b"strange")), None);
    let is_refused = |added: Result<(), StoreError>| assert!(matches!(added, Err(StoreError::Backup(_))));
    is_refused(restoring.add(there.staged(b"strange").sync().unwrap()));
    restoring.add(there.staged(b"1").sync().unwrap()).unwrap();
    is_refused(restoring.add(there.staged(b"1").sync().unwrap()));
    is_refused(there.store.restore(&restoring));
    assert!(there.seen() == before);
}

#[test]
fn a_restore_that_fails_in_the_end_changes_nothing() {
    let (here, there) = (Here::filled(), Here::new());
    there.publish("mine", b"mine", None);
    let before = there.seen();
    let restoring = there.taken(&here.store.back_up().unwrap()).unwrap();
    let last = restoring.here.last().unwrap();
    fs::remove_file(restoring.dir.path().join(components::file_name(last))).unwrap();
    assert!(matches!(there.store.restore(&restoring), Err(StoreError::Io { .. })));
    assert!(there.seen() == before);
    there.publish("mine", b"more", None);
}

#[test]
fn a_damaged_component_is_told_of_when_the_backup_is_made() {
    let here = Here::filled();
    let damaged = Digest::of(b"canary");
    let path = here.store.component_path(&damaged);
    for damage in [Some(&b"canarx"[..]), None] {
        fs::remove_file(&path).unwrap();
        if let Some(bytes) = damage {
            fs::write(&path, bytes).unwrap();
        }
        let error = here.store.back_up().err().unwrap();
        assert!(matches!(error, StoreError::Corrupt(digest) if digest == damaged), "{error}");
        here.leaves_nothing();
    }
}
