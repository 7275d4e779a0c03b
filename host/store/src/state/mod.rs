//! State that functions keep: key-values in a database of their own beside `gust.db`, blobs as files that it knows.
//!
//! ```text
//! <data>/state.db         key-values, and what is known of blobs (SQLite, write-ahead log)
//! <data>/blobs/<random>   the blobs' content
//! ```
//!
//! One thread writes ([`writer`]): all that waits for it becomes one transaction, so many wait for the disk together. Reads go past it.
//! What belongs to an app is found by its [`Place`], and what it takes is counted by its account ([`accounts`]).

mod accounts;
mod backup;
mod blob_file;
mod blobs;
mod expiry;
mod key_values;
mod place;
mod places;
mod readers;
mod restore;
mod retention;
mod schema;
mod writer;

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use gust_core::AppName;
use rusqlite::Connection;

pub use backup::{BlobCopy, StateBackup};
pub use blob_file::{BlobReading, BlobWriting, BlobWritten};
pub use key_values::Kept;
pub use place::Place;
pub use places::PlaceKind;
pub use restore::{AwaitedBlob, StateContents};

use self::{accounts::Accounts, readers::Readers, retention::Retention, writer::Writer};
pub(crate) use self::{backup::Moment, restore::Arrived, schema::MIGRATIONS};
use crate::StoreError;

/// The name of the database's file.
pub(crate) const DATABASE: &str = "state.db";

/// The directory of blobs, in the data directory.
pub(crate) const BLOBS_DIR: &str = "blobs";

/// The state of all apps of one host.
pub struct State {
    dir: PathBuf,
    tmp_dir: PathBuf,
    accounts: Arc<Accounts>,
    readers: Readers,
    retention: Arc<Retention>,
    writer: Writer,
}

impl State {
    /// Opens the state in the data directory `dir`, made where it is not there. Blobs that were half written are removed.
    pub(crate) fn open(dir: &Path, tmp_dir: PathBuf) -> Result<Self, StoreError> {
        let path = dir.join(DATABASE);
        let database = schema::open(&path)?;
        remove_unreferenced(&dir.join(BLOBS_DIR), &database)?;
        let accounts = Arc::new(Accounts::new(schema::stored_bytes(&database)?));
        let writer = Writer::start(database, accounts.clone())?;
        let (readers, retention) = (Readers::new(path), Arc::default());
        Ok(Self { dir: dir.to_owned(), tmp_dir, accounts, readers, retention, writer })
    }

    /// What an app's key-values and blobs take, in bytes.
    pub fn stored_bytes(&self, app: &AppName) -> u64 {
        self.accounts.stored_bytes(app)
    }

    /// Apps that have any.
    pub fn apps(&self) -> Vec<AppName> {
        self.accounts.apps()
    }

    /// Removes all that an app has.
    pub fn remove_app(&self, app: &AppName) -> Result<(), StoreError> {
        while self.remove_key_values_of(app)? || self.remove_blobs_of(app)? {}
        Ok(())
    }

    pub(crate) fn blobs_dir(&self) -> PathBuf {
        self.dir.join(BLOBS_DIR)
    }
}

/// Removes blobs' files that the database does not know: of writes that were interrupted, or of blobs that are gone.
fn remove_unreferenced(dir: &Path, database: &Connection) -> Result<(), StoreError> {
    let mut query = database.prepare("select file from blobs")?;
    let known: HashSet<String> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let failed = || StoreError::io(format!("{} cannot be read", dir.display()));
    for entry in fs::read_dir(dir).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        if !entry.file_name().to_str().is_some_and(|name| known.contains(name)) {
            crate::store::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Milliseconds since 1970-01-01T00:00Z.
fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests;
