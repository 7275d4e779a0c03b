//! Archives on their way out: how long one is, and then piece by piece.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::PathBuf,
};

use gust_core::{Code, Problem, api::BackupInfo, digest::Digester};
use gust_store::{Backup, BlobCopy};
use tar::{Builder, Header};

use super::{BLOBS, COMPONENTS, DATABASE, FORMAT, INFO, STATE, SUFFIX};

/// Files are filled up to multiples of this, in bytes.
const BLOCK_BYTES: u64 = 512;

/// A backup that is to be written.
pub(crate) struct Outgoing {
    /// Holds the files.
    backup: Backup,
    info: Vec<u8>,
    files: Vec<OutgoingFile>,
    /// What the blobs take, with their headers.
    blob_blocks: u64,
    mtime_s: u64,
}

struct OutgoingFile {
    name: String,
    path: PathBuf,
    size_bytes: u64,
}

impl Outgoing {
    /// Of a copy of the store that was made at `unix_ms`.
    pub(crate) fn new(backup: Backup, unix_ms: u64) -> Result<Self, Problem> {
        let (gust, schema) = (env!("CARGO_PKG_VERSION").to_owned(), backup.schema());
        let (database, state) = (backup.database_digest()?, Some(backup.state().database_digest()?));
        let info = BackupInfo { format: FORMAT, gust, unix_ms, schema, database, state };
        // Digits and letters, so it cannot fail to be written.
        let info = serde_json::to_vec(&info).unwrap_or_default();
        let database = (DATABASE.to_owned(), backup.database());
        let components = backup.components().map(|(digest, path)| (format!("{COMPONENTS}{digest}{SUFFIX}"), path));
        let file = |(name, path): (String, PathBuf)| {
            let size_bytes = path.metadata()?.len();
            Ok(OutgoingFile { name, path, size_bytes })
        };
        let state = (STATE.to_owned(), backup.state().database());
        let files = std::iter::once(database).chain(components).chain([state]).map(file).collect::<io::Result<_>>();
        let files = files.map_err(failed)?;
        let mut blob_blocks = 0;
        let count = |blob: BlobCopy| {
            blob_blocks += blocks(blob.size_bytes);
            Ok(())
        };
        backup.state().each_blob(count).map_err(failed)?;
        Ok(Self { info, files, blob_blocks, mtime_s: unix_ms / 1000, backup })
    }

    /// How long the archive is: a header and the content of each file, and two empty blocks.
    pub(crate) fn length_bytes(&self) -> u64 {
        let sizes = std::iter::once(self.info.len() as u64).chain(self.files.iter().map(|file| file.size_bytes));
        (sizes.map(blocks).sum::<u64>() + self.blob_blocks + 2) * BLOCK_BYTES
    }

    /// Writes the archive. A blob that is not what was written ends it.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut archive = Builder::new(out);
        archive.append(&self.header(INFO, self.info.len() as u64)?, &*self.info)?;
        for OutgoingFile { name, path, size_bytes } in &self.files {
            archive.append(&self.header(name, *size_bytes)?, File::open(path)?)?;
        }
        self.backup.state().each_blob(|blob| {
            let header = self.header(&format!("{BLOBS}{}", blob.file), blob.size_bytes)?;
            let mut content = Digesting { from: File::open(&blob.path)?, digester: Digester::default() };
            archive.append(&header, &mut content)?;
            if content.digester.finish() == blob.digest {
                return Ok(());
            }
            let BlobCopy { name, place, .. } = blob;
            Err(io::Error::other(format!("the blob {name:?} of {place} is damaged; write it again, or remove it")))
        })?;
        archive.finish()
    }

    fn header(&self, name: &str, size_bytes: u64) -> io::Result<Header> {
        let mut header = Header::new_gnu();
        header.set_path(name)?;
        header.set_size(size_bytes);
        header.set_mode(0o600);
        header.set_mtime(self.mtime_s);
        header.set_cksum();
        Ok(header)
    }
}

/// What a file takes, with its header.
fn blocks(size_bytes: u64) -> u64 {
    1 + size_bytes.div_ceil(BLOCK_BYTES)
}

/// Makes the digest of what is read.
struct Digesting {
    from: File,
    digester: Digester,
}

impl Read for Digesting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.digester.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

fn failed(error: io::Error) -> Problem {
    Problem::new(Code::StoreFailed, "no backup was made; the host's log has the cause").with_internal(error.to_string())
}
