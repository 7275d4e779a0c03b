//! Components: staged while they are uploaded, kept under their digest, checked when they are read.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use gust_core::{Digest, digest::Digester};
use tempfile::NamedTempFile;

use crate::{Store, StoreError};

/// The directory of components, in the data directory.
pub(crate) const DIR: &str = "components";

/// The directory of uploads on their way.
pub(crate) const TMP_DIR: &str = "tmp";

/// Bytes of a component that are read at once.
const PIECE_BYTES: usize = 64 << 10;

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
    pub(crate) file: NamedTempFile,
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
        let found = digest_of(&path).map_err(StoreError::io(format!("{} cannot be read", path.display())))?;
        if found == *digest { Ok(()) } else { Err(StoreError::Corrupt(*digest)) }
    }

    /// Moves an upload to its place. Durable when it returns.
    pub(crate) fn keep(&self, staged: Staged) -> Result<(), StoreError> {
        let path = self.component_path(&staged.digest);
        staged.file.persist(&path).map_err(|error| StoreError::io(keeping(&path))(error.error))?;
        self.sync_components()
    }

    /// Waits until what was moved to its place is there on the disk.
    pub(crate) fn sync_components(&self) -> Result<(), StoreError> {
        let dir = self.dir().join(DIR);
        File::open(&dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io(keeping(&dir)))
    }
}

/// What is done with a component, for an error.
pub(crate) fn keeping(path: &Path) -> String {
    format!("keeping {}", path.display())
}

/// The digest of a file, read piece by piece.
pub(crate) fn digest_of(path: &Path) -> io::Result<Digest> {
    let (mut file, mut digester, mut piece) = (File::open(path)?, Digester::default(), vec![0; PIECE_BYTES]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(digester.finish()),
            read => digester.update(piece.get(..read).unwrap_or_default()),
        }
    }
}
