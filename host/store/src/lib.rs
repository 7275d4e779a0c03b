//! What must last, in one directory: components as files, versions in SQLite, keys as files only their owner reads.
//!
//! ```text
//! <data>/lock                     held while a host runs
//! <data>/gust.db                  versions, aliases, apps and tokens (SQLite, write-ahead log)
//! <data>/state.db                 what functions keep: key-values, and which blobs there are (likewise)
//! <data>/blobs/                   the blobs' content
//! <data>/components/<digest>.wasm what was uploaded, by its digest
//! <data>/tmp/                     uploads on their way; emptied at each start
//! <data>/*.key, admin.token       secrets, mode 0600
//! ```
//!
//! What a method says is done is on the disk when it returns; what was interrupted leaves nothing behind after the next
//! start. All methods block: call them where blocking is allowed.

mod aliases;
mod apps;
mod backup;
mod change;
mod components;
mod error;
mod functions;
mod keys;
mod publish;
mod restore;
mod rows;
mod schema;
mod state;
mod store;
mod tokens;

pub use aliases::{Change, PastChange};
pub use apps::{SettingKind, StoredApp, StoredSetting};
pub use backup::Backup;
pub use components::{Durable, Staged, Staging};
pub use error::StoreError;
pub use functions::{StoredAlias, StoredFunction, StoredVersion, Watch};
pub use keys::private_file;
pub use publish::{Published, Release};
pub use restore::{Contents, Restoring};
pub use state::{
    AwaitedBlob, BlobCopy, BlobReading, BlobWriting, BlobWritten, Kept, Place, PlaceKind, State, StateBackup,
    StateContents,
};
pub use store::Store;
