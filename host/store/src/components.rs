//! Components: staged while they are uploaded, kept under their digest, checked when they are read.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use gust_core::{Digest, digest::Digester};
use tempfile::NamedTempFile;

use crate::{Store, StoreError};

/// The directory of components, in the data directory.
pub(crate) const DIR: &str = "components";

/// The directory of uploads on their way.
pub(crate) const TMP_DIR: &str = "tmp";

/// The name of a component's file.
pub(crate) fn file_name(digest: &Digest) -> String {
    format!("{digest}.wasm")
}

/// A component that is being uploaded. Dropping it leaves nothing.
pub struct Staging {
    file: NamedTempFile,
    digester: Digester,
    bytes: u64,
    bytes_max: u64,
}

/// A component that has arrived whole. Dropping it leaves nothing.
pub struct Staged {
    file: NamedTempFile,
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
}

/// A component that is on the disk, but belongs to no version yet. Dropping it leaves nothing.
pub struct Durable(pub(crate) Staged);

impl Staging {
    /// Takes the next piece.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.bytes_max {
            return Err(StoreError::TooLarge(self.bytes_max));
        }
        self.digester.update(piece);
        self.file.write_all(piece).map_err(StoreError::io("writing an upload"))
    }

    /// Ends the upload.
    pub fn finish(self) -> Staged {
        Staged { file: self.file, digest: self.digester.finish(), size_bytes: self.bytes }
    }
}

impl Staged {
    /// Where it is, for the compiler.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Waits until it is on the disk.
    pub fn sync(self) -> Result<Durable, StoreError> {
        self.file.as_file().sync_all().map_err(StoreError::io("writing an upload"))?;
        Ok(Durable(self))
    }
}

impl Store {
    /// Begins an upload of at most `bytes_max` bytes.
    pub fn stage(&self, bytes_max: u64) -> Result<Staging, StoreError> {
        let file = NamedTempFile::new_in(self.tmp_dir()).map_err(StoreError::io("beginning an upload"))?;
        Ok(Staging { file, digester: Digester::default(), bytes: 0, bytes_max })
    }

    /// A directory for what is on its way and need not last: it is emptied when the store is opened.
    pub fn tmp_dir(&self) -> PathBuf {
        self.dir().join(TMP_DIR)
    }

    /// Where the component with this digest is kept.
    pub fn component_path(&self, digest: &Digest) -> PathBuf {
        self.dir().join(DIR).join(file_name(digest))
    }

    /// Checks that the component with this digest is what was stored.
    pub fn verify(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.component_path(digest);
        let bytes = fs::read(&path).map_err(StoreError::io(format!("{} cannot be read", path.display())))?;
        if Digest::of(&bytes) == *digest { Ok(()) } else { Err(StoreError::Corrupt(*digest)) }
    }

    /// Moves an upload to its place. Durable when it returns.
    pub(crate) fn keep(&self, staged: Staged) -> Result<(), StoreError> {
        let path = self.component_path(&staged.digest);
        let failed = || StoreError::io(format!("keeping {}", path.display()));
        staged.file.persist(&path).map_err(|error| failed()(error.error))?;
        File::open(self.dir().join(DIR)).and_then(|dir| dir.sync_all()).map_err(failed())
    }
}
