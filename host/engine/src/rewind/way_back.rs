//! The way of an instance that serves back to where it is kept, and what is counted if it never arrives.

use std::sync::Arc;

use super::{kept::Home, refusal::Refusal, rewinding::Rewinding};

/// What an instance is put back with and where it goes, until it is on its way. Dropping it before says that the instance is
/// lost: it trapped, ran out of time or was abandoned.
pub(crate) struct WayBack(Option<(Box<Home>, Arc<Rewinding>)>);

impl WayBack {
    pub(crate) fn new(home: Box<Home>, to: Arc<Rewinding>) -> Self {
        Self(Some((home, to)))
    }

    /// Begins it, after a call that returned or where nothing was asked of the instance.
    pub(crate) fn begin(mut self) -> Option<(Box<Home>, Arc<Rewinding>)> {
        self.0.take()
    }
}

impl Drop for WayBack {
    fn drop(&mut self) {
        if let Some((_, to)) = &self.0 {
            to.refused(Refusal::Ended);
        }
    }
}
