//! Versions: which component, with which manifest, since when, for each function.

use std::path::Path;

use gust_core::{Digest, FunctionName, Manifest};
use rusqlite::{Connection, OptionalExtension as _, Row, params, types::Type};

use crate::{Durable, Store, StoreError, change::change};

/// The schema, one step for each version of it. A step is never changed, only followed by another.
const MIGRATIONS: &[&str] = &["
    -- Kept when a function is deleted, so that its versions go on growing.
    create table functions (
        name text primary key,
        version_last integer not null,
        version_current integer
    ) strict;
    create table versions (
        name text not null references functions (name),
        version integer not null,
        digest text not null,
        size_bytes integer not null,
        manifest text not null,
        deployed_unix_ms integer not null,
        primary key (name, version)
    ) strict, without rowid;
    create index versions_by_digest on versions (digest);
"];

/// What the database may hold of its file, in KiB.
const CACHE_KIB: i32 = 256;

/// One version of one function.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredVersion {
    /// The function.
    pub name: FunctionName,
    /// The version.
    pub version: u64,
    /// Its component.
    pub digest: Digest,
    /// The component's size.
    pub size_bytes: u64,
    /// What its owner decided; or why it cannot be read, as where a later version of gust wrote it.
    pub manifest: Result<Manifest, String>,
    /// When it was deployed: milliseconds since 1970-01-01T00:00Z.
    pub deployed_unix_ms: u64,
}

/// What a publish came to.
#[derive(Debug)]
pub struct Published {
    /// The version in force now.
    pub version: StoredVersion,
    /// Whether it is a new one: the same component with the same manifest makes none.
    pub is_new: bool,
}

/// Opens the database and brings its schema up to date. Says whether it was not there, or empty.
pub(crate) fn open(path: &Path) -> Result<(Connection, bool), StoreError> {
    let mut database = Connection::open(path)?;
    database.pragma_update(None, "journal_mode", "wal")?;
    // Every commit is on the disk before it is acknowledged.
    database.pragma_update(None, "synchronous", "full")?;
    database.pragma_update(None, "foreign_keys", true)?;
    // What is deployed is read once, at the start.
    database.pragma_update(None, "cache_size", -CACHE_KIB)?;
    let found: u32 = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = MIGRATIONS.len() as u32;
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    for (step, migration) in MIGRATIONS.iter().enumerate().skip(found as usize) {
        let transaction = database.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", step as u32 + 1)?;
        transaction.commit()?;
    }
    Ok((database, found == 0))
}

/// The digests of all versions.
pub(crate) fn digests(database: &Connection) -> Result<Vec<Digest>, StoreError> {
    let mut query = database.prepare("select distinct digest from versions")?;
    let rows = query.query_map([], |row| parsed(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const COLUMNS: &str = "v.name, v.version, v.digest, v.size_bytes, v.manifest, v.deployed_unix_ms";
const CURRENT: &str = "from versions v join functions f on f.name = v.name and f.version_current = v.version";

impl Store {
    /// Makes a new version of a function from an upload, and the one in force. Durable when it returns. Where it fails nothing
    /// is left behind.
    pub fn publish(
        &self,
        name: &FunctionName,
        durable: Durable,
        manifest: &Manifest,
        deployed_unix_ms: u64,
    ) -> Result<Published, StoreError> {
        let published = self.try_publish(name, durable, manifest, deployed_unix_ms);
        if published.is_err() {
            // The component may be at its place already. Where it stays there the next start tries again.
            let _ = self.remove_unreferenced();
        }
        published
    }

    fn try_publish(
        &self,
        name: &FunctionName,
        Durable(staged): Durable,
        manifest: &Manifest,
        deployed_unix_ms: u64,
    ) -> Result<Published, StoreError> {
        // One publish or delete at a time, so that no component is removed between being kept and being referred to.
        let mut database = self.database();
        if let Some(present) = current_of(&database, name)?
            && present.digest == staged.digest
            && present.manifest.as_ref() == Ok(manifest)
        {
            // Written all the same: the file that is there may be damaged or gone, and this one is whole.
            self.keep(staged)?;
            return Ok(Published { version: present, is_new: false });
        }
        let (digest, size_bytes) = (staged.digest, staged.size_bytes);
        self.keep(staged)?;
        let text = serde_json::to_string(manifest).map_err(unwritable)?;
        let number: u64 = change(&mut database, |transaction| {
            let number = transaction.query_row(
                "insert into functions values (?1, 1, 1) on conflict (name) do update
                 set version_last = version_last + 1, version_current = version_last + 1 returning version_current",
                [name.as_str()],
                |row| row.get(0),
            )?;
            transaction.execute(
                "insert into versions values (?1, ?2, ?3, ?4, ?5, ?6)",
                params![name.as_str(), number, digest.to_string(), size_bytes, text, deployed_unix_ms],
            )?;
            Ok(number)
        })?;
        let (name, manifest) = (name.clone(), Ok(manifest.clone()));
        let version = StoredVersion { name, version: number, digest, size_bytes, manifest, deployed_unix_ms };
        Ok(Published { version, is_new: true })
    }

    /// The version in force of every function, one after the other: there may be many.
    pub fn each_current(&self, mut each: impl FnMut(StoredVersion)) -> Result<(), StoreError> {
        let database = self.database();
        let mut query = database.prepare(&format!("select {COLUMNS} {CURRENT}"))?;
        for version in query.query_map([], read)? {
            each(version?);
        }
        Ok(())
    }

    /// All versions of a function, newest first.
    pub fn versions(&self, name: &FunctionName) -> Result<Vec<StoredVersion>, StoreError> {
        let database = self.database();
        let text = format!("select {COLUMNS} from versions v where v.name = ?1 order by v.version desc");
        let mut query = database.prepare(&text)?;
        let rows = query.query_map([name.as_str()], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Removes a function and all its versions. Says whether there was one. Durable when it returns.
    pub fn delete(&self, name: &FunctionName) -> Result<bool, StoreError> {
        let versions = change(&mut self.database(), |transaction| {
            let versions = transaction.execute("delete from versions where name = ?1", [name.as_str()])?;
            transaction.execute("update functions set version_current = null where name = ?1", [name.as_str()])?;
            Ok(versions)
        })?;
        if versions == 0 {
            return Ok(false);
        }
        // It is deleted already, whatever becomes of its files; the next start tries again.
        let _ = self.remove_unreferenced();
        Ok(true)
    }
}

fn current_of(database: &Connection, name: &FunctionName) -> Result<Option<StoredVersion>, StoreError> {
    let text = format!("select {COLUMNS} {CURRENT} where v.name = ?1");
    Ok(database.query_row(&text, [name.as_str()], read).optional()?)
}

fn unwritable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.into())
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredVersion> {
    let manifest: String = row.get(4)?;
    Ok(StoredVersion {
        name: parsed(row, 0)?,
        version: row.get(1)?,
        digest: parsed(row, 2)?,
        size_bytes: row.get(3)?,
        manifest: serde_json::from_str(&manifest).map_err(|error| error.to_string()),
        deployed_unix_ms: row.get(5)?,
    })
}

fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.get::<_, String>(column)?.parse().map_err(|error| conversion(column, error))
}

fn conversion(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
