//! Blobs: which there are, and what becomes of them. All of it blocks until it is on the disk.

use std::{fs, path::PathBuf};

use gust_core::{
    AppName, Digest,
    state::{Blob, PAGE_KEYS_MAX, check_batch, check_key},
};
use rusqlite::{OptionalExtension as _, Row, params};

use super::{
    BlobReading, BlobWritten, Place, State,
    blob_file::{Gone, random_name, sync_dir},
    place::range,
    unix_ms,
    writer::Writing,
};
use crate::StoreError;

/// What a blob takes besides its name and content, in bytes.
const BLOB_BYTES: u64 = 1 << 10;

/// Blobs that are removed in one transaction.
const STEP_BLOBS: u32 = 500;

/// What is counted of a blob.
pub(super) fn bytes_of(name: &str, size_bytes: u64) -> i64 {
    i64::try_from(BLOB_BYTES + name.len() as u64 + size_bytes).unwrap_or(i64::MAX)
}

/// A blob as the database has it.
struct Kept {
    id: i64,
    name: String,
    file: String,
    size_bytes: u64,
    created_unix_ms: u64,
    digest: Option<Digest>,
}

const COLUMNS: &str = "id, name, file, size_bytes, created_unix_ms, digest";

/// Adds a blob.
pub(super) const INSERT: &str =
    "insert into blobs (place, name, file, size_bytes, created_unix_ms, digest) values (?1, ?2, ?3, ?4, ?5, ?6)";

impl Kept {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            file: row.get(2)?,
            size_bytes: row.get(3)?,
            created_unix_ms: row.get(4)?,
            digest: row.get::<_, Option<String>>(5)?.and_then(|digest| digest.parse().ok()),
        })
    }

    fn bytes(&self) -> i64 {
        bytes_of(&self.name, self.size_bytes)
    }

    fn told(self) -> Blob {
        Blob { name: self.name, size_bytes: self.size_bytes, created_unix_ms: self.created_unix_ms }
    }
}

impl State {
    /// What is known of a blob.
    pub fn blob(&self, place: &Place, name: &str) -> Result<Option<Blob>, StoreError> {
        Ok(self.kept(place, name)?.map(Kept::told))
    }

    /// Opens a blob.
    pub fn read_blob(&self, place: &Place, name: &str) -> Result<Option<BlobReading>, StoreError> {
        let Some(kept) = self.kept(place, name)? else { return Ok(None) };
        self.open_blob(place, &kept.file, (kept.size_bytes, kept.created_unix_ms))
    }

    /// Blobs whose names have this beginning and come after one, in order, a page of them.
    pub fn blobs(&self, place: &Place, prefix: &str, after: &str, max: usize) -> Result<Vec<Blob>, StoreError> {
        let text =
            format!("select {COLUMNS} from blobs where place = ?1 and name > ?2 and name >= ?3 order by name limit ?4");
        self.readers.read(|database| {
            let mut query = database.prepare_cached(&text)?;
            let max = max.min(PAGE_KEYS_MAX);
            let rows = query.query_map(params![place.path(), after, prefix, max], |row| Ok(Kept::of(row)?.told()))?;
            let begins = |blob: &Result<Blob, _>| blob.as_ref().map_or(true, |blob| blob.name.starts_with(prefix));
            rows.take_while(begins).collect()
        })
    }

    /// Gives a blob that is written a name; one that has it is replaced. Says whether it is new.
    pub fn keep_blob(&self, place: &Place, name: &str, written: BlobWritten) -> Result<bool, StoreError> {
        check_key(name).map_err(|problem| StoreError::StateInvalid(problem.detail))?;
        let BlobWritten { file, size_bytes, digest, hold } = written;
        let bytes_max = hold.bytes_max();
        // What was held for it is counted as stored now.
        drop(hold);
        let (place, name, file_name) = (place.clone(), name.to_owned(), file.name());
        let replaced = self.writer.write_and_wait(move |writing| {
            let before = writing.blob(&place, &name)?;
            let grown = bytes_of(&name, size_bytes) - before.as_ref().map_or(0, Kept::bytes);
            writing.grow(place.app(), grown, bytes_max)?;
            writing.remove(before.as_ref())?;
            let mut insert = writing.transaction.prepare_cached(INSERT)?;
            let digest = digest.map(|digest| digest.to_string());
            insert.execute(params![place.path(), name, file_name, size_bytes, unix_ms(), digest])?;
            Ok(before)
        })?;
        file.stays();
        self.drop_files(replaced.iter());
        Ok(replaced.is_none())
    }

    /// Removes blobs, where they are there. Says how many were.
    pub fn remove_blobs(&self, place: &Place, names: &[String]) -> Result<usize, StoreError> {
        check_batch(names.len(), 0).map_err(|problem| StoreError::StateInvalid(problem.detail))?;
        let (place, names) = (place.clone(), names.to_owned());
        let removed: Vec<Kept> = self.writer.write_and_wait(move |writing| {
            let mut removed = Vec::new();
            for name in &names {
                if let Some(kept) = writing.blob(&place, name)? {
                    writing.remove(Some(&kept))?;
                    writing.grow(place.app(), -kept.bytes(), 0)?;
                    removed.push(kept);
                }
            }
            Ok(removed)
        })?;
        self.drop_files(removed.iter());
        Ok(removed.len())
    }

    /// Removes all blobs of a container.
    pub fn clear_blobs(&self, place: &Place) -> Result<(), StoreError> {
        let path = place.path().to_owned();
        // The first path that is greater.
        let to = format!("{path}\0");
        while self.remove_some_blobs(place.app(), [path.clone(), to.clone()])? {}
        Ok(())
    }

    /// Gives a blob another name too, in the same container or in another one, with a content of its own.
    pub fn copy_blob(&self, from: (&Place, &str), to: (&Place, &str), bytes_max: u64) -> Result<(), StoreError> {
        let Some(kept) = self.kept(from.0, from.1)? else { return Err(StoreError::NoBlob(from.1.to_owned())) };
        let mut hold = self.accounts.file(to.0.app(), bytes_max)?;
        hold.grow(kept.size_bytes)?;
        let dir = self.blobs_dir();
        let (path, copy) = (dir.join(&kept.file), dir.join(random_name()?));
        // Files never change, so two names may share one.
        let copied = fs::hard_link(&path, &copy).or_else(|_| fs::copy(&path, &copy).map(drop));
        let file = Gone::new(copy.clone());
        copied.and_then(|()| fs::File::open(&copy)?.sync_all()).map_err(StoreError::io("copying a blob"))?;
        sync_dir(&dir)?;
        self.keep_blob(to.0, to.1, BlobWritten { file, size_bytes: kept.size_bytes, digest: kept.digest, hold })?;
        Ok(())
    }

    /// Gives a blob another name, in the same container or in another one of its app.
    pub fn move_blob(&self, from: (&Place, &str), to: (&Place, &str)) -> Result<(), StoreError> {
        check_key(to.1).map_err(|problem| StoreError::StateInvalid(problem.detail))?;
        let (from, to) = ((from.0.clone(), from.1.to_owned()), (to.0.clone(), to.1.to_owned()));
        if from == to {
            return self.kept(&from.0, &from.1)?.map(drop).ok_or(StoreError::NoBlob(from.1));
        }
        let replaced = self.writer.write_and_wait(move |writing| {
            let kept = writing.blob(&from.0, &from.1)?.ok_or(StoreError::NoBlob(from.1))?;
            let before = writing.blob(&to.0, &to.1)?;
            writing.remove(before.as_ref())?;
            let text = "update blobs set place = ?2, name = ?3 where id = ?1";
            writing.transaction.prepare_cached(text)?.execute(params![kept.id, to.0.path(), to.1])?;
            let grown = bytes_of(&to.1, kept.size_bytes) - kept.bytes() - before.as_ref().map_or(0, Kept::bytes);
            // No more than a longer name.
            writing.grow(to.0.app(), grown, u64::MAX)?;
            Ok(before)
        })?;
        self.drop_files(replaced.iter());
        Ok(())
    }

    /// Removes some of an app's blobs. Says whether there may be more.
    pub(super) fn remove_blobs_of(&self, app: &AppName) -> Result<bool, StoreError> {
        self.remove_some_blobs(app, range(app))
    }

    fn remove_some_blobs(&self, app: &AppName, [from, to]: [String; 2]) -> Result<bool, StoreError> {
        let app = app.clone();
        let removed: Vec<Kept> = self.writer.write_and_wait(move |writing| {
            let text = format!(
                "delete from blobs where id in (select id from blobs where place >= ?1 and place < ?2 limit ?3)
                returning {COLUMNS}"
            );
            let mut query = writing.transaction.prepare_cached(&text)?;
            let removed: Vec<_> =
                query.query_map(params![from, to, STEP_BLOBS], Kept::of)?.collect::<Result<_, _>>()?;
            writing.grow(&app, -removed.iter().map(Kept::bytes).sum::<i64>(), 0)?;
            Ok(removed)
        })?;
        self.drop_files(removed.iter());
        Ok(!removed.is_empty())
    }

    fn kept(&self, place: &Place, name: &str) -> Result<Option<Kept>, StoreError> {
        let text = format!("select {COLUMNS} from blobs where place = ?1 and name = ?2");
        self.readers.read(|database| {
            let mut query = database.prepare_cached(&text)?;
            query.query_row((place.path(), name), Kept::of).optional()
        })
    }

    /// Removes files that no blob has any more.
    fn drop_files<'a>(&self, blobs: impl Iterator<Item = &'a Kept>) {
        let dir: PathBuf = self.blobs_dir();
        blobs.for_each(|blob| self.retention.let_go(Gone::new(dir.join(&blob.file))));
    }
}

impl Writing<'_> {
    fn blob(&self, place: &Place, name: &str) -> Result<Option<Kept>, StoreError> {
        let text = format!("select {COLUMNS} from blobs where place = ?1 and name = ?2");
        let mut query = self.transaction.prepare_cached(&text)?;
        Ok(query.query_row((place.path(), name), Kept::of).optional()?)
    }

    fn remove(&self, blob: Option<&Kept>) -> Result<(), StoreError> {
        if let Some(blob) = blob {
            self.transaction.prepare_cached("delete from blobs where id = ?1")?.execute([blob.id])?;
        }
        Ok(())
    }
}
