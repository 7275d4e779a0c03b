//! The store as a whole: opening it, and what opening mends.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::{self, File, TryLockError},
    io::Write as _,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use gust_core::AppName;
use rusqlite::Connection;

use crate::{
    backup::DATABASE,
    components,
    error::StoreError,
    functions, schema,
    state::{self, State},
};

/// The store of one host. One process at a time has it.
pub struct Store {
    dir: PathBuf,
    database: Mutex<Connection>,
    state: State,
    /// Locked as long as it is open.
    _lock: File,
}

impl Store {
    /// Opens the store in `dir`, made where it is not there. What an interrupted deploy left behind is removed.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let failed = |path: &Path| StoreError::io(format!("the data directory {} cannot be used", path.display()));
        for path in
            [dir.to_owned(), dir.join(components::DIR), dir.join(components::TMP_DIR), dir.join(state::BLOBS_DIR)]
        {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(failed(&path))?;
        }
        let lock = lock(dir)?;
        empty(&dir.join(components::TMP_DIR))?;
        // Made and removed, so that a read-only directory is told of now and not at the first deploy.
        let probe = tempfile::NamedTempFile::new_in(dir).and_then(|mut file| file.write_all(b"x"));
        probe.map_err(failed(dir))?;
        let database = database(dir)?;
        let state = State::open(dir, dir.join(components::TMP_DIR))?;
        let store = Self { dir: dir.to_owned(), database: Mutex::new(database), state, _lock: lock };
        store.remove_unreferenced()?;
        store.remove_state_of_none()?;
        Ok(store)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What functions keep.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Removes what apps kept that are not there any more.
    pub fn remove_state_of_none(&self) -> Result<(), StoreError> {
        let apps: HashSet<AppName> = self.apps()?.into_iter().map(|app| app.name).collect();
        self.state.apps().iter().filter(|app| !apps.contains(*app)).try_for_each(|app| self.state.remove_app(app))
    }

    pub(crate) fn database(&self) -> MutexGuard<'_, Connection> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes component files that no version refers to: of an interrupted publish, or of a deleted function.
    pub fn remove_unreferenced(&self) -> Result<(), StoreError> {
        let referenced: HashSet<OsString> =
            functions::digests(&self.database())?.iter().map(|digest| components::file_name(digest).into()).collect();
        let dir = self.dir.join(components::DIR);
        let failed = || StoreError::io(format!("{} cannot be read", dir.display()));
        for entry in fs::read_dir(&dir).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            if !referenced.contains(&entry.file_name()) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// Opens the database. Where there are components and none, it was lost: it is not made anew, for what no database knows is removed.
fn database(dir: &Path) -> Result<Connection, StoreError> {
    let (path, lost) = (dir.join(DATABASE), || StoreError::Lost(dir.to_owned()));
    let must_be_there = holds_files(&dir.join(components::DIR))?;
    let is_there = fs::metadata(&path).is_ok_and(|metadata| metadata.len() > 0);
    if must_be_there && !is_there {
        return Err(lost());
    }
    let mut database = schema::connect(&path)?;
    if must_be_there && schema::version(&database)? == 0 {
        return Err(lost());
    }
    schema::migrate(&mut database)?;
    Ok(database)
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let failed = StoreError::io(format!("{} cannot be locked", path.display()));
    let options = File::options().create(true).truncate(false).write(true).open(&path);
    let file = match options {
        Ok(file) => file,
        Err(error) => return Err(failed(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn holds_files(dir: &Path) -> Result<bool, StoreError> {
    let mut entries = fs::read_dir(dir).map_err(StoreError::io(format!("{} cannot be read", dir.display())))?;
    Ok(entries.next().is_some())
}

/// Removes what does not belong, whatever it is.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(StoreError::io(format!("{} cannot be removed", path.display())))
}

fn empty(dir: &Path) -> Result<(), StoreError> {
    let failed = || StoreError::io(format!("{} cannot be emptied", dir.display()));
    for entry in fs::read_dir(dir).map_err(failed())? {
        remove(&entry.map_err(failed())?.path())?;
    }
    Ok(())
}
