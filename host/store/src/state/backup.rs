//! A copy of what functions keep, as it is at one moment, made while they go on.
//!
//! Key-values, and what is known of blobs, are read in one transaction of a connection of its own, which nobody who writes waits for.
//! A blob's file never changes: it gets one more name, and none goes until all have theirs. What is removed later is still in the copy.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use gust_core::Digest;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row};

use super::{BLOBS_DIR, DATABASE, State, retention::Retained, schema};
use crate::{StoreError, backup::link, components::digest_of, rows::parsed};

/// A moment that is fixed, and not copied yet.
pub(crate) struct Moment {
    /// In a transaction that sees what there was, with the copy attached to it.
    database: Connection,
    dir: PathBuf,
    blobs_dir: PathBuf,
    retained: Retained,
}

/// A copy of what functions keep. The directory that it is in belongs to the backup.
pub struct StateBackup {
    dir: PathBuf,
}

/// A blob in a backup.
pub struct BlobCopy {
    /// The name of its file, which no other one has.
    pub file: String,
    /// Where its content is.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: u64,
    /// The digest that its content has to have.
    pub digest: Digest,
    /// Its app and container.
    pub place: String,
    /// Its name.
    pub name: String,
}

impl State {
    /// Fixes what is kept now, to be copied to a directory.
    pub(crate) fn begin_backup(&self, dir: &Path) -> Result<Moment, StoreError> {
        // Before the moment: what goes after it is still there.
        let retained = self.retention.begin();
        let path = dir.join(DATABASE);
        drop(schema::make(&path)?);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(self.dir.join(DATABASE), flags)?;
        // Paths need not be UTF-8.
        database.execute("attach cast(?1 as text) as copy", [path.as_os_str().as_bytes()])?;
        database.execute_batch("pragma copy.journal_mode = off; pragma copy.synchronous = off; begin")?;
        // The transaction sees from now on what it sees here.
        database.query_row("select last from main.versions", [], |_| Ok(()))?;
        Ok(Moment { database, dir: dir.to_owned(), blobs_dir: self.blobs_dir(), retained })
    }
}

impl Moment {
    /// Copies it.
    pub(crate) fn copied(self) -> Result<StateBackup, StoreError> {
        let Self { database, dir, blobs_dir, retained } = self;
        // Versions are given and accounts made anew where it is restored.
        database.execute("insert into copy.pairs select * from main.pairs", [])?;
        database.execute("insert into copy.blobs select * from main.blobs", [])?;
        database.execute_batch("commit; detach copy")?;
        drop(database);
        let backup = StateBackup { dir };
        let database = backup.connect()?;
        backup.link_blobs(&database, &blobs_dir)?;
        drop(retained);
        backup.complete_digests(&database)?;
        Ok(backup)
    }
}

impl StateBackup {
    /// The database's file.
    pub fn database(&self) -> PathBuf {
        self.dir.join(DATABASE)
    }

    /// The digest of the database's file.
    pub fn database_digest(&self) -> Result<Digest, StoreError> {
        digest_of(&self.database()).map_err(StoreError::io("backing up what functions keep"))
    }

    /// Goes through all blobs, in the order in which they are restored.
    pub fn each_blob(&self, mut take: impl FnMut(BlobCopy) -> io::Result<()>) -> io::Result<()> {
        let database = self.connect().map_err(io::Error::other)?;
        let text = "select file, size_bytes, digest, place, name from blobs order by place, name";
        let mut query = database.prepare(text).map_err(io::Error::other)?;
        let blobs = query.query_map([], |row| self.blob(row)).map_err(io::Error::other)?;
        blobs.into_iter().try_for_each(|blob| take(blob.map_err(io::Error::other)?))
    }

    fn blob(&self, row: &Row<'_>) -> rusqlite::Result<BlobCopy> {
        let file: String = row.get(0)?;
        Ok(BlobCopy {
            path: self.path(&file),
            file,
            size_bytes: row.get(1)?,
            digest: parsed(row, 2)?,
            place: row.get(3)?,
            name: row.get(4)?,
        })
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let database = Connection::open(self.database())?;
        database.pragma_update(None, "journal_mode", "off")?;
        database.pragma_update(None, "synchronous", "off")?;
        Ok(database)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.join(BLOBS_DIR).join(file)
    }

    /// Gives each blob's file one more name.
    fn link_blobs(&self, database: &Connection, from: &Path) -> Result<(), StoreError> {
        fs::create_dir(self.dir.join(BLOBS_DIR)).map_err(StoreError::io("backing up blobs"))?;
        let mut query = database.prepare("select file, size_bytes, place, name from blobs")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let (file, size_bytes): (String, u64) = (row.get(0)?, row.get(1)?);
            let to = self.path(&file);
            let linked = link(&from.join(&file), &to).and_then(|()| to.metadata());
            match linked {
                Ok(metadata) if metadata.len() == size_bytes => {}
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io("backing up blobs")(error));
                }
                _ => return Err(StoreError::CorruptBlob { place: row.get(2)?, name: row.get(3)? }),
            }
        }
        Ok(())
    }

    /// Blobs that were written before there were digests get theirs: what they are now is what they are.
    fn complete_digests(&self, database: &Connection) -> Result<(), StoreError> {
        let text = "select id, file from blobs where id > ?1 and digest is null order by id limit 1";
        let next = |last: i64| database.query_row(text, [last], |row| Ok((row.get(0)?, row.get(1)?))).optional();
        let mut last = i64::MIN;
        while let Some((id, file)) = next(last)? {
            let file: String = file;
            last = id;
            let digest = digest_of(&self.path(&file)).map_err(StoreError::io("backing up blobs"))?;
            database.execute("update blobs set digest = ?2 where id = ?1", (id, digest.to_string()))?;
        }
        Ok(())
    }
}
