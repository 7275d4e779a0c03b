//! What all functions have in common of the world outside: which addresses they may reach, how names become addresses, and how many
//! connections there may be.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use gust_core::outbound::{Networks, is_public};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

use super::trust::Trust;

/// Names that are resolved at the same time. Each takes a thread for as long as the system's resolver takes.
const LOOKUPS_MAX: usize = 64;

/// The world outside.
pub(crate) struct Outside {
    networks: Networks,
    /// The host's own listeners, which are no function's to ask.
    own: Vec<SocketAddr>,
    /// Places for connections, of all functions together.
    pub(super) connections: Arc<Semaphore>,
    pub(super) resolver: Box<dyn Resolve>,
    pub(super) trust: Trust,
}

impl Outside {
    /// Beyond a host that listens at `own`. Its functions may reach what is public, and `networks`.
    pub(crate) fn new(networks: Networks, own: Vec<SocketAddr>, connections_max: usize) -> Self {
        Self {
            networks,
            own,
            connections: Arc::new(Semaphore::new(connections_max)),
            resolver: Box::new(System { lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)) }),
            trust: Trust::default(),
        }
    }

    /// Whether a function may reach an address, if its manifest names whoever has it.
    pub(super) fn is_open(&self, address: SocketAddr) -> bool {
        let ip = address.ip();
        self.networks.contain(ip) || (is_public(ip) && !self.is_own(address))
    }

    /// Whether one of the host's own listeners has it. One that listens on all addresses has each one of the machine's.
    fn is_own(&self, address: SocketAddr) -> bool {
        self.own.iter().any(|own| {
            own.port() == address.port()
                && (own.ip().to_canonical() == address.ip().to_canonical()
                    || (own.ip().is_unspecified() && is_of_this_machine(address.ip())))
        })
    }
}

/// Only one's own addresses can be listened on.
fn is_of_this_machine(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// Turns names into addresses.
pub(super) trait Resolve: Send + Sync {
    /// The addresses that a name has at this moment. `place` is held until the look-up is over, whether or not anybody waits for it.
    fn resolve(
        &self,
        name: &str,
        port: u16,
        place: OwnedSemaphorePermit,
    ) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// As the machine does it.
struct System {
    lookups: Arc<Semaphore>,
}

impl Resolve for System {
    fn resolve(
        &self,
        name: &str,
        port: u16,
        place: OwnedSemaphorePermit,
    ) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let (lookups, name) = (self.lookups.clone(), name.to_owned());
        Box::pin(async move {
            let lookup = lookups.acquire_owned().await.map_err(io::Error::other)?;
            // The system's resolver is not to be interrupted, so the place is its own until it is done.
            task::spawn_blocking(move || {
                let _places = (place, lookup);
                (&*name, port).to_socket_addrs().map(Iterator::collect)
            })
            .await?
        })
    }
}

#[cfg(test)]
impl Outside {
    /// One where names have the addresses that they are given, lookup for lookup, and functions may reach `networks`.
    pub(super) fn of_test(networks: &str, lookups: Vec<Vec<SocketAddr>>) -> Self {
        let networks = networks.parse().unwrap();
        let resolver = Box::new(testing::Given(std::sync::Mutex::new(lookups.into())));
        Self { resolver, ..Self::new(networks, Vec::new(), 16) }
    }
}

#[cfg(test)]
mod testing {
    use std::{collections::VecDeque, future::ready, sync::Mutex};

    use super::*;

    /// Gives one answer after the other.
    pub(super) struct Given(pub(super) Mutex<VecDeque<Vec<SocketAddr>>>);

    impl Resolve for Given {
        fn resolve(&self, _: &str, _: u16, _: OwnedSemaphorePermit) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            let given = self.0.lock().unwrap().pop_front().ok_or_else(|| io::Error::other("asked once more"));
            Box::pin(ready(given))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(networks: &str, own: &[&str]) -> Outside {
        let own = own.iter().map(|own| own.parse().unwrap()).collect();
        Outside::new(networks.parse().unwrap(), own, 1)
    }

    fn is_open(outside: &Outside, address: &str) -> bool {
        outside.is_open(address.parse().unwrap())
    }

    #[test]
    fn what_is_not_public_is_the_operators_to_open() {
        let closed = outside("", &[]);
        let opened = outside("127.0.0.0/8, fd00::/8", &[]);
        for (address, when_opened) in [
            ("127.0.0.1:80", true),
            ("[::ffff:127.0.0.1]:80", true),
            ("[fd00::1]:80", true),
            ("169.254.169.254:80", false),
            ("[::1]:80", false),
            ("10.0.0.1:80", false),
            ("[2002:7f00:1::]:80", false),
        ] {
            assert!(!is_open(&closed, address), "{address}");
            assert_eq!(is_open(&opened, address), when_opened, "{address}");
        }
        assert!(is_open(&closed, "1.1.1.1:80"));
    }

    #[test]
    fn the_hosts_own_listeners_are_closed_even_where_they_are_public() {
        let own = outside("", &["1.2.3.4:3001"]);
        assert!(!is_open(&own, "1.2.3.4:3001") && !is_open(&own, "[::ffff:1.2.3.4]:3001"));
        assert!(is_open(&own, "1.2.3.4:3000") && is_open(&own, "1.2.3.5:3001"));
        // Nothing public is of this machine here, so an address of its own stands for one.
        let everywhere = outside("", &["0.0.0.0:3001"]);
        let own = |address: &str| everywhere.is_own(address.parse().unwrap());
        assert!(own("127.0.0.1:3001") && !own("127.0.0.1:3002") && !own("1.1.1.1:3001"));
        assert!(is_open(&outside("127.0.0.0/8", &["127.0.0.1:3001"]), "127.0.0.1:3001"));
    }
}
