//! Archives on their way in: read once, in their order, and refused where a byte of them is missing or another.

use std::io::{self, Read};

use gust_core::{Code, Digest, Problem, api::BackupInfo};
use gust_store::{Restoring, Staged, Store};
use tar::{Archive, Entries, Entry, EntryType};

use super::{BLOBS, COMPONENTS, DATABASE, FORMAT, FORMAT_WITHOUT_STATE, INFO, STATE, SUFFIX};

/// The longest `backup.json`, in bytes.
const INFO_BYTES_MAX: u64 = 4 << 10;

/// The largest database, in bytes.
const DATABASE_BYTES_MAX: u64 = (8 << 30) - 1;

/// The largest database of what functions keep, in bytes.
const STATE_BYTES_MAX: u64 = 1 << 40;

/// What may follow an archive's end, in bytes: some programs fill it up.
const FILLING_BYTES_MAX: u64 = 1 << 20;

/// Bytes of a file that are taken at once.
const PIECE_BYTES: usize = 64 << 10;

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

pub(super) fn name<R: Read>(file: &Entry<'_, R>) -> String {
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
