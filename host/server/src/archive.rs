//! A backup as one file: a tar (POSIX.1-1988) of `backup.json`, `gust.db`, `components/<digest>.wasm`, `state.db` and
//! `blobs/<name>`, in this order. Format 1 ends with the components.
//!
//! When the components come, the database has said which ones there are and how large they are, so that nothing else is taken
//! and all that is taken has an end; of the blobs `state.db` says it, and in which order. No name in an archive becomes a path.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::PathBuf,
};

use gust_core::{Code, Digest, Problem, api::BackupInfo, digest::Digester};
use gust_store::{Backup, BlobCopy, Restoring, Staged, Store};
use tar::{Archive, Builder, Entries, Entry, EntryType, Header};

/// Which files there are, and in which order.
const FORMAT: u32 = 2;

/// The same, without what functions keep.
const FORMAT_WITHOUT_STATE: u32 = 1;

const INFO: &str = "backup.json";
const DATABASE: &str = "gust.db";
const COMPONENTS: &str = "components/";
const SUFFIX: &str = ".wasm";
const STATE: &str = "state.db";
const BLOBS: &str = "blobs/";

/// The longest `backup.json`, in bytes.
const INFO_BYTES_MAX: u64 = 4 << 10;

/// The largest database, in bytes.
const DATABASE_BYTES_MAX: u64 = (8 << 30) - 1;

/// The largest database of what functions keep, in bytes.
const STATE_BYTES_MAX: u64 = 1 << 40;

/// Files are filled up to multiples of this, in bytes.
const BLOCK_BYTES: u64 = 512;

/// What may follow an archive's end, in bytes: some programs fill it up.
const FILLING_BYTES_MAX: u64 = 1 << 20;

/// Bytes of a file that are taken at once.
const PIECE_BYTES: usize = 64 << 10;

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

/// Reads an archive into the store's directory, and checks all of it. Nothing that is stored is changed by that.
pub(crate) fn read(store: &Store, body: impl Read) -> Result<(BackupInfo, Restoring), Problem> {
    let mut archive = Archive::new(body);
    // As they are: what extends names and sizes is not taken, and would be read into memory.
    let mut files = archive.entries().map_err(unreadable)?.raw(true);
    let info = info(&mut files)?;
    let database = expected(&mut files, DATABASE, DATABASE_BYTES_MAX)?;
    let database = staged(store, database)?;
    if database.digest != info.database {
        return Err(invalid(format!("{DATABASE} is damaged")));
    }
    let mut restoring = store.begin_restore(database)?;
    let mut state = None;
    while let Some(file) = next(&mut files)? {
        if info.state.is_some() && name(&file) == STATE {
            state = Some(file);
            break;
        }
        let (digest, size_bytes) = component(&file, &restoring)?;
        if file.size() != size_bytes {
            return Err(invalid(format!("the component {digest} has {} bytes and not {size_bytes}", file.size())));
        }
        let component = staged(store, file)?;
        if component.digest != digest {
            return Err(invalid(format!("the component {digest} is damaged")));
        }
        restoring.add(component.sync()?)?;
    }
    if let Some(digest) = info.state {
        let file = state.ok_or_else(|| invalid(format!("it ends before {STATE}")))?;
        read_state(store, file, digest, &mut restoring)?;
        read_blobs(store, &mut files, &mut restoring)?;
    }
    ends(archive.into_inner())?;
    Ok((info, restoring))
}

fn read_state<R: Read>(
    store: &Store,
    file: Entry<'_, R>,
    digest: Digest,
    restoring: &mut Restoring,
) -> Result<(), Problem> {
    must_fit(&file, STATE, STATE_BYTES_MAX)?;
    let state = staged(store, file)?;
    if state.digest != digest {
        return Err(invalid(format!("{STATE} is damaged")));
    }
    Ok(restoring.begin_state(state)?)
}

/// Reads the blobs, in their order, until all are here.
fn read_blobs<R: Read>(store: &Store, files: &mut Entries<'_, R>, restoring: &mut Restoring) -> Result<(), Problem> {
    while let Some(file) = next(files)? {
        let found = name(&file);
        let awaited = restoring.awaited_blob()?.filter(|blob| found.strip_prefix(BLOBS) == Some(&blob.file));
        let blob = awaited.ok_or_else(|| invalid(format!("{found:?} does not belong where it is")))?;
        if file.size() != blob.size_bytes {
            let (name, place, wanted) = (blob.name, blob.place, blob.size_bytes);
            let detail = format!("the blob {name:?} of {place} has {} bytes and not {wanted}", file.size());
            return Err(invalid(detail));
        }
        restoring.add_blob(staged(store, file)?.sync()?)?;
    }
    Ok(())
}

/// The component that a file is by its name, and how large it has to be.
fn component<R: Read>(file: &Entry<'_, R>, restoring: &Restoring) -> Result<(Digest, u64), Problem> {
    let name = name(file);
    let digest = name.strip_prefix(COMPONENTS).and_then(|rest| rest.strip_suffix(SUFFIX)?.parse().ok());
    let found = digest.and_then(|digest| Some((digest, restoring.awaited_bytes(&digest)?)));
    found.ok_or_else(|| invalid(format!("nothing in it says what {name:?} is for, or it is in it twice")))
}

fn info<R: Read>(files: &mut Entries<'_, R>) -> Result<BackupInfo, Problem> {
    let file = expected(files, INFO, INFO_BYTES_MAX)?;
    let mut text = Vec::new();
    file.take(INFO_BYTES_MAX).read_to_end(&mut text).map_err(unreadable)?;
    let unknown = |error: serde_json::Error| invalid(format!("{INFO} cannot be read: {error}"));
    let info: BackupInfo = serde_json::from_slice(&text).map_err(unknown)?;
    match (info.format, &info.state) {
        (FORMAT, Some(_)) | (FORMAT_WITHOUT_STATE, None) => Ok(info),
        (FORMAT | FORMAT_WITHOUT_STATE, _) => Err(invalid(format!("{INFO} does not have what its format says"))),
        (format, _) => {
            let gust = info.gust;
            Err(invalid(format!("it has the format {format} of gust {gust:?}, this host knows {FORMAT}")))
        }
    }
}

/// The next file, which has to be this one.
fn expected<'a, R: Read>(files: &mut Entries<'a, R>, wanted: &str, bytes_max: u64) -> Result<Entry<'a, R>, Problem> {
    let file = next(files)?.ok_or_else(|| invalid(format!("it ends before {wanted}")))?;
    let found = name(&file);
    if found != wanted {
        return Err(invalid(format!("it has {found:?} where {wanted} should be")));
    }
    must_fit(&file, wanted, bytes_max)?;
    Ok(file)
}

fn must_fit<R: Read>(file: &Entry<'_, R>, name: &str, bytes_max: u64) -> Result<(), Problem> {
    if file.size() <= bytes_max {
        return Ok(());
    }
    Err(invalid(format!("{name} has {} bytes, and may have {bytes_max}", file.size())))
}

fn next<'a, R: Read>(files: &mut Entries<'a, R>) -> Result<Option<Entry<'a, R>>, Problem> {
    let Some(file) = files.next().transpose().map_err(unreadable)? else { return Ok(None) };
    match file.header().entry_type() {
        EntryType::Regular => Ok(Some(file)),
        _ => Err(invalid(format!("{:?} in it is not a plain file", name(&file)))),
    }
}

fn name<R: Read>(file: &Entry<'_, R>) -> String {
    String::from_utf8_lossy(&file.path_bytes()).into_owned()
}

fn staged<R: Read>(store: &Store, mut file: Entry<'_, R>) -> Result<Staged, Problem> {
    let (mut staging, mut piece) = (store.stage(file.size())?, vec![0; PIECE_BYTES]);
    loop {
        match file.read(&mut piece).map_err(unreadable)? {
            0 => break,
            read => staging.write(piece.get(..read).unwrap_or_default())?,
        }
    }
    let staged = staging.finish();
    if staged.size_bytes == file.size() {
        Ok(staged)
    } else {
        Err(invalid(format!("it ends within {:?}", name(&file))))
    }
}

/// Reads what fills the archive up, and fails where it is more than that.
fn ends(rest: impl Read) -> Result<(), Problem> {
    let filling = io::copy(&mut rest.take(FILLING_BYTES_MAX + 1), &mut io::sink()).map_err(unreadable)?;
    if filling > FILLING_BYTES_MAX { Err(invalid("something else follows it".to_owned())) } else { Ok(()) }
}

fn failed(error: io::Error) -> Problem {
    Problem::new(Code::StoreFailed, "no backup was made; the host's log has the cause").with_internal(error.to_string())
}

fn invalid(what: String) -> Problem {
    Problem::new(Code::BackupInvalid, format!("{what}; nothing was changed"))
}

/// A body that breaks off, told from an archive that cannot be read.
fn unreadable(error: io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::ConnectionAborted => {
            let detail = "the backup did not arrive whole; nothing was changed";
            Problem::new(Code::UploadIncomplete, detail).with_internal(error.to_string())
        }
        _ => invalid(format!("it is not a whole tar archive: {error}")),
    }
}

#[cfg(test)]
mod tests;
