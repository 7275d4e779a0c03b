//! What a function keeps outside of its instances, as the engine knows it: buckets of key-values and containers of blobs. Whoever serves
//! functions says which a function may use, and keeps them.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use gust_core::{
    Problem,
    state::{Blob, Change, Changed, Versioned},
};

/// Something that is waited for. Where nobody does any more, it may still be done.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T, Problem>> + Send>>;

/// What a function may use. A problem's detail is for the guest to read.
pub trait State: Send + Sync {
    /// The bucket of that name. None where the function may not use it.
    fn bucket(&self, name: &str) -> Option<Arc<dyn Bucket>>;

    /// The container of that name. None where the function may not use it.
    fn container(&self, name: &str) -> Option<Arc<dyn Container>>;

    /// Begins a blob that has no name yet.
    fn begin_blob(&self) -> Pending<Box<dyn BlobSink>>;

    /// Gives a blob another name, too or instead, in containers of these names.
    fn copy_blob(&self, from: BlobId, to: BlobId, is_move: bool) -> Pending<()>;
}

/// Where a blob is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobId {
    /// The name of its container.
    pub container: String,
    /// Its own.
    pub name: String,
}

/// A bucket of key-values. What is read is read at once, from memory mostly.
pub trait Bucket: Send + Sync {
    /// A value.
    fn get(&self, key: &str) -> Result<Option<Versioned>, Problem>;

    /// Whether there is a value.
    fn exists(&self, key: &str) -> Result<bool, Problem>;

    /// The keys after this one, in order, a page of them. None where there are no more.
    fn keys(&self, after: String) -> Pending<Vec<String>>;

    /// Changes it. What is set is kept for `ttl`, or for as long as the function says of the bucket.
    fn change(&self, change: Change, ttl: Option<Duration>) -> Pending<Changed>;
}

/// A container of blobs.
pub trait Container: Send + Sync {
    /// What is known of a blob.
    fn blob(&self, name: String) -> Pending<Option<Blob>>;

    /// Opens a blob.
    fn read(&self, name: String) -> Pending<Option<Arc<dyn BlobSource>>>;

    /// The names after this one, in order, at most so many.
    fn names(&self, after: String, max: usize) -> Pending<Vec<String>>;

    /// Removes blobs, where they are there.
    fn remove(&self, names: Vec<String>) -> Pending<()>;

    /// Removes all blobs.
    fn clear(&self) -> Pending<()>;
}

/// A blob that is being written. Dropping it leaves nothing.
pub trait BlobSink: Send {
    /// Takes the next piece. Gives itself back for the one after it.
    fn write(self: Box<Self>, piece: Bytes) -> Pending<Box<dyn BlobSink>>;

    /// Ends it, and gives it a name.
    fn keep(self: Box<Self>, id: BlobId) -> Pending<()>;
}

/// A blob that is being read. It stays as it is.
pub trait BlobSource: Send + Sync {
    /// Its size.
    fn size_bytes(&self) -> u64;

    /// What is at `offset`, at most so much. Nothing at its end.
    fn read(self: Arc<Self>, offset: u64, bytes_max: usize) -> Pending<Bytes>;
}
