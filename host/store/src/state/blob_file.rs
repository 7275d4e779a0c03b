//! A blob's content: written to a file of its own beside the others, on the disk before anybody knows of it, and never changed.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use gust_core::{Digest, digest::Digester};
use tempfile::NamedTempFile;

use super::{Place, State, accounts::Hold};
use crate::StoreError;

/// A blob that is being written. Dropping it leaves nothing.
pub struct BlobWriting {
    file: NamedTempFile,
    digester: Digester,
    size_bytes: u64,
    hold: Hold,
    dir: PathBuf,
}

/// A blob that is written and on the disk, and has no name yet. Dropping it leaves nothing.
pub struct BlobWritten {
    pub(super) file: Gone,
    /// Its size.
    pub size_bytes: u64,
    /// None of one that is a copy of one that has none.
    pub(super) digest: Option<Digest>,
    pub(super) hold: Hold,
}

/// A blob that is being read. What it holds stays, also where the blob is replaced or removed meanwhile.
pub struct BlobReading {
    file: File,
    /// Its size.
    pub size_bytes: u64,
    /// When it was written: milliseconds since 1970-01-01T00:00Z.
    pub created_unix_ms: u64,
    _hold: Hold,
}

/// A file that goes when this is dropped.
pub(super) struct Gone(Option<PathBuf>);

impl State {
    /// Begins to write a blob of an app, which may store so many bytes.
    pub fn begin_blob(&self, app: &gust_core::AppName, bytes_max: u64) -> Result<BlobWriting, StoreError> {
        let hold = self.accounts.file(app, bytes_max)?;
        let file = NamedTempFile::new_in(&self.tmp_dir).map_err(StoreError::io("beginning a blob"))?;
        Ok(BlobWriting { file, digester: Digester::default(), size_bytes: 0, hold, dir: self.blobs_dir() })
    }

    pub(super) fn open_blob(
        &self,
        place: &Place,
        file: &str,
        (size_bytes, created_unix_ms): (u64, u64),
    ) -> Result<Option<BlobReading>, StoreError> {
        let hold = self.accounts.file(place.app(), 0)?;
        match File::open(self.blobs_dir().join(file)) {
            Ok(file) => Ok(Some(BlobReading { file, size_bytes, created_unix_ms, _hold: hold })),
            // Removed since it was looked up.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("opening a blob")(error)),
        }
    }
}

impl BlobWriting {
    /// Takes the next piece.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.hold.grow(piece.len() as u64)?;
        self.file.write_all(piece).map_err(StoreError::io("writing a blob"))?;
        self.digester.update(piece);
        self.size_bytes += piece.len() as u64;
        Ok(())
    }

    /// Ends it, and waits until it is on the disk.
    pub fn finish(self) -> Result<BlobWritten, StoreError> {
        let Self { file, digester, size_bytes, hold, dir } = self;
        file.as_file().sync_all().map_err(StoreError::io("writing a blob"))?;
        let path = dir.join(random_name()?);
        file.persist_noclobber(&path).map_err(|error| StoreError::io("keeping a blob")(error.error))?;
        let file = Gone::new(path);
        sync_dir(&dir)?;
        Ok(BlobWritten { file, size_bytes, digest: Some(digester.finish()), hold })
    }
}

impl BlobReading {
    /// Reads what is at `offset`, as much as fits. Nothing at its end.
    pub fn read_at(&self, piece: &mut [u8], offset: u64) -> Result<usize, StoreError> {
        self.file.read_at(piece, offset).map_err(StoreError::io("reading a blob"))
    }
}

impl Gone {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(Some(path))
    }

    /// The file's name in its directory.
    pub(super) fn name(&self) -> String {
        let name = self.0.as_deref().and_then(Path::file_name).unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Keeps the file.
    pub(super) fn stays(mut self) {
        self.0 = None;
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        if let Some(path) = self.0.take()
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::debug!(%error, "a blob's file is removed at the next start");
        }
    }
}

/// A name that no file has.
pub(super) fn random_name() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    let failed = |error: getrandom::Error| StoreError::io("drawing a blob's name")(std::io::Error::other(error));
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}

/// Waits until the names of files are on the disk.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io("keeping a blob"))
}
