//! What keeps a host from starting, or from going on.

use std::{io, net::SocketAddr};

use gust_access::token_book::BookError;
use gust_core::Problem;
use gust_store::StoreError;

use crate::{tls::TlsError, vault::VaultError};

/// Why a host does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key that secrets are sealed with.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The tokens.
    #[error(transparent)]
    Tokens(#[from] BookError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address} (--{flag}): {source}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// More sockets than a host listens on.
    #[error(
        "{0} sockets were handed over (LISTEN_FDS); a host listens on two, the data listener's and then the admin listener's"
    )]
    TooManySockets(usize),
    /// A certificate or a key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The pool of instances.
    #[error("{}{}", .0.detail, .0.internal.as_ref().map_or(String::new(), |why| format!(": {why}")))]
    Engine(Problem),
    /// A thread, signal or directory.
    #[error("{context}: {source}")]
    System {
        /// What was tried.
        context: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

pub(crate) fn system(context: &'static str) -> impl FnOnce(io::Error) -> ServeError {
    move |source| ServeError::System { context, source }
}
