//! A connection that has begun to be of use: its first head is there.
//!
//! hyper sets buffers and a request's whole future aside for a connection as soon as its first byte has come, 30 KiB in all. Clients
//! that open thousands and then say little (slowloris) would have the host hold that for each of them. So a first head is waited for
//! with nothing but the bytes that came, and a connection is made of it then.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time,
};

/// Longer than a usual head. One that is longer is hyper's affair before it is whole.
const BYTES_MAX: usize = 4 << 10;

/// Header fields that are looked at; with more of them, too, the head is hyper's affair.
const FIELDS_MAX: usize = 64;

/// A stream whose first bytes have been read ahead.
pub(crate) struct Begun<T> {
    stream: T,
    head: Vec<u8>,
    /// How much of it has been read.
    read: usize,
}

impl<T: AsyncRead + Unpin> Begun<T> {
    /// Waits for the first head, or for what is none. From its first byte on it may take until `limit`; how long a connection may be
    /// silent is not decided here.
    pub(crate) async fn wait(mut stream: T, limit: Duration) -> io::Result<Self> {
        let mut head = Vec::new();
        if more(&mut stream, &mut head).await? && is_partial(&head) {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "its head took too long");
            time::timeout(limit, rest(&mut stream, &mut head)).await.map_err(late)??;
        }
        Ok(Self { stream, head, read: 0 })
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut T> {
        Pin::new(&mut self.get_mut().stream)
    }
}

/// Reads on until the head is whole, or none.
async fn rest<T: AsyncRead + Unpin>(stream: &mut T, head: &mut Vec<u8>) -> io::Result<()> {
    while more(stream, head).await? && is_partial(head) {}
    Ok(())
}

/// Reads what has come. Says whether more may come.
async fn more<T: AsyncRead + Unpin>(stream: &mut T, head: &mut Vec<u8>) -> io::Result<bool> {
    poll_fn(|cx| {
        // Nothing of this is kept while it waits.
        let mut room = [const { MaybeUninit::uninit() }; BYTES_MAX];
        let mut buffer = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
        head.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(!buffer.filled().is_empty()))
    })
    .await
}

/// Whether this is a part of a head. What can be no head is hyper's to refuse, and HTTP/2 does not begin with one.
fn is_partial(bytes: &[u8]) -> bool {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let parsed = httparse::Request::new(&mut fields).parse(bytes);
    bytes.len() < BYTES_MAX && parsed.is_ok_and(|status| status.is_partial())
}

impl<T: AsyncRead + Unpin> AsyncRead for Begun<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.head.is_empty() {
            return self.stream().poll_read(cx, buffer);
        }
        let rest = self.head.get(self.read..).unwrap_or_default();
        let taken = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..taken).unwrap_or_default());
        self.read += taken;
        if self.read == self.head.len() {
            self.head = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Begun<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        runtime, task,
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn run(test: impl Future<Output = ()>) {
        runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
    }

    #[test]
    fn only_part_of_a_head_is_waited_for() {
        for part in ["", "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nhost: x\r\n", "\r\n", "PRI * HT"] {
            assert!(is_partial(part.as_bytes()), "{part:?}");
        }
        let (many, long) = (format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(FIELDS_MAX + 1)), "x".repeat(BYTES_MAX));
        for other in [
            "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            "GET / HTTP/1.1\nhost: x\n\n",
            "PRI * HTTP/2.0\r\n",
            "\x16\x03\x01",
            "GET / HTTP/1.1\r\na b: c",
            &many,
            &long,
        ] {
            assert!(!is_partial(other.as_bytes()), "{other:?}");
        }
    }

    #[test]
    fn what_was_read_ahead_comes_first() {
        run(async {
            let (mut client, host) = tokio::io::duplex(1024);
            let begun = task::spawn(Begun::wait(host, LONG));
            client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            task::yield_now().await;
            assert!(!begun.is_finished());
            client.write_all(b"\r\nbody").await.unwrap();
            let mut begun = begun.await.unwrap().unwrap();
            client.write_all(b" and more").await.unwrap();
            drop(client);
            let mut first = [0; 3];
            begun.read_exact(&mut first).await.unwrap();
            let mut rest = String::new();
            begun.read_to_string(&mut rest).await.unwrap();
            assert_eq!((&first, rest.as_str()), (b"GET", " / HTTP/1.1\r\n\r\nbody and more"));
        });
    }

    #[test]
    fn a_head_that_does_not_get_on_is_given_up_and_silence_is_not() {
        run(async {
            let short = Duration::from_millis(1);
            let (mut client, host) = tokio::io::duplex(1024);
            client.write_all(b"GET").await.unwrap();
            let given_up = Begun::wait(host, short).await;
            assert_eq!(given_up.err().map(|error| error.kind()), Some(io::ErrorKind::TimedOut));
            let (client, host) = tokio::io::duplex(1024);
            let silent = time::timeout(10 * short, Begun::wait(host, short)).await;
            assert!(silent.is_err());
            drop(client);
        });
    }
}
