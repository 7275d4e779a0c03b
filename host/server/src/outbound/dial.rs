//! From a name to a connection. A name is resolved once for each connection, every address that it has is checked, and it is these
//! addresses that are dialled: what the name leads to a moment later is of no consequence.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use gust_core::outbound::{Host, Target};
use gust_engine::{Cause, Unanswered};
use tokio::{net::TcpStream, select, sync::Semaphore, time};

use super::outside::Outside;

/// The most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// How long one address is waited for before the next one is tried beside it (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// The longest that resolving a name may take.
const RESOLVE: Duration = Duration::from_secs(10);

/// Connects to a peer, at an address that is open to functions. `lookups` are the places of whoever asks for it.
pub(super) async fn connect(
    outside: &Outside,
    lookups: &Arc<Semaphore>,
    target: &Target,
) -> Result<TcpStream, Unanswered> {
    let mut addresses = addresses(outside, lookups, target).await?;
    addresses.retain(|address| outside.is_open(*address));
    addresses.truncate(ADDRESSES_MAX);
    if addresses.is_empty() {
        // Which addresses names have here is not told: it may be nobody's business outside.
        let told = format!(
            "{target} is at an address that is not public; the host's operator opens networks to functions (outbound_networks)"
        );
        return Err(Unanswered::from(Cause::AddressProhibited).telling(told));
    }
    let stream = first_of(addresses).await.map_err(|error| unconnected(&error))?;
    // What is sent is mostly whole messages.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn addresses(
    outside: &Outside,
    lookups: &Arc<Semaphore>,
    target: &Target,
) -> Result<Vec<SocketAddr>, Unanswered> {
    let name = match &target.host {
        Host::Address(ip) => return Ok(vec![SocketAddr::new(*ip, target.port)]),
        Host::Name(name) => name,
    };
    let resolving = async {
        let place = lookups.clone().acquire_owned().await.map_err(io::Error::other)?;
        outside.resolver.resolve(name, target.port, place).await
    };
    let resolved = time::timeout(RESOLVE, resolving).await;
    match resolved.map_err(|_| Cause::DnsTimeout)? {
        Ok(addresses) if addresses.is_empty() => Err(Cause::Dns("no address".to_owned()).into()),
        Ok(addresses) => Ok(addresses.into_iter().map(|address| SocketAddr::new(address.ip(), target.port)).collect()),
        Err(error) => Err(Cause::Dns(error.to_string()).into()),
    }
}

/// The first connection that is made.
async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let (mut attempts, mut rest) = (FuturesUnordered::new(), addresses.into_iter());
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        attempts.extend(rest.next().map(TcpStream::connect));
        if attempts.is_empty() {
            return Err(failure);
        }
        select! {
            Some(attempt) = attempts.next() => match attempt {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            },
            () = time::sleep(STAGGER), if !rest.as_slice().is_empty() => {}
        }
    }
}

fn unconnected(error: &io::Error) -> Unanswered {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::ConnectionRefused,
        io::ErrorKind::TimedOut => Cause::ConnectionTimeout,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::AddrNotAvailable => {
            Cause::AddressUnroutable
        }
        _ => Cause::ConnectionTerminated,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::net::TcpListener;

    use super::*;

    fn named(port: u16) -> Target {
        Target { port, ..Target::of(&"http://peer.test/".parse().unwrap()).unwrap() }
    }

    fn lookups() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(1))
    }

    async fn cause(outside: &Outside, target: &Target) -> Cause {
        connect(outside, &lookups(), target).await.unwrap_err().cause().clone()
    }

    /// Two listeners at one port, of which functions may reach the first.
    async fn listeners() -> (TcpListener, TcpListener, [SocketAddr; 2]) {
        loop {
            let open = TcpListener::bind("127.0.0.2:0").await.unwrap();
            let port = open.local_addr().unwrap().port();
            if let Ok(closed) = TcpListener::bind(("127.0.0.1", port)).await {
                let addresses = [open.local_addr().unwrap(), closed.local_addr().unwrap()];
                return (open, closed, addresses);
            }
        }
    }

    #[tokio::test]
    async fn whose_names_take_long_waits_for_its_own_places() {
        let (_listener, _closed, [good, _]) = listeners().await;
        let outside = Outside::of_test("127.0.0.2", vec![vec![good]]);
        let (lookups, target) = (lookups(), named(good.port()));
        let held = lookups.clone().acquire_owned().await.unwrap();
        let mut connecting = pin!(connect(&outside, &lookups, &target));
        assert!(time::timeout(Duration::from_millis(50), &mut connecting).await.is_err(), "it went on without a place");
        drop(held);
        connecting.await.unwrap();
    }

    #[tokio::test]
    async fn a_name_that_is_bound_anew_leads_nowhere_else() {
        let (_listener, closed, [good, bad]) = listeners().await;
        // Good where it is checked, bad ever after: who resolved twice for one connection would come to the bad one.
        let outside = Outside::of_test("127.0.0.2", vec![vec![good], vec![bad], vec![bad]]);
        let stream = connect(&outside, &lookups(), &named(good.port())).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        for _ in 0..2 {
            assert_eq!(cause(&outside, &named(good.port())).await, Cause::AddressProhibited);
        }
        assert!(time::timeout(Duration::from_millis(50), closed.accept()).await.is_err(), "it was dialled");
    }

    #[tokio::test]
    async fn of_several_addresses_only_those_that_are_open_are_dialled() {
        let (_listener, closed, [good, bad]) = listeners().await;
        let outside = Outside::of_test("127.0.0.2", vec![vec![bad, good, bad]]);
        assert_eq!(connect(&outside, &lookups(), &named(good.port())).await.unwrap().peer_addr().unwrap(), good);
        assert!(time::timeout(Duration::from_millis(50), closed.accept()).await.is_err(), "it was dialled");
    }

    #[tokio::test]
    async fn where_one_address_fails_the_next_is_tried() {
        let (_listener, closed, [good, bad]) = listeners().await;
        drop(closed);
        let outside = Outside::of_test("127.0.0.0/8", vec![vec![bad, good], vec![bad], Vec::new()]);
        assert_eq!(connect(&outside, &lookups(), &named(good.port())).await.unwrap().peer_addr().unwrap(), good);
        assert_eq!(cause(&outside, &named(good.port())).await, Cause::ConnectionRefused);
        assert_eq!(cause(&outside, &named(good.port())).await, Cause::Dns("no address".to_owned()));
        assert_eq!(cause(&outside, &named(good.port())).await, Cause::Dns("asked once more".to_owned()));
    }

    #[tokio::test]
    async fn an_address_is_asked_of_nobody() {
        let outside = Outside::of_test("", Vec::new());
        for uri in ["http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/", "http://[::ffff:10.0.0.1]/"] {
            let target = Target::of(&uri.parse().unwrap()).unwrap();
            assert_eq!(cause(&outside, &target).await, Cause::AddressProhibited, "{uri}");
        }
    }
}
