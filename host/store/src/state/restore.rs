//! What functions keep, replaced by what a backup holds of it.
//!
//! A backup comes from elsewhere: its rows are looked at one by one and copied into an empty database of this version's making, and its
//! blobs' files are numbered by it, so that no name in a backup becomes a path. When all is here and right, the thread that writes puts
//! it in the place of all that is kept, in one transaction. What an app stores is counted anew, versions are given anew, and what
//! expired stays behind.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gust_core::{
    AppName, Digest, Problem,
    state::{check_key, check_value},
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    DATABASE, Place, State,
    blob_file::{Gone, random_name, sync_dir},
    blobs, key_values,
    place::app_of,
    schema, unix_ms,
    writer::Writing,
};
use crate::{Staged, StoreError, change::change, components::keeping, rows::parsed};

/// Adds a pair.
const INSERT_PAIR: &str = "insert into pairs (place, key, value, version, expires_unix_ms) values (?1, ?2, ?3, ?4, ?5)";

/// What arrived of a backup. The directory that it is in goes with it.
pub(crate) struct Arrived {
    database: Connection,
    dir: PathBuf,
    /// The last blob that is here.
    last: i64,
}

/// A blob that comes next.
pub struct AwaitedBlob {
    id: i64,
    /// The name of its file in the backup.
    pub file: String,
    /// Its size.
    pub size_bytes: u64,
    digest: Digest,
    /// Its app and container.
    pub place: String,
    /// Its name.
    pub name: String,
}

/// How much a backup holds of what functions keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateContents {
    /// Key-values.
    pub key_values: u64,
    /// Blobs.
    pub blobs: u64,
}

impl State {
    /// Puts what arrived in the place of all that is kept. Durable when it returns; where it fails nothing is changed.
    pub(crate) fn replace(&self, arrived: &Arc<Mutex<Arrived>>) -> Result<(), StoreError> {
        let (job, dir) = (arrived.clone(), self.blobs_dir());
        let replaced = self.writer.write_and_wait(move |writing| Arrived::lock(&job).put(writing, &dir));
        let dir = self.blobs_dir();
        let left =
            Arrived::lock(arrived).each_left(replaced.is_ok(), |file| self.retention.let_go(Gone::new(dir.join(file))));
        if let Err(error) = left {
            tracing::debug!(%error, "blobs' files are removed at the next start");
        }
        replaced
    }
}

impl Arrived {
    /// Takes what a backup's database knows.
    pub(crate) fn new(dir: PathBuf, from: &Connection) -> Result<Self, StoreError> {
        let mut database = schema::make(&dir.join(DATABASE))?;
        // Blobs' files in their directory: those of before, and those that are new. One of them is to go in the end.
        database.execute_batch("create temp table files (file text not null, is_new integer not null)")?;
        change(&mut database, |transaction| {
            take_pairs(from, transaction)?;
            take_blobs(from, transaction)
        })?;
        Ok(Self { database, dir, last: i64::MIN })
    }

    pub(crate) fn lock(arrived: &Mutex<Self>) -> MutexGuard<'_, Self> {
        arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn awaited(&self) -> Result<Option<AwaitedBlob>, StoreError> {
        let text = "select id, file, size_bytes, digest, place, name from blobs where id > ?1 order by id limit 1";
        let awaited = |row: &Row<'_>| {
            Ok(AwaitedBlob {
                id: row.get(0)?,
                file: row.get(1)?,
                size_bytes: row.get(2)?,
                digest: parsed(row, 3)?,
                place: row.get(4)?,
                name: row.get(5)?,
            })
        };
        Ok(self.database.prepare_cached(text)?.query_row([self.last], awaited).optional()?)
    }

    pub(crate) fn add(&mut self, blob: Staged) -> Result<(), StoreError> {
        let refused = |what: String| Err(StoreError::Backup(what));
        let Some(awaited) = self.awaited()? else { return refused("no further blob belongs into it".to_owned()) };
        if (blob.digest, blob.size_bytes) != (awaited.digest, awaited.size_bytes) {
            return refused(format!("the blob {:?} of {} is damaged", awaited.name, awaited.place));
        }
        let path = self.path(awaited.id);
        blob.file.persist(&path).map_err(|error| StoreError::io(keeping(&path))(error.error))?;
        self.last = awaited.id;
        Ok(())
    }

    pub(crate) fn contents(&self) -> Result<StateContents, StoreError> {
        let count =
            |table: &str| self.database.query_row(&format!("select count(*) from {table}"), [], |row| row.get(0));
        Ok(StateContents { key_values: count("pairs")?, blobs: count("blobs")? })
    }

    fn path(&self, id: i64) -> PathBuf {
        self.dir.join(id.to_string())
    }

    /// Writes all of it. Each blob's file gets a name of its own in the directory `blobs_dir`. Only the disk can fail here.
    fn put(&mut self, writing: &mut Writing<'_>, blobs_dir: &Path) -> Result<(), StoreError> {
        self.note_old(writing)?;
        writing.transaction.execute_batch("delete from pairs; delete from blobs")?;
        writing.forget_accounts()?;
        let mut stored = BTreeMap::new();
        self.put_pairs(writing, &mut stored)?;
        self.put_blobs(writing, blobs_dir, &mut stored)?;
        stored.into_iter().try_for_each(|(app, bytes)| writing.grow(&app, bytes, u64::MAX))
    }

    fn put_pairs(&self, writing: &mut Writing<'_>, stored: &mut BTreeMap<AppName, i64>) -> Result<(), StoreError> {
        let mut select = self.database.prepare("select place, key, value, expires_unix_ms from pairs order by id")?;
        let (mut rows, now) = (select.query([])?, unix_ms());
        while let Some(row) = rows.next()? {
            let expires_unix_ms: Option<u64> = row.get(3)?;
            if expires_unix_ms.is_some_and(|expires| expires <= now) {
                continue;
            }
            let (place, key, value): (String, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let version = writing.version();
            writing.expires(expires_unix_ms);
            let mut insert = writing.transaction.prepare_cached(INSERT_PAIR)?;
            insert.execute(params![place, key, value, version, expires_unix_ms])?;
            count(stored, &place, key_values::bytes_of(key.len(), value.len()));
        }
        Ok(())
    }

    fn put_blobs(
        &self,
        writing: &mut Writing<'_>,
        dir: &Path,
        stored: &mut BTreeMap<AppName, i64>,
    ) -> Result<(), StoreError> {
        let text = "select id, place, name, size_bytes, created_unix_ms, digest from blobs order by id";
        let mut select = self.database.prepare(text)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (place, name, size_bytes): (String, String, u64) = (row.get(1)?, row.get(2)?, row.get(3)?);
            let (created_unix_ms, digest): (u64, String) = (row.get(4)?, row.get(5)?);
            let file = random_name()?;
            self.note(&file, true)?;
            let to = dir.join(&file);
            fs::rename(self.path(row.get(0)?), &to).map_err(StoreError::io(keeping(&to)))?;
            let mut insert = writing.transaction.prepare_cached(blobs::INSERT)?;
            insert.execute(params![place, name, file, size_bytes, created_unix_ms, digest])?;
            count(stored, &place, blobs::bytes_of(&name, size_bytes));
        }
        sync_dir(dir)
    }

    /// Notes the files of blobs that will be gone.
    fn note_old(&self, writing: &Writing<'_>) -> Result<(), StoreError> {
        let mut select = writing.transaction.prepare("select file from blobs")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            self.note(&row.get::<_, String>(0)?, false)?;
        }
        Ok(())
    }

    fn note(&self, file: &str, is_new: bool) -> Result<(), StoreError> {
        self.database.prepare_cached("insert into files values (?1, ?2)")?.execute((file, is_new))?;
        Ok(())
    }

    /// The files that belong to no blob, whichever way it ended.
    fn each_left(&self, is_replaced: bool, mut take: impl FnMut(String)) -> Result<(), StoreError> {
        let mut select = self.database.prepare("select file from files where is_new <> ?1")?;
        let mut rows = select.query([is_replaced])?;
        while let Some(row) = rows.next()? {
            take(row.get(0)?);
        }
        Ok(())
    }
}

fn count(stored: &mut BTreeMap<AppName, i64>, place: &str, bytes: i64) {
    if let Some(app) = app_of(place) {
        let stored = stored.entry(app).or_default();
        *stored = stored.saturating_add(bytes);
    }
}

/// Copies pairs in the order of their keys, which is the order of the index that they come into.
fn take_pairs(from: &Connection, to: &Connection) -> Result<(), StoreError> {
    let mut select = from.prepare("select place, key, value, expires_unix_ms from pairs order by place, key")?;
    let mut insert = to.prepare(INSERT_PAIR)?;
    let (mut rows, now) = (select.query([])?, unix_ms());
    while let Some(row) = rows.next()? {
        let (place, key, value): (String, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let expires_unix_ms: Option<u64> = row.get(3)?;
        must_be_place(&place)?;
        check_key(&key).and_then(|()| check_value(&value)).map_err(|problem| refused(&place, &problem))?;
        if expires_unix_ms.is_none_or(|expires| expires > now) {
            insert.execute(params![place, key, value, 0, expires_unix_ms])?;
        }
    }
    Ok(())
}

/// Copies what is known of blobs in the order in which they come.
fn take_blobs(from: &Connection, to: &Connection) -> Result<(), StoreError> {
    let text = "select place, name, file, size_bytes, created_unix_ms, digest from blobs order by place, name";
    let mut select = from.prepare(text)?;
    let mut insert = to.prepare(blobs::INSERT)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (place, name, file): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (size_bytes, created_unix_ms): (u64, u64) = (row.get(3)?, row.get(4)?);
        let digest: Digest = parsed(row, 5)?;
        must_be_place(&place)?;
        check_key(&name).map_err(|problem| refused(&place, &problem))?;
        insert.execute(params![place, name, file, size_bytes, created_unix_ms, digest.to_string()])?;
    }
    Ok(())
}

fn must_be_place(place: &str) -> Result<(), StoreError> {
    let refused = || StoreError::Backup(format!("{DATABASE} has {place:?} where an app and a bucket should be"));
    Place::parse(place).map(drop).ok_or_else(refused)
}

fn refused(place: &str, problem: &Problem) -> StoreError {
    StoreError::Backup(format!("{DATABASE}, {place}: {}", problem.detail))
}
