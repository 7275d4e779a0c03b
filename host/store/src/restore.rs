//! Restoring: what a backup holds takes the place of all that is stored, or nothing of it does.
//!
//! A backup comes from elsewhere, so it is checked whole before anything is changed. Its database is opened apart from the
//! store's, brought up to date, and copied row by row into an empty one of this version's making: whatever that refuses is no
//! backup, and nothing else of the file gets any further. What it says of components is what may come of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use gust_core::{AppName, AppSpec, Digest, Traffic};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Transaction, params_from_iter, types::Value};
use tempfile::TempDir;

use crate::{
    AwaitedBlob, Durable, Staged, StateContents, Store, StoreError, StoredApp, StoredFunction, apps,
    backup::DATABASE,
    change::change,
    components, functions, schema,
    state::{self, Arrived},
    tokens,
};

/// The largest number of a version or a state in a backup: far more than were ever given, and far from the end of what is stored.
const NUMBER_MAX: i64 = 1 << 62;

/// A backup that is arriving. Dropping it leaves nothing.
pub struct Restoring {
    /// Holds the components that are here.
    dir: TempDir,
    database: Connection,
    here: Vec<Digest>,
    /// The components that are still to come, and how large they are.
    awaited: BTreeMap<Digest, u64>,
    /// What functions keep, where it is in the backup.
    state: Option<Arc<Mutex<Arrived>>>,
}

/// How much a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Functions.
    pub functions: u64,
    /// Their versions.
    pub versions: u64,
    /// Apps.
    pub apps: u64,
    /// Tokens of the API.
    pub tokens: u64,
    /// What functions keep, where it is in it.
    pub state: Option<StateContents>,
}

impl Store {
    /// Begins with a backup's database.
    pub fn begin_restore(&self, database: Staged) -> Result<Restoring, StoreError> {
        let dir = TempDir::new_in(self.tmp_dir()).map_err(StoreError::io("beginning to restore"))?;
        let path = dir.path().join("foreign.db");
        database.file.persist(&path).map_err(|error| StoreError::io("beginning to restore")(error.error))?;
        let database = copied(&path, &dir.path().join(DATABASE))?;
        let awaited = read_through(&database).map_err(|error| unreadable(error, DATABASE))?;
        Ok(Restoring { dir, database, here: Vec::new(), awaited, state: None })
    }

    /// Puts a backup in the place of all that is stored. Durable when it returns; where it fails nothing is changed. Components
    /// that no version has any more stay until [`Store::remove_unreferenced`] is called.
    pub fn restore(&self, backup: &Restoring) -> Result<(), StoreError> {
        if let Some((digest, _)) = backup.awaited.first_key_value() {
            return Err(StoreError::Backup(format!("the component {digest} is not in it")));
        }
        if let Some(blob) = backup.awaited_blob()? {
            return Err(StoreError::Backup(format!("the blob {:?} of {} is not in it", blob.name, blob.place)));
        }
        let restored = change(&mut self.database(), |transaction| {
            copy_rows(&backup.database, transaction)?;
            self.take_over(backup)?;
            // A transaction of its own. It is by far the larger one, so it comes first: what is left then is the end of this one.
            backup.state.as_ref().map_or(Ok(()), |state| self.state().replace(state))
        });
        if restored.is_err() {
            // They belong to no version, whatever becomes of their files; the next start tries again.
            let _ = self.remove_unreferenced();
        }
        restored
    }

    /// Moves a backup's components to their places. Durable when it returns.
    fn take_over(&self, backup: &Restoring) -> Result<(), StoreError> {
        for digest in &backup.here {
            let (from, to) = (backup.dir.path().join(components::file_name(digest)), self.component_path(digest));
            fs::rename(from, &to).map_err(StoreError::io(components::keeping(&to)))?;
        }
        self.sync_components()
    }
}

impl Restoring {
    /// How large a component is that is still to come; none where no version has it, or it is here already.
    pub fn awaited_bytes(&self, digest: &Digest) -> Option<u64> {
        self.awaited.get(digest).copied()
    }

    /// Takes in a component.
    pub fn add(&mut self, Durable(component): Durable) -> Result<(), StoreError> {
        let digest = component.digest;
        if self.awaited.remove(&digest).is_none() {
            return Err(StoreError::Backup(format!("no version has the component {digest}, or it is in it twice")));
        }
        let path = self.dir.path().join(components::file_name(&digest));
        component.file.persist(&path).map_err(|error| StoreError::io(components::keeping(&path))(error.error))?;
        self.here.push(digest);
        Ok(())
    }

    /// Begins with what functions keep, by its database: their blobs come next.
    pub fn begin_state(&mut self, Staged { file, .. }: Staged) -> Result<(), StoreError> {
        let dir = self.dir.path().join("state");
        fs::create_dir(&dir).map_err(StoreError::io("beginning to restore"))?;
        let foreign = foreign(file.path(), state::DATABASE, state::MIGRATIONS);
        let arrived = foreign.and_then(|foreign| Arrived::new(dir, &foreign));
        let arrived = arrived.map_err(|error| unreadable(error, state::DATABASE))?;
        self.state = Some(Arc::new(Mutex::new(arrived)));
        Ok(())
    }

    /// The blob that comes next; none where all are here, or nothing of what functions keep is in it.
    pub fn awaited_blob(&self) -> Result<Option<AwaitedBlob>, StoreError> {
        self.state.as_ref().map_or(Ok(None), |state| Arrived::lock(state).awaited())
    }

    /// Takes in the blob that comes next.
    pub fn add_blob(&mut self, Durable(blob): Durable) -> Result<(), StoreError> {
        let no_state = || StoreError::Backup("no blob belongs into it".to_owned());
        Arrived::lock(self.state.as_ref().ok_or_else(no_state)?).add(blob)
    }

    /// How much it holds.
    pub fn contents(&self) -> Result<Contents, StoreError> {
        let count = |what: &str| self.database.query_row(&format!("select count({what}"), [], |row| row.get(0));
        Ok(Contents {
            functions: count("distinct name) from versions")?,
            versions: count("*) from versions")?,
            apps: count("*) from apps")?,
            tokens: count("*) from tokens")?,
            state: self.state.as_ref().map(|state| Arrived::lock(state).contents()).transpose()?,
        })
    }

    /// The documents of its tokens.
    pub fn tokens(&self) -> Result<Vec<String>, StoreError> {
        tokens::tokens(&self.database)
    }
}

/// A database of this version's making with all that is in the one from elsewhere.
fn copied(from: &Path, to: &Path) -> Result<Connection, StoreError> {
    let unreadable = |error| unreadable(error, DATABASE);
    let foreign = foreign(from, DATABASE, schema::MIGRATIONS).map_err(unreadable)?;
    let mut database = schema::open(to)?;
    // The constraints are this version's too.
    change(&mut database, |transaction| copy_rows(&foreign, transaction)).map_err(unreadable)?;
    Ok(database)
}

/// Opens a database from elsewhere with care (<https://sqlite.org/security.html>), and brings its schema up to date.
fn foreign(path: &Path, name: &str, migrations: &[&str]) -> Result<Connection, StoreError> {
    let mut database = Connection::open(path)?;
    must_be_laid_out(&database, name, migrations)?;
    database.pragma_update(None, "trusted_schema", false)?;
    database.pragma_update(None, "cell_size_check", true)?;
    // It is read once and thrown away.
    database.pragma_update(None, "journal_mode", "memory")?;
    database.pragma_update(None, "synchronous", "off")?;
    let found: String = database.query_row("pragma integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(StoreError::Backup(format!("{name} is damaged: {found}")));
    }
    schema::migrate_by(&mut database, migrations)?;
    Ok(database)
}

/// Fails where a database from elsewhere is not laid out to the letter as the steps of its version do it. Nothing of it was run before: a
/// view, a virtual table or a column that is computed gives rows and bytes without end.
fn must_be_laid_out(database: &Connection, name: &str, migrations: &[&str]) -> Result<(), StoreError> {
    let version = schema::version(database)?;
    if version == 0 {
        return Err(StoreError::Backup(format!("{name} is not a database of gust")));
    }
    // Of a later version, which its migration tells.
    let Some(steps) = migrations.get(..version as usize) else { return Ok(()) };
    let mut own = Connection::open_in_memory()?;
    schema::migrate_by(&mut own, steps)?;
    let (own, found) = (layout(&own)?, layout(database)?);
    let Some((_, what, _)) = own.symmetric_difference(&found).next() else { return Ok(()) };
    Err(StoreError::Backup(format!("{name} is not laid out as a database of gust is: {what:?}")))
}

/// All that a database has, by kind and name, as it was made.
fn layout(database: &Connection) -> Result<BTreeSet<(String, String, Option<String>)>, StoreError> {
    // What the planner of queries keeps for itself is the same everywhere.
    let mut rows = database
        .prepare("select type, name, sql from sqlite_schema where name not in ('sqlite_stat1', 'sqlite_stat4')")?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Puts the rows of every table in the place of those that are there.
fn copy_rows(from: &Connection, to: &Transaction<'_>) -> Result<(), StoreError> {
    // Tables refer to each other: whether that holds shows when all are there.
    to.pragma_update(None, "defer_foreign_keys", true)?;
    let mut tables = to.prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite%'")?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    tables.iter().try_for_each(|table| copy_table(from, to, table))
}

fn copy_table(from: &Connection, to: &Transaction<'_>, table: &str) -> Result<(), StoreError> {
    let mut columns = to.prepare("select '[' || name || ']' from pragma_table_info(?1)")?;
    let columns: Vec<String> = columns.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let (named, places) = (columns.join(", "), vec!["?"; columns.len()].join(", "));
    to.execute(&format!("delete from [{table}]"), [])?;
    let mut insert = to.prepare(&format!("insert into [{table}] ({named}) values ({places})"))?;
    let mut select = from.prepare(&format!("select {named} from [{table}]"))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let values: Vec<Value> = (0..columns.len()).map(|at| row.get(at)).collect::<Result<_, _>>()?;
        insert.execute(params_from_iter(values))?;
    }
    Ok(())
}

/// Reads all that a start reads, so that what is restored can be served. Gives the components that there have to be.
fn read_through(database: &Connection) -> Result<BTreeMap<Digest, u64>, StoreError> {
    let refused = |what: String| Err(StoreError::Backup(what));
    let apps = apps::apps(database)?;
    if !apps.iter().any(|app| app.name.is_default()) {
        return refused("the default app is not in it".to_owned());
    }
    for app in &apps {
        if let Some(Err(problem)) = app.spec.as_ref().ok().map(AppSpec::check) {
            return refused(format!("the app {}: {}", app.name, problem.detail));
        }
    }
    if let Some((host, first, second)) = shared_host(&apps) {
        return refused(format!("the apps {first} and {second} both have the host {host}"));
    }
    let mut lost = None;
    functions::each_function(database, |function| {
        if let Some(why) = unservable(&function, &apps) {
            lost = Some(format!("{}: {why}", function.name));
        }
    })?;
    if let Some(why) = lost {
        return refused(why);
    }
    match out_of_range(database)? {
        Some(name) => refused(format!("{name}: its numbers could not be counted on")),
        None => functions::components(database),
    }
}

/// A host that two apps have, and those.
fn shared_host(apps: &[StoredApp]) -> Option<(String, &AppName, &AppName)> {
    let mut owners = BTreeMap::new();
    let specs = apps.iter().filter_map(|app| Some((&app.name, app.spec.as_ref().ok()?)));
    for (app, host) in specs.flat_map(|(app, spec)| spec.hosts.iter().map(move |host| (app, host))) {
        let host = host.to_ascii_lowercase();
        if let Some(other) = owners.insert(host.clone(), app).filter(|other| *other != app) {
            return Some((host, other, app));
        }
    }
    None
}

/// Why a function could not be served as it is in a backup.
fn unservable(function: &StoredFunction, apps: &[StoredApp]) -> Option<&'static str> {
    let is_kept = |version| function.kept.contains(&version);
    let traffic = || function.aliases.iter().map(|alias| &alias.traffic);
    if function.aliases.is_empty() || traffic().any(|traffic| traffic.check().is_err()) {
        Some("an alias of it points to no version")
    } else if !traffic().flat_map(Traffic::versions).all(is_kept) {
        Some("an alias of it points to a version that is not in it")
    } else if !apps.iter().any(|app| app.name == function.home) {
        Some("the app that it belongs to is not in it")
    } else if !function.apps.iter().any(|(app, _)| *app == function.home) {
        Some("it is not in the app that it belongs to")
    } else {
        None
    }
}

/// A function or app whose number is below one that was given already, or so large that it has no next one.
fn out_of_range(database: &Connection) -> Result<Option<String>, StoreError> {
    let text = "select f.name from functions f where f.generation not between 0 and ?1 or f.version_last not between
            coalesce((select max(v.version) from versions v where v.name = f.name), 0) and ?1
        union all select a.name from apps a where a.revision not between 0 and ?1 limit 1";
    Ok(database.query_row(text, [NUMBER_MAX], |row| row.get(0)).optional()?)
}

/// Whose fault it is that a database from elsewhere cannot be read: its own, unless the disk fails.
fn unreadable(error: StoreError, name: &str) -> StoreError {
    match error {
        StoreError::Database(error) if error.sqlite_error_code() != Some(ErrorCode::SystemIoFailure) => {
            StoreError::Backup(format!("{name} cannot be read: {error}"))
        }
        StoreError::NewerSchema { .. } => StoreError::Backup(error.to_string()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
