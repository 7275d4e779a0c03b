//! A TLS connection from its first byte on: whoever reads it first does the handshake.
//!
//! So a handshake runs in its connection's own task, as everything that waits for a client does; accepting never waits for it,
//! and a connection that has not got through it ends with the host, as one that has asked nothing yet. It has as long as a
//! request's head.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{self, Timeout},
};
use tokio_rustls::{Accept, TlsAcceptor, server::TlsStream};

/// A stream whose bytes are secret on the way.
pub(crate) enum Secured<T> {
    /// The two sides are not agreed yet.
    Handshaking(Pin<Box<Timeout<Accept<T>>>>),
    /// They are.
    Open(Box<TlsStream<T>>),
    /// They could not agree.
    Failed,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Secured<T> {
    /// Over a stream that begins now. The handshake may take until `limit`.
    pub(crate) fn new(acceptor: &TlsAcceptor, stream: T, limit: Duration) -> Self {
        Self::Handshaking(Box::pin(time::timeout(limit, acceptor.accept(stream))))
    }

    /// The stream, when the handshake is done.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut TlsStream<T>>>> {
        if let Self::Handshaking(handshake) = self {
            let done = ready!(handshake.as_mut().poll(cx));
            // Dropping what has failed closes the connection.
            *self = Self::Failed;
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long");
            *self = Self::Open(Box::new(done.map_err(late)??));
        }
        Poll::Ready(match self {
            Self::Open(stream) => Ok(Pin::new(stream)),
            Self::Handshaking(_) | Self::Failed => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.get_mut().poll_open(cx))?.poll_read(cx, buffer)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.get_mut().poll_open(cx))?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.get_mut().poll_open(cx))?.poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.get_mut().poll_open(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.get_mut().poll_open(cx))?.poll_shutdown(cx)
    }
}
