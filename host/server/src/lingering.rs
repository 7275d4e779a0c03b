//! A connection whose last words are not lost.
//!
//! Where a host answers before it has read the whole request, and then closes, the bytes that are still coming make the
//! kernel reset the connection, and the client may never see the answer (RFC 9112, section 9.6). So a connection that the
//! host ends is shut for writing first, and for a while what still comes is read and thrown away.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    runtime, time,
};

use crate::patience::Activity;

/// How long a client is read out after the host has closed.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes read at once, to be thrown away.
const DISCARD_BYTES: usize = 16 << 10;

/// A connection that lingers when it is dropped, unless the client has closed it first, or an answer was broken off: then it
/// is reset, for to a client whose answer ends with the connection (HTTP/1.0) an orderly end would make it look whole. `P` is
/// kept until it is gone.
pub(crate) struct Lingering<P: Send + Unpin + 'static> {
    /// None only while it is dropped.
    open: Option<(TcpStream, P)>,
    is_read_out: bool,
    activity: Arc<Activity>,
}

impl<P: Send + Unpin + 'static> Lingering<P> {
    /// Takes over a connection.
    pub(crate) fn new(stream: TcpStream, place: P, activity: Arc<Activity>) -> Self {
        Self { open: Some((stream, place)), is_read_out: false, activity }
    }

    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut TcpStream>> {
        let open = self.get_mut().open.as_mut();
        open.map(|(stream, _)| Pin::new(stream)).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<P: Send + Unpin + 'static> AsyncRead for Lingering<P> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(self.as_mut().stream()?.poll_read(cx, buffer));
        self.is_read_out = read.is_err() || (buffer.filled().len() == before && buffer.remaining() > 0);
        Poll::Ready(read)
    }
}

impl<P: Send + Unpin + 'static> AsyncWrite for Lingering<P> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}

impl<P: Send + Unpin + 'static> Drop for Lingering<P> {
    fn drop(&mut self) {
        let Some((stream, place)) = self.open.take().filter(|_| !self.is_read_out) else { return };
        if self.activity.is_broken() {
            // Where it cannot be set the connection ends as any other.
            let _ = stream.set_zero_linger();
            return;
        }
        // The host itself may be going down.
        if let Ok(runtime) = runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = time::timeout(LINGER, read_out(stream)).await;
                drop(place);
            });
        }
    }
}

async fn read_out(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut discarded = vec![0; DISCARD_BYTES];
    while stream.read(&mut discarded).await? > 0 {}
    Ok(())
}
