//! The sockets that a host listens on: those that it was handed, else its own.
//!
//! Whoever hands them over, a [supervisor](crate::supervisor) or systemd, keeps them open too. So clients that come while no host
//! serves wait in the sockets' queues, and the next host answers them.

use std::{io, net, net::SocketAddr};

use gust_core::config::HostConfig;
use tokio::net::TcpListener;

use crate::{listener, serve_error::ServeError};

/// The listeners, in the order in which their sockets are handed over, with the flag that sets the address of each.
const FLAGS: [&str; 2] = ["listen", "admin"];

/// The data listener's and the admin listener's. `handed` are the first ones of them.
pub(crate) fn open(config: &HostConfig, handed: Vec<net::TcpListener>) -> Result<[TcpListener; 2], ServeError> {
    if handed.len() > FLAGS.len() {
        return Err(ServeError::TooManySockets(handed.len()));
    }
    let mut handed = handed.into_iter();
    let mut next = |address: SocketAddr, flag| {
        let opened = handed.next().map_or_else(|| listener::bind(address), listener::take_over);
        opened.map_err(|source: io::Error| ServeError::Listen { address, flag, source })
    };
    let [data, admin] = FLAGS;
    Ok([next(config.listen, data)?, next(config.admin, admin)?])
}
