//! Accepting connections: for as long as the host lives, whatever single connections do.

use std::{convert::Infallible, io, mem, net, net::SocketAddr, sync::Arc, time::Duration};

use gust_core::config::HostConfig;
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use prometheus_client::metrics::gauge::Gauge;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

use crate::{
    begun::Begun,
    coalescing::Coalescing,
    draining::Draining,
    handshake::Secured,
    leaving::{self, Streams},
    lingering::Lingering,
    machine::Allowed,
    patience::{Activity, Watched},
    tls::Tls,
};

/// How long accepting pauses when the process has no file descriptor left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// What the kernel holds of what was written and not yet taken, in bytes (it doubles this). So a connection that is written
/// to at all moves every minute or so even where its client is slow, and a client that reads nothing costs little.
const SEND_BUFFER_BYTES: u32 = 256 << 10;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Binds a socket for a [`Listener`].
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A host that restarts takes over at once.
    socket.set_reuseaddr(true)?;
    // Connections have it from their listener.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Takes over a socket that somebody else bound.
pub(crate) fn take_over(socket: net::TcpListener) -> io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER_BYTES as usize)?;
    TcpListener::from_std(socket)
}

/// Requests of one HTTP/2 connection at the same time.
const STREAMS_MAX: u32 = 128;

/// What a stream of HTTP/2 may have that is not written yet before more is asked of its answer, in bytes.
const STREAM_SEND_BYTES_MAX: usize = 32 << 10;

/// What is kept of an HTTP/1 connection that is not read yet, in bytes. A head that is longer is refused.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// The headers of one HTTP/2 request, in bytes, each with 32 more (RFC 9113, section 6.5.2).
const HEADER_LIST_BYTES_MAX: u32 = 20 << 10;

/// One of the host's listeners.
pub(crate) struct Listener {
    socket: TcpListener,
    /// None where it speaks plain HTTP.
    tls: Option<Tls>,
    protocol: Arc<auto::Builder<Streams>>,
    places: Arc<Semaphore>,
    open: Gauge,
    bounds: Bounds,
}

/// A deploy says nothing while it waits for its compilation, and followed logs nothing but a word every 15 s; so long at least.
const ADMIN_STILL_MIN: Duration = Duration::from_secs(60);

/// What a listener bears.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Connections at the same time.
    pub(crate) connections: u32,
    /// The longest that a handshake takes, and a request's head.
    pub(crate) head: Duration,
    /// How long a connection may stand still.
    pub(crate) still: Duration,
}

impl Bounds {
    /// Of the listener for clients.
    pub(crate) fn of_data(config: &HostConfig, allowed: &Allowed) -> Self {
        let connections = allowed.connections(config);
        if connections < config.connections_max {
            let what = "few files may be open, so fewer connections than connections_max; see gust doctor";
            tracing::warn!(connections, "{what}");
        }
        Self { connections, head: ms(config.header_ms), still: ms(config.idle_ms) }
    }

    /// Of the admin API's.
    pub(crate) fn of_admin(config: &HostConfig, allowed: &Allowed) -> Self {
        let still = ms(config.idle_ms) + ms(config.compile_ms_max).max(ADMIN_STILL_MIN);
        Self { connections: allowed.admin_connections(config), head: ms(config.header_ms), still }
    }
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

impl Listener {
    /// HTTP/1.1 and HTTP/2 on a bound socket, over TLS where that is given. `open` counts its connections.
    pub(crate) fn new(socket: TcpListener, tls: Option<Tls>, bounds: Bounds, open: Gauge) -> Self {
        let Bounds { connections, head, .. } = bounds;
        let mut protocol = auto::Builder::new(Streams);
        protocol.http1().timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(BUFFER_BYTES_MAX);
        protocol.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
        protocol.http2().max_send_buf_size(STREAM_SEND_BYTES_MAX);
        protocol.http2().max_header_list_size(HEADER_LIST_BYTES_MAX);
        let places = Arc::new(Semaphore::new(connections as usize));
        Self { socket, tls, protocol: protocol.into(), places, open, bounds }
    }

    /// Serves every connection with what `service` makes for it, until it is dropped. `connections` ends them in an orderly
    /// way.
    pub(crate) async fn run<S, B>(self, service: impl Fn(&Arc<Activity>) -> S, connections: &Draining)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
        S::Future: Send,
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        loop {
            // Closed only with the listener.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            let stream = self.accept().await;
            let activity = Activity::new();
            let stream = Lingering::new(stream, Counted::new(place, self.open.clone()), activity.clone());
            // Below TLS: these two are about the connection itself, whatever its bytes mean, a handshake's among them.
            let stream = Watched::new(stream, activity.clone());
            let service = service(&activity);
            match &self.tls {
                None => self.serve(stream, service, activity, connections),
                Some(tls) => {
                    let stream = Secured::new(&tls.acceptor(), stream, self.bounds.head);
                    self.serve(stream, service, activity, connections);
                }
            }
        }
    }

    /// Serves one connection, in a task of its own.
    fn serve<T, S, B>(&self, stream: T, service: S, activity: Arc<Activity>, connections: &Draining)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
        S::Future: Send,
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let (protocol, head, still) = (self.protocol.clone(), self.bounds.head, self.bounds.still);
        let mut told = connections.watch();
        let of_connection = activity.clone();
        let connection = async move {
            let Some(stream) = told.unless(Begun::wait(stream, head)).await else { return Ok(()) };
            // Above TLS: what waits for others is an answer, which is then encrypted and written in one go. Below, the records of a
            // handshake would wait too, and bytes that TLS has taken would count as written.
            let io = TokioIo::new(Coalescing::new(stream?));
            let connection = protocol.serve_connection(io, service).into_owned();
            // In a place of its own, so that those that have not begun are small.
            // What was written of an answer that is not whole must not look so.
            let served = told.serve(connection, &of_connection);
            let ended = Box::pin(leaving::in_time(served, || of_connection.breaks())).await;
            ended.flatten().unwrap_or(Ok(()))
        };
        tokio::spawn(async move {
            tokio::select! {
                biased;
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                }
                () = activity.stands_still(still) => tracing::debug!("a connection stood still and is ended"),
            }
        });
    }

    /// The next connection. What is wrong with one is no reason to stop accepting.
    async fn accept(&self) -> TcpStream {
        let mut is_told = false;
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    if is_told {
                        tracing::info!("connections are accepted again");
                    }
                    // Without it an answer may wait for the client's next acknowledgement.
                    let _ = stream.set_nodelay(true);
                    return stream;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if !mem::replace(&mut is_told, true) {
                        tracing::error!(%error, "no connection can be accepted; trying again");
                    }
                    time::sleep(EXHAUSTED_PAUSE).await;
                }
            }
        }
    }
}

/// A connection's place, counted for as long as it is held.
struct Counted {
    open: Gauge,
    _place: OwnedSemaphorePermit,
}

impl Counted {
    fn new(place: OwnedSemaphorePermit, open: Gauge) -> Self {
        open.inc();
        Self { open, _place: place }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.dec();
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
