//! Backups: a consistent copy of all that is stored, made while the host serves. What functions keep is of the same moment as the rest.
//!
//! No key is part of it: secrets are in it as they are stored, sealed with a key that is kept elsewhere.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use gust_core::Digest;
use tempfile::TempDir;

use crate::{
    Store, StoreError, components, functions, schema,
    state::{Moment, StateBackup},
};

/// The name of the database's file.
pub(crate) const DATABASE: &str = "gust.db";

/// A copy of all that is stored, as it was at one moment. Dropping it leaves nothing.
pub struct Backup {
    dir: TempDir,
    digests: Vec<Digest>,
    state: StateBackup,
}

impl Store {
    /// Copies all that is stored. Nothing of the copy goes, whatever is removed meanwhile, and all of it is whole.
    pub fn back_up(&self) -> Result<Backup, StoreError> {
        let dir = TempDir::new_in(self.tmp_dir()).map_err(StoreError::io("beginning a backup"))?;
        let (digests, moment) = self.copied(&dir)?;
        // What could not be restored is told of now, and not when it is needed.
        verify(&dir, &digests)?;
        Ok(Backup { digests, state: moment.copied()?, dir })
    }

    /// Copies what is deployed, and fixes what of the state is of the same moment.
    fn copied(&self, dir: &TempDir) -> Result<(Vec<Digest>, Moment), StoreError> {
        // Held for all of it: a component's file goes only after the database has let go of it, and nothing is deployed in between.
        let database = self.database();
        let copy = dir.path().join(DATABASE);
        // Paths need not be UTF-8.
        database.execute("vacuum into cast(?1 as text)", [copy.as_os_str().as_bytes()])?;
        let digests = functions::digests(&database)?;
        for digest in &digests {
            link(&self.component_path(digest), &path(dir, digest)).map_err(|error| failed(digest, error))?;
        }
        let moment = self.state().begin_backup(dir.path())?;
        drop(database);
        Ok((digests, moment))
    }
}

impl Backup {
    /// The version of the database's schema.
    pub fn schema(&self) -> u32 {
        schema::newest()
    }

    /// The digest of the database's file.
    pub fn database_digest(&self) -> Result<Digest, StoreError> {
        components::digest_of(&self.database()).map_err(StoreError::io("backing up the database"))
    }

    /// The database's file.
    pub fn database(&self) -> PathBuf {
        self.dir.path().join(DATABASE)
    }

    /// The components and their files.
    pub fn components(&self) -> impl Iterator<Item = (Digest, PathBuf)> {
        self.digests.iter().map(|digest| (*digest, path(&self.dir, digest)))
    }

    /// What functions keep.
    pub fn state(&self) -> &StateBackup {
        &self.state
    }
}

fn path(dir: &TempDir, digest: &Digest) -> PathBuf {
    dir.path().join(components::file_name(digest))
}

fn verify(dir: &TempDir, digests: &[Digest]) -> Result<(), StoreError> {
    for digest in digests {
        if components::digest_of(&path(dir, digest)).map_err(|error| failed(digest, error))? != *digest {
            return Err(StoreError::Corrupt(*digest));
        }
    }
    Ok(())
}

/// One more name where the file system has that, for a component's file never changes; else a copy.
pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))
}

fn failed(digest: &Digest, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::NotFound => StoreError::Corrupt(*digest),
        _ => StoreError::io(format!("backing up the component {digest}"))(error),
    }
}
