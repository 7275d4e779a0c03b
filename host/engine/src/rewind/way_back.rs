//! The way of an instance that serves back to where it is kept, and what is counted if it never arrives.

use std::sync::Arc;

use wasmtime::Store;

use super::{kept::Home, refusal::Refusal, rewinding::Rewinding};
use crate::{callee::Instance, host::Host};

/// What an instance is put back with and where it goes. Dropping it says that the instance is lost: it trapped, ran out of
/// time or was abandoned.
pub(crate) struct WayBack {
    /// Until it is there.
    home: Option<Box<Home>>,
    to: Arc<Rewinding>,
}

impl WayBack {
    pub(crate) fn new(home: Box<Home>, to: Arc<Rewinding>) -> Self {
        Self { home: Some(home), to }
    }

    /// Puts back the instance after a call that returned, in the same poll. `at_once` says that the call was over the first
    /// time it was polled.
    pub(crate) async fn take(mut self, store: Store<Host>, callee: Instance, at_once: bool) {
        if let Some(home) = self.home.take() {
            self.to.give_back(store, callee, home, at_once).await;
        }
    }

    /// Lets an instance go that nothing was asked of.
    pub(crate) fn forget(mut self) {
        self.home = None;
    }
}

impl Drop for WayBack {
    fn drop(&mut self) {
        if self.home.is_some() {
            self.to.refused(Refusal::Ended);
        }
    }
}
