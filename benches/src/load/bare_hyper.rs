//! The ceiling: a bare hyper server that answers the same bytes with nothing in between.

use std::{convert::Infallible, net::SocketAddr, str::FromStr};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime};

/// The answer to every request.
#[derive(Debug, Clone, Default)]
pub struct Canned {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Canned {
    /// From `name: value` lines and a body.
    pub fn new(headers: &[String], body: String) -> Result<Self> {
        let mut map = HeaderMap::new();
        for line in headers {
            let (name, value) = line.split_once(": ").with_context(|| format!("{line:?} is no header"))?;
            map.append(HeaderName::from_str(name)?, HeaderValue::from_str(value)?);
        }
        Ok(Self { headers: map, body: body.into() })
    }
}

/// Serves until the process ends, on one thread, as gust does where it has one core.
pub fn serve(address: SocketAddr, canned: Canned) -> Result<()> {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async { tokio::spawn(accept(TcpListener::bind(address).await?, canned)).await? })
}

async fn accept(listener: TcpListener, canned: Canned) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let canned = canned.clone();
        let answer = service_fn(move |_| {
            let mut response = Response::new(Full::new(canned.body.clone()));
            *response.headers_mut() = canned.headers.clone();
            std::future::ready(Ok::<_, Infallible>(response))
        });
        tokio::spawn(async move {
            // A load generator ends its connections as it likes.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}
