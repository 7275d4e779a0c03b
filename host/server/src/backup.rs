//! Backups of a host that serves, and what is deployed replaced by one of them.

use std::sync::Arc;

use gust_core::{Code, Problem};
use gust_store::{Contents, Restoring};

use crate::{archive::Outgoing, changes::Changes, logbook::unix_ms, tokens, work::blocking};

impl Changes {
    /// All that is stored, ready to be written.
    pub(crate) async fn back_up(&self) -> Result<Outgoing, Problem> {
        let store = self.store.clone();
        blocking(move || Outgoing::new(store.back_up()?, unix_ms())).await?
    }

    /// Puts a backup in the place of all that is deployed: the store first, then the catalog. Requests that have begun finish
    /// on what they found, and what is the same in both goes on.
    pub(crate) async fn restore_from(self: &Arc<Self>, restoring: Restoring) -> Result<Contents, Problem> {
        let (contents, documents, restoring) =
            blocking(move || Ok::<_, Problem>((restoring.contents()?, restoring.tokens()?, restoring))).await??;
        let refused =
            |problem: Problem| Problem::new(Code::BackupInvalid, format!("{}; nothing was changed", problem.detail));
        let book = self.book(tokens::read(&documents)).map_err(refused)?;
        let turn = self.changing.lock().await;
        let store = self.store.clone();
        blocking(move || store.restore(&restoring)).await??;
        self.begin_anew(book).await.map_err(not_in_force)?;
        let store = self.store.clone();
        // They belong to no version, or to no app, whatever becomes of their files; the next start tries again.
        let _ = blocking(move || store.remove_unreferenced().and_then(|()| store.remove_state_of_none())).await?;
        drop(turn);
        let Contents { functions, versions, apps, tokens, state } = contents;
        let (key_values, blobs) = (state.map(|state| state.key_values), state.map(|state| state.blobs));
        tracing::info!(functions, versions, apps, tokens, key_values, blobs, "restored from a backup");
        Ok(contents)
    }
}

/// The store has changed and the catalog has not: only a failing disk does that.
fn not_in_force(problem: Problem) -> Problem {
    let detail = "the backup is stored, but not in force; restart the host";
    Problem::new(Code::StoreFailed, detail).with_internal(problem.to_string())
}
