//! `wasi:keyvalue`: what a function keeps in buckets. Two releases of it, which differ in little, over one implementation.
//!
//! A bucket that the function's manifest does not name is refused; which key of the manifest would allow it stands in the function's
//! log, for the interface has no text for that.

mod draft;
mod draft2;

use std::{sync::Arc, time::Duration};

use gust_core::{
    Problem,
    state::{BATCH_BYTES_MAX, Change, Changed, check_batch},
};
use wasmtime::component::{Linker, Resource, ResourceTableError};

use crate::{
    host::Host,
    state::{self, Pending},
};

/// The interfaces of this module, but for its own.
pub(super) const INTERFACES: &[&str] = &["wasi:keyvalue/store", "wasi:keyvalue/atomics", "wasi:keyvalue/batch"];

/// The releases of them that are spoken: that of wasmtime and wasmCloud, and that of Spin.
pub(super) const VERSIONS: [&str; 2] = ["0.2.0-draft", "0.2.0-draft2"];

/// The interface of gust's own.
pub(super) const OWN: &[&str] = &["gust:keyvalue/expiry"];

/// Its release.
pub(super) const OWN_VERSION: &str = "0.1.0";

/// Pages of keys after which a number tells no more where to go on.
const CURSORS_MAX: usize = 1024;

/// Adds them.
pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    draft::add_to_linker(linker)?;
    draft2::add_to_linker(linker)
}

/// A bucket that a guest has open.
pub struct Bucket {
    bucket: Arc<dyn state::Bucket>,
    /// The last keys of the pages that it was given, where the release has numbers for them.
    cursors: Vec<String>,
}

/// A value that a guest may swap: as it is since it was read.
pub struct Cas {
    bucket: Arc<dyn state::Bucket>,
    key: String,
    version: Option<u64>,
}

/// Why a guest does not get what it asks for.
pub enum Refused {
    /// Its manifest does not allow it.
    Denied,
    /// It cannot be had.
    Problem(Problem),
    /// The guest is ended.
    Trap(wasmtime::Error),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<ResourceTableError> for Refused {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

/// What a key has in a batch.
type Pair = (String, Vec<u8>);

impl Host {
    fn open_bucket(&mut self, name: &str) -> Result<Resource<Bucket>, Refused> {
        let Some(bucket) = self.state().and_then(|state| state.bucket(name)) else {
            self.log_refusal("kv", name);
            return Err(Refused::Denied);
        };
        Ok(self.give(Bucket { bucket, cursors: Vec::new() })?)
    }

    fn bucket(&mut self, bucket: &Resource<Bucket>) -> Result<Arc<dyn state::Bucket>, Refused> {
        Ok(self.resources().get(bucket)?.bucket.clone())
    }

    fn value(&mut self, bucket: &Resource<Bucket>, key: &str) -> Result<Option<Vec<u8>>, Refused> {
        Ok(self.bucket(bucket)?.get(key)?.map(|versioned| versioned.value))
    }

    fn values(&mut self, bucket: &Resource<Bucket>, keys: Vec<String>) -> Result<Vec<Option<Pair>>, Refused> {
        check_batch(keys.len(), 0)?;
        let (bucket, mut bytes, mut values) = (self.bucket(bucket)?, 0, Vec::with_capacity(keys.len()));
        for key in keys {
            let value = bucket.get(&key)?.map(|versioned| versioned.value);
            bytes += value.as_ref().map_or(0, Vec::len);
            if bytes > BATCH_BYTES_MAX {
                check_batch(0, bytes)?;
            }
            values.push(value.map(|value| (key, value)));
        }
        Ok(values)
    }

    fn changing(
        &mut self,
        bucket: &Resource<Bucket>,
        change: Change,
        ttl: Option<Duration>,
    ) -> Result<Pending<Changed>, Refused> {
        Ok(self.bucket(bucket)?.change(change, ttl))
    }

    async fn change(
        &mut self,
        bucket: &Resource<Bucket>,
        change: Change,
        ttl: Option<Duration>,
    ) -> Result<Changed, Refused> {
        Ok(self.changing(bucket, change, ttl)?.await?)
    }

    /// A page of keys, and the key after which the next one begins.
    async fn keys(
        &mut self,
        bucket: &Resource<Bucket>,
        after: String,
    ) -> Result<(Vec<String>, Option<String>), Refused> {
        let keys = self.bucket(bucket)?.keys(after).await?;
        let is_full = keys.len() >= gust_core::state::PAGE_KEYS_MAX;
        let last = keys.last().filter(|_| is_full).cloned();
        Ok((keys, last))
    }

    async fn increment(
        &mut self,
        bucket: &Resource<Bucket>,
        key: String,
        by: i128,
        range: (i128, i128),
    ) -> Result<i128, Refused> {
        match self.change(bucket, Change::Increment { key, by, range }, None).await? {
            Changed::Number(number) => Ok(number),
            Changed::Done | Changed::Stale => Ok(0),
        }
    }
}
