//! A backup as one file: a tar (POSIX.1-1988) of `backup.json`, `gust.db`, `components/<digest>.wasm`, `state.db` and
//! `blobs/<name>`, in this order. Format 1 ends with the components.
//!
//! When the components come, the database has said which ones there are and how large they are, so that nothing else is taken
//! and all that is taken has an end; of the blobs `state.db` says it, and in which order. No name in an archive becomes a path.

mod incoming;
mod outgoing;

pub(crate) use self::{incoming::read, outgoing::Outgoing};

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

#[cfg(test)]
mod tests;
