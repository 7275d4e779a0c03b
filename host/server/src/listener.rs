//! Accepting connections: for as long as the host lives, whatever single connections do.

use std::{convert::Infallible, io, mem, net, net::SocketAddr, sync::Arc, time::Duration};

use gust_core::config::HostConfig;
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
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
    lingering::Lingering,
    patience::{Activity, Patience, Watched},
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
const STREAMS_MAX: u32 = 256;

/// What is kept of an HTTP/1 connection that is not read yet, in bytes. A head that is longer is refused.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// The headers of one HTTP/2 request, in bytes, each with 32 more (RFC 9113, section 6.5.2).
const HEADER_LIST_BYTES_MAX: u32 = 20 << 10;

/// One of the host's listeners.
pub(crate) struct Listener {
    socket: TcpListener,
    /// None where it speaks plain HTTP.
    tls: Option<Tls>,
    protocol: Arc<auto::Builder<TokioExecutor>>,
    places: Arc<Semaphore>,
    open: Gauge,
    /// The longest that a handshake takes, and a request's head.
    head: Duration,
    patience: Patience,
}

impl Listener {
    /// HTTP/1.1 and HTTP/2 on a bound socket, over TLS where that is given. `open` counts its connections; one that is of no use is
    /// ended when `patience` is over.
    pub(crate) fn new(
        socket: TcpListener,
        tls: Option<Tls>,
        config: &HostConfig,
        open: Gauge,
        patience: Patience,
    ) -> Self {
        let head = Duration::from_millis(config.header_ms.into());
        let mut protocol = auto::Builder::new(TokioExecutor::new());
        protocol.http1().timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(BUFFER_BYTES_MAX);
        protocol.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
        protocol.http2().max_header_list_size(HEADER_LIST_BYTES_MAX);
        let places = Arc::new(Semaphore::new(config.connections_max as usize));
        Self { socket, tls, protocol: protocol.into(), places, open, head, patience }
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
            let activity = Activity::new(self.patience);
            let stream = Lingering::new(stream, Counted::new(place, self.open.clone()), activity.clone());
            // Below TLS: these two are about the connection itself, whatever its bytes mean, a handshake's among them.
            let stream = Watched::new(stream, activity.clone());
            let service = service(&activity);
            match &self.tls {
                None => self.serve(stream, service, activity, connections),
                Some(tls) => {
                    let stream = Secured::new(&tls.acceptor(), stream, self.head);
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
        let (protocol, head, still) = (self.protocol.clone(), self.head, self.patience.still);
        let mut told = connections.watch();
        let connection = async move {
            let Some(stream) = told.unless(Begun::wait(stream, head)).await else { return Ok(()) };
            // Above TLS: what waits for others is an answer, which is then encrypted and written in one go. Below, the records of a
            // handshake would wait too, and bytes that TLS has taken would count as written.
            let io = TokioIo::new(Coalescing::new(stream?));
            let connection = protocol.serve_connection(io, service).into_owned();
            // In a place of its own, so that those that have not begun are small.
            Box::pin(told.serve(connection)).await
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
