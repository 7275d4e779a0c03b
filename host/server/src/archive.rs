//! A backup as one file: a tar (POSIX.1-1988) of `backup.json`, `gust.db` and `components/<digest>.wasm`, in this order.
//!
//! When the components come, the database has said which ones there are and how large they are, so that nothing else is taken
//! and all that is taken has an end. No name in an archive becomes a path.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::PathBuf,
};

use gust_core::{Code, Digest, Problem, api::BackupInfo};
use gust_store::{Backup, Restoring, Staged, Store};
use tar::{Archive, Builder, Entries, Entry, EntryType, Header};

/// Which files there are, and in which order.
const FORMAT: u32 = 1;

const INFO: &str = "backup.json";
const DATABASE: &str = "gust.db";
const COMPONENTS: &str = "components/";
const SUFFIX: &str = ".wasm";

/// The longest `backup.json`, in bytes.
const INFO_BYTES_MAX: u64 = 4 << 10;

/// The largest database, in bytes: all that a plain header can say.
const DATABASE_BYTES_MAX: u64 = (8 << 30) - 1;

/// Files are filled up to multiples of this, in bytes.
const BLOCK_BYTES: u64 = 512;

/// What may follow an archive's end, in bytes: some programs fill it up.
const FILLING_BYTES_MAX: u64 = 1 << 20;

/// Bytes of a file that are taken at once.
const PIECE_BYTES: usize = 64 << 10;

/// A backup that is to be written.
pub(crate) struct Outgoing {
    /// Holds the files.
    _backup: Backup,
    info: Vec<u8>,
    files: Vec<OutgoingFile>,
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
        let info = BackupInfo { format: FORMAT, gust, unix_ms, schema, database: backup.database_digest()? };
        // Digits and letters, so it cannot fail to be written.
        let info = serde_json::to_vec(&info).unwrap_or_default();
        let database = (DATABASE.to_owned(), backup.database());
        let components = backup.components().map(|(digest, path)| (format!("{COMPONENTS}{digest}{SUFFIX}"), path));
        let file = |(name, path): (String, PathBuf)| {
            let size_bytes = path.metadata()?.len();
            Ok(OutgoingFile { name, path, size_bytes })
        };
        let files = std::iter::once(database).chain(components).map(file).collect::<io::Result<_>>();
        let files = files.map_err(failed)?;
        Ok(Self { info, files, mtime_s: unix_ms / 1000, _backup: backup })
    }

    /// How long the archive is: a header and the content of each file, and two empty blocks.
    pub(crate) fn length_bytes(&self) -> u64 {
        let sizes = std::iter::once(self.info.len() as u64).chain(self.files.iter().map(|file| file.size_bytes));
        let blocks: u64 = sizes.map(|bytes| 1 + bytes.div_ceil(BLOCK_BYTES)).sum();
        (blocks + 2) * BLOCK_BYTES
    }

    /// Writes the archive.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut archive = Builder::new(out);
        archive.append(&self.header(INFO, self.info.len() as u64)?, &*self.info)?;
        for OutgoingFile { name, path, size_bytes } in &self.files {
            archive.append(&self.header(name, *size_bytes)?, File::open(path)?)?;
        }
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
    while let Some(file) = next(&mut files)? {
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
    ends(archive.into_inner())?;
    Ok((info, restoring))
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
    if info.format != FORMAT {
        let BackupInfo { format, gust, .. } = info;
        return Err(invalid(format!("it has the format {format} of gust {gust:?}, this host knows {FORMAT}")));
    }
    Ok(info)
}

/// The next file, which has to be this one.
fn expected<'a, R: Read>(files: &mut Entries<'a, R>, wanted: &str, bytes_max: u64) -> Result<Entry<'a, R>, Problem> {
    let file = next(files)?.ok_or_else(|| invalid(format!("it ends before {wanted}")))?;
    let found = name(&file);
    if found != wanted {
        return Err(invalid(format!("it has {found:?} where {wanted} should be")));
    }
    if file.size() > bytes_max {
        return Err(invalid(format!("{wanted} has {} bytes, and may have {bytes_max}", file.size())));
    }
    Ok(file)
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
