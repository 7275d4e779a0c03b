//! Functions' requests to the world outside of the host: who may send which, and over whose connections.
//!
//! A [`Reach`] is one function's. It asks the manifest about each request, and no other function uses its connections. What all have in
//! common, the addresses that are open, names and authorities, is [`Outside`]. A peer is reached by `connector.rs`, at an address that
//! `dial.rs` has resolved and checked for that one connection.

mod answer;
mod connector;
mod dial;
mod outside;
mod trust;
mod wire;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use gust_core::outbound::{self, Destination, Target};
use gust_engine::{Answer, Answering, Cause, SentBody, Timeouts, Unanswered};
use http::{Method, Request, Uri, header};
use hyper_util::{
    client::legacy::{Client, connect::capture_connection},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{pin, select, time};

use self::connector::Connector;
pub(crate) use self::outside::Outside;
use crate::hop_by_hop;

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Such connections to one peer.
const IDLE_PER_PEER_MAX: usize = 8;

/// The largest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// What a peer may send of one answer, and of all on its connection, before the guest has taken any; in bytes.
const STREAM_BYTES: u32 = 256 << 10;
const CONNECTION_BYTES: u32 = 1 << 20;

/// How often a peer of HTTP/2 is asked whether it is still there while it owes an answer, and how long it may take to say so.
const ALIVE: Duration = Duration::from_secs(20);

/// Outside of the host, for one function.
pub(crate) struct Reach {
    destinations: Box<[Destination]>,
    connector: Connector,
    /// What speaks HTTP, with the connections that it keeps. Made for the first request.
    client: ArcSwapOption<Client<Connector, SentBody>>,
}

impl Reach {
    /// For a function whose manifest allows these.
    pub(crate) fn new(outside: Arc<Outside>, destinations: &[Destination]) -> Self {
        Self { destinations: destinations.into(), connector: Connector::new(outside), client: ArcSwapOption::empty() }
    }

    /// Sends a request, if it is one that the manifest allows.
    pub(crate) fn send(&self, mut request: Request<SentBody>, timeouts: Timeouts) -> Result<Answering, Unanswered> {
        let target = self.permitted(request.method(), request.uri())?;
        prepare(&mut request, &target)?;
        let client = self.client();
        Ok(Box::pin(async move { exchange(&client, request, timeouts).await }))
    }

    fn permitted(&self, method: &Method, uri: &Uri) -> Result<Target, Unanswered> {
        if *method == Method::CONNECT {
            return Err(Cause::MethodInvalid.into());
        }
        let advice = || outbound::advice(method, uri);
        let target = Target::of(uri).map_err(|_| Unanswered::from(Cause::UriInvalid).telling(advice()))?;
        match outbound::allows(&self.destinations, method, &target) {
            true => Ok(target),
            false => Err(Unanswered::denied(method, uri)),
        }
    }

    /// Where there is no room for one more connection, those that nobody uses are given up: they go with the client that keeps them.
    fn client(&self) -> Arc<Client<Connector, SentBody>> {
        if let Some(client) = self.client.load_full().filter(|_| self.connector.has_room()) {
            return client;
        }
        let client = Arc::new(client(self.connector.clone()));
        self.client.store(Some(client.clone()));
        client
    }
}

fn client(connector: Connector) -> Client<Connector, SentBody> {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_PEER_MAX)
        .http1_max_buf_size(HEAD_BYTES_MAX)
        .http2_max_header_list_size(HEAD_BYTES_MAX as u32)
        .http2_initial_stream_window_size(STREAM_BYTES)
        .http2_initial_connection_window_size(CONNECTION_BYTES)
        .http2_keep_alive_interval(ALIVE)
        .http2_keep_alive_timeout(ALIVE)
        .build(connector)
}

/// Makes a request's head what the peer shall see: the host in one form, no word of another connection.
fn prepare(request: &mut Request<SentBody>, target: &Target) -> Result<(), Unanswered> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let slash = if path.starts_with('/') { "" } else { "/" };
    let uri = format!("{}://{}{slash}{path}", target.scheme.as_str(), target.authority());
    *request.uri_mut() = uri.parse().map_err(|_| Cause::UriInvalid)?;
    let headers = request.headers_mut();
    // The one for HTTP/1.1 is made of the URI.
    headers.remove(header::HOST);
    hop_by_hop::strip_sent(headers);
    Ok(())
}

/// From the request to the head of its answer.
async fn exchange(
    client: &Client<Connector, SentBody>,
    mut request: Request<SentBody>,
    timeouts: Timeouts,
) -> Result<Answer, Unanswered> {
    let mut connected = capture_connection(&mut request);
    let answering = client.request(request);
    pin!(answering);
    let answered = select! {
        biased;
        answered = &mut answering => Some(answered),
        connected = time::timeout(timeouts.connect, connected.wait_for_connection_metadata()) => match connected {
            Ok(_) => None,
            Err(_) => return Err(Cause::ConnectionTimeout.into()),
        },
    };
    let answered = match answered {
        Some(answered) => answered,
        None => time::timeout(timeouts.first_byte, answering).await.map_err(|_| Cause::ConnectionReadTimeout)?,
    };
    answered.map(answer::of_peer).map_err(|error| answer::missing(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_denied_before_anything_is_asked() {
        let destinations = ["https://*.example.com".parse().unwrap()];
        let reach = Reach::new(Arc::new(Outside::of_test("", Vec::new())), &destinations);
        let permitted = |method: Method, uri: &'static str| {
            reach.permitted(&method, &Uri::from_static(uri)).map_err(|unanswered| unanswered.cause().clone())
        };
        assert!(permitted(Method::GET, "https://A.example.com./x").is_ok());
        assert_eq!(permitted(Method::GET, "https://example.com/"), Err(Cause::Denied));
        assert_eq!(permitted(Method::GET, "https://0x7f.1/"), Err(Cause::UriInvalid));
        assert_eq!(permitted(Method::CONNECT, "https://a.example.com/"), Err(Cause::MethodInvalid));
    }
}
