//! The ceiling: a bare hyper server that answers the same bytes with nothing in between.

use std::{convert::Infallible, net::SocketAddr, str::FromStr};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime};

use crate::server::Answer;

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

    /// The arguments that make a server of this answer.
    pub fn arguments(answer: &Answer) -> Result<Vec<String>> {
        let mut arguments = vec!["--body".to_owned(), String::from_utf8(answer.body.clone())?];
        for header in answer.headers().filter(|header| !is_hypers_own(header)) {
            arguments.extend(["--header".to_owned(), header.to_owned()]);
        }
        Ok(arguments)
    }
}

/// What hyper writes by itself.
fn is_hypers_own(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    ["connection:", "date:", "content-length:"].iter().any(|name| header.starts_with(name))
}

/// Serves until the process ends, on as many threads as it has cores, as gust does.
pub fn serve(address: SocketAddr, canned: Canned) -> Result<()> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
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
