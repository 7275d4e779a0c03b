//! What is deployed: one snapshot that requests read without a lock, replaced whole when something changes.

use std::{pin::pin, sync::Arc};

use arc_swap::ArcSwap;
use gust_access::TokenBook;
use tokio::sync::Notify;

use crate::{deployment::Deployment, routing, snapshot::Snapshot};

/// The snapshot in force.
pub(crate) struct Catalog {
    current: ArcSwap<Snapshot>,
    changed: Notify,
}

impl Catalog {
    /// Of nothing, for whoever has one of these tokens.
    pub(crate) fn empty(tokens: Arc<TokenBook>) -> Self {
        Self { current: ArcSwap::from_pointee(Snapshot::empty(tokens)), changed: Notify::new() }
    }

    /// The snapshot in force now. A request reads it once.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Replaces the snapshot by a changed one. Requests that have begun finish on what they found. Whoever calls it keeps
    /// others from doing so at the same time.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut next = Snapshot::clone(&self.load());
        change(&mut next);
        if next.has_routes() || !next.routes.are_none() {
            next.routes = Arc::new(routing::of(&next));
        }
        self.current.store(Arc::new(next));
        self.changed.notify_waiters();
    }

    /// Waits until no alias points to a deployment any more.
    pub(crate) async fn until_replaced(&self, deployment: &Arc<Deployment>) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Listening begins before looking.
            changed.as_mut().enable();
            if !self.load().holds(deployment) {
                return;
            }
            changed.await;
        }
    }
}
