//! Work that nobody's connection stands for, and that is waited for before the host ends.

use tokio::sync::watch::{Receiver, Sender};

/// What is under way.
pub(crate) struct UnderWay(Sender<()>);

/// A piece of it, until it is dropped.
pub(crate) struct Piece {
    _counted: Receiver<()>,
}

impl UnderWay {
    pub(crate) fn new() -> Self {
        Self(Sender::new(()))
    }

    /// Counts one more.
    pub(crate) fn begin(&self) -> Piece {
        Piece { _counted: self.0.subscribe() }
    }

    /// Waits until there is none.
    pub(crate) async fn ended(&self) {
        self.0.closed().await;
    }
}
