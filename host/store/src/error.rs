//! What can go wrong in the store, by cause.

use std::{io, path::PathBuf};

use gust_core::{Code, Digest, Problem};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the directory.
    #[error("another gust host is using {0}; stop it, or give this one its own --data-dir")]
    Locked(PathBuf),
    /// A secret can be read by others.
    #[error("{path} can be read by others (mode {mode:o}); run: chmod 600 {path}", path = .0.display(), mode = .1)]
    Exposed(PathBuf, u32),
    /// The database is of a later version of gust.
    #[error("the data was written by a later version of gust (schema {found}, this one knows {known})")]
    NewerSchema {
        /// The schema found.
        found: u32,
        /// The newest schema that this version knows.
        known: u32,
    },
    /// There are components, but no record of any function.
    #[error(
        "{path} holds components, but gust.db, which says whose they are, is missing or empty. Put it back, or remove \
         {path}/components to begin anew",
        path = .0.display()
    )]
    Lost(PathBuf),
    /// A component is not what was stored.
    #[error("the stored component {0} is damaged; deploy it again")]
    Corrupt(Digest),
    /// A blob is not what was written.
    #[error("the blob {name:?} of {place} is damaged; write it again, or remove it")]
    CorruptBlob {
        /// Its app and container.
        place: String,
        /// Its name.
        name: String,
    },
    /// An upload is larger than allowed.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// A function or app is not as whoever changes it has seen it.
    #[error("it was changed meanwhile; look at it again")]
    Changed,
    /// A function that belongs to another app.
    #[error("the function belongs to another app")]
    Elsewhere,
    /// A function was removed while it was changed.
    #[error("the function was removed meanwhile")]
    Vanished,
    /// A share of an alias that has no other version.
    #[error("there is no other version to share requests with; deploy without a weight")]
    NothingToSplitWith,
    /// An app that functions are in.
    #[error("functions are in this app; remove them or take them out first")]
    AppNotEmpty,
    /// An app's components are more than it may store.
    #[error("the app's components would take {bytes} bytes; its quota stored_bytes is {bytes_max}")]
    QuotaStored {
        /// What they would take.
        bytes: u64,
        /// What they may.
        bytes_max: u64,
    },
    /// An app's key-values and blobs are more than it may store.
    #[error("the app has no room for it: its quota storage_mib is {mib_max}")]
    QuotaStorage {
        /// What they may take, in MiB.
        mib_max: u64,
    },
    /// Something that is kept in no bucket or container.
    #[error("{0}")]
    StateInvalid(String),
    /// There is no such blob.
    #[error("there is no blob {0:?}")]
    NoBlob(String),
    /// More is under way than may be.
    #[error("too many {0} at the moment; try again")]
    StateBusy(&'static str),
    /// What many wrote together is not on the disk.
    #[error("not written: {why}")]
    Unwritten {
        /// Whether the disk is full.
        is_full: bool,
        /// Why, for the log.
        why: String,
    },
    /// A backup that nothing can be restored from.
    #[error("{0}")]
    Backup(String),
    /// The disk is full.
    #[error("no room left while {0}")]
    Full(String),
    /// A file or directory cannot be used.
    #[error("{context}: {source}")]
    Io {
        /// What was tried.
        context: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The database failed.
    #[error("the database: {0}")]
    Database(rusqlite::Error),
}

impl StoreError {
    /// Whether the disk is what failed, and not what was asked.
    pub(crate) fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Io { .. } | Self::Database(_))
    }

    /// An error of the file system, told from a full disk.
    pub(crate) fn io(context: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let context = context.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(context),
            _ => Self::Io { context, source },
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full("writing the database".to_owned()),
            _ => Self::Database(error),
        }
    }
}

/// As told to those who deploy: paths are for the log only.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let (code, detail) = match &error {
            StoreError::Full(_) | StoreError::Unwritten { is_full: true, .. } => {
                (Code::StoreFull, "nothing was changed; make room on the host's disk".to_owned())
            }
            StoreError::Corrupt(_) | StoreError::CorruptBlob { .. } => (Code::StoreCorrupt, error.to_string()),
            StoreError::TooLarge(_) => (Code::UploadTooLarge, error.to_string()),
            StoreError::Changed => (Code::ApiChanged, error.to_string()),
            StoreError::Elsewhere => (Code::FunctionElsewhere, error.to_string()),
            StoreError::Vanished => (Code::FunctionNotFound, error.to_string()),
            StoreError::NothingToSplitWith => (Code::AliasInvalid, error.to_string()),
            StoreError::AppNotEmpty => (Code::AppNotEmpty, error.to_string()),
            StoreError::Backup(what) => (Code::BackupInvalid, format!("{what}; nothing was changed")),
            StoreError::QuotaStorage { .. } => (Code::QuotaStorage, error.to_string()),
            StoreError::StateInvalid(what) => (Code::StateInvalid, what.clone()),
            StoreError::NoBlob(_) => (Code::StateNotFound, error.to_string()),
            StoreError::StateBusy(_) => (Code::StateBusy, error.to_string()),
            StoreError::QuotaStored { .. } => (Code::QuotaStoredBytes, error.to_string()),
            _ => (Code::StoreFailed, "nothing was changed; the host's log has the cause".to_owned()),
        };
        Self::new(code, detail).with_internal(error.to_string())
    }
}
