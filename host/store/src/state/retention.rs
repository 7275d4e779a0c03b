//! Files of blobs that are gone. They are removed at once; while somebody goes through those of one moment, when that is done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::blob_file::Gone;

/// What is to be removed, and not yet.
#[derive(Default)]
pub(super) struct Retention(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    holders: u32,
    files: Vec<Gone>,
}

/// As long as it is there no file of a blob goes.
pub(super) struct Retained(Arc<Retention>);

impl Retention {
    /// Keeps all files until what it gives is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Retained {
        self.lock().holders += 1;
        Retained(self.clone())
    }

    /// Takes a file that no blob has any more.
    pub(super) fn let_go(&self, file: Gone) {
        let mut waiting = self.lock();
        if waiting.holders > 0 {
            waiting.files.push(file);
        } else {
            drop(waiting);
            drop(file);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Retained {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.holders -= 1;
        if waiting.holders == 0 {
            let files = std::mem::take(&mut waiting.files);
            drop(waiting);
            drop(files);
        }
    }
}
