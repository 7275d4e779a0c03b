//! Between bodies, which come and go without blocking, and archives, which are read and written by what blocks.
//!
//! A few pieces are on the way at a time: whoever is faster waits for the other.

use std::{
    io::{self, BufWriter, Read, Write},
    pin::pin,
};

use axum::body::Body;
use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use gust_core::Problem;
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task,
};
use tokio_stream::wrappers::ReceiverStream;

use crate::work::blocking;

/// Pieces that are on the way.
const PIECES_MAX: usize = 4;

/// The size of a piece that is sent.
const PIECE_BYTES: usize = 64 << 10;

/// A piece, or why there is none.
type Piece = io::Result<Bytes>;

/// A body, to be read by what blocks. One that breaks off ends in [`io::ErrorKind::ConnectionAborted`].
pub(crate) struct BodyReader {
    pieces: Receiver<Piece>,
    piece: Bytes,
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(buffer.get_mut(..length).unwrap_or_default());
        Ok(length)
    }
}

/// Has what blocks read a body, as far as it likes to.
pub(crate) async fn read<T: Send + 'static>(
    body: Body,
    read: impl FnOnce(BodyReader) -> T + Send + 'static,
) -> Result<T, Problem> {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let mut reading = pin!(blocking(move || read(BodyReader { pieces, piece: Bytes::new() })));
    tokio::select! {
        read = &mut reading => return read,
        () = feed(body, sender) => {}
    }
    reading.await
}

async fn feed(body: Body, sender: Sender<Piece>) {
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| io::Error::new(io::ErrorKind::ConnectionAborted, error));
        let is_last = piece.is_err();
        if sender.send(piece).await.is_err() || is_last {
            return;
        }
    }
}

/// A body that is written by what blocks. Where that fails the body breaks off, so that nobody takes it for whole.
pub(crate) fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static) -> Body {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(PIECE_BYTES, BodyWriter(sender));
        let written = write(&mut out).and_then(|()| out.flush());
        if let Err(error) = written {
            let (BodyWriter(sender), _) = out.into_parts();
            // Nobody may be there any more to hear of it.
            let _ = sender.blocking_send(Err(error));
        }
    });
    Body::from_stream(ReceiverStream::new(pieces))
}

struct BodyWriter(Sender<Piece>);

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
