//! Makes one function's connections, as hyper's client asks for them.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use gust_core::outbound::{Host, Scheme, Target};
use gust_engine::{Cause, Unanswered};
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::{OnceCell, OwnedSemaphorePermit, Semaphore},
    time,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};
use tower_service::Service;

use super::{
    dial,
    outside::Outside,
    trust,
    wire::{Stream, Wire},
};

/// Connections of one function.
const CONNECTIONS_MAX: usize = 256;

/// Names that are resolved at the same time for one function, so that one whose names take long does not keep those of others waiting.
const LOOKUPS_MAX: usize = 8;

/// How long a place for a connection is waited for.
const PLACE: Duration = Duration::from_secs(1);

/// The longest for a connection, whoever still waits for it.
const CONNECT: Duration = Duration::from_secs(60);

/// One function's.
#[derive(Clone)]
pub(super) struct Connector {
    shared: Arc<Shared>,
}

struct Shared {
    outside: Arc<Outside>,
    tls: OnceCell<Arc<ClientConfig>>,
    places: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
}

impl Connector {
    pub(super) fn new(outside: Arc<Outside>) -> Self {
        let (places, lookups) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), Arc::new(Semaphore::new(LOOKUPS_MAX)));
        Self { shared: Arc::new(Shared { outside, tls: OnceCell::new(), places, lookups }) }
    }

    /// Whether there is a place for one more.
    pub(super) fn has_room(&self) -> bool {
        self.shared.places.available_permits() > 0 && self.shared.outside.connections.available_permits() > 0
    }
}

impl Shared {
    async fn connect(&self, uri: &Uri) -> Result<TokioIo<Wire>, Unanswered> {
        let target = Target::of(uri).map_err(|_| Cause::UriInvalid)?;
        let places = [place(&self.places).await?, place(&self.outside.connections).await?];
        let stream = dial::connect(&self.outside, &self.lookups, &target).await?;
        let stream = match target.scheme {
            Scheme::Http => Stream::Plain(stream),
            Scheme::Https => self.over_tls(stream, &target.host).await?,
        };
        Ok(TokioIo::new(Wire::new(stream, places)))
    }

    async fn over_tls(&self, stream: TcpStream, host: &Host) -> Result<Stream, Unanswered> {
        let name = match host {
            Host::Name(name) => ServerName::try_from(name.to_string()).map_err(|_| Cause::UriInvalid)?,
            Host::Address(ip) => ServerName::from(*ip),
        };
        let config = self.tls.get_or_try_init(|| self.outside.trust.of_function()).await?;
        let connected = TlsConnector::from(config.clone()).connect(name, stream).await;
        connected.map(|stream| Stream::Tls(Box::new(stream))).map_err(|error| trust::refused(&error))
    }
}

async fn place(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Unanswered> {
    let place = time::timeout(PLACE, places.clone().acquire_owned()).await;
    place.ok().and_then(Result::ok).ok_or_else(|| Cause::ConnectionLimitReached.into())
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = Unanswered;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Wire>, Unanswered>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unanswered>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let shared = self.shared.clone();
        Box::pin(async move {
            let connected = time::timeout(CONNECT, shared.connect(&uri)).await;
            connected.map_err(|_| Unanswered::from(Cause::ConnectionTimeout))?
        })
    }
}
