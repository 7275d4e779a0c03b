//! Content of blobs on its way: at most one piece of it is here at a time, and is written or read on a thread that may block.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use gust_core::{Code, Problem};
use wasmtime_wasi_io::{
    async_trait,
    poll::Pollable,
    streams::{InputStream, OutputStream, StreamError, StreamResult},
};

use crate::state::{BlobSink, BlobSource, Pending};

/// What is written or read at once, in bytes.
pub(super) const PIECE_BYTES: usize = 256 << 10;

/// A blob that is being written: shared by its stream and by whoever finishes it.
#[derive(Clone)]
pub(super) struct Upload(Arc<Mutex<Uploading>>);

enum Uploading {
    /// The next piece may come.
    Ready(Box<dyn BlobSink>),
    /// A piece is being written.
    Writing(Pending<Box<dyn BlobSink>>),
    /// Nothing more comes of it.
    Failed(Problem),
}

impl Uploading {
    /// Goes on where a piece is written.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Self::Writing(writing) = self {
            *self = match writing.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(sink)) => Self::Ready(sink),
                Poll::Ready(Err(problem)) => Self::Failed(problem),
            };
        }
        Poll::Ready(())
    }

    fn take(&mut self) -> Self {
        mem::replace(self, Self::Failed(Problem::new(Code::StateInvalid, "the blob is finished")))
    }
}

impl Upload {
    pub(super) fn begin(sink: Box<dyn BlobSink>) -> Self {
        Self(Arc::new(Mutex::new(Uploading::Ready(sink))))
    }

    pub(super) fn failed(problem: Problem) -> Self {
        Self(Arc::new(Mutex::new(Uploading::Failed(problem))))
    }

    /// The guest's end of it.
    pub(super) fn stream(&self) -> Writer {
        Writer(self.clone())
    }

    /// Waits until all pieces are written.
    pub(super) async fn finish(self) -> Result<Box<dyn BlobSink>, Problem> {
        self.ready().await;
        match self.lock().take() {
            Uploading::Ready(sink) => Ok(sink),
            Uploading::Failed(problem) => Err(problem),
            Uploading::Writing(_) => Err(Problem::new(Code::Internal, "a piece of the blob was lost")),
        }
    }

    async fn ready(&self) {
        std::future::poll_fn(|context| self.lock().poll(context)).await;
    }

    fn lock(&self) -> MutexGuard<'_, Uploading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stream that a guest writes a blob to.
pub(super) struct Writer(Upload);

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.len() > PIECE_BYTES {
            return Err(StreamError::trap("more is written than is permitted"));
        }
        let mut uploading = self.0.lock();
        match uploading.take() {
            Uploading::Ready(sink) => {
                *uploading = Uploading::Writing(sink.write(bytes));
                Ok(())
            }
            Uploading::Failed(problem) => Err(failed(&mut uploading, problem)),
            writing @ Uploading::Writing(_) => {
                *uploading = writing;
                Err(StreamError::trap("something is written before it is permitted"))
            }
        }
    }

    /// Nothing is held back.
    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let mut uploading = self.0.lock();
        // Whoever asks waits by itself.
        let _ = uploading.poll(&mut Context::from_waker(std::task::Waker::noop()));
        match uploading.take() {
            Uploading::Failed(problem) => Err(failed(&mut uploading, problem)),
            ready @ Uploading::Ready(_) => {
                *uploading = ready;
                Ok(PIECE_BYTES)
            }
            writing @ Uploading::Writing(_) => {
                *uploading = writing;
                Ok(0)
            }
        }
    }
}

/// What a guest is told, each time.
fn failed(uploading: &mut Uploading, problem: Problem) -> StreamError {
    let error = StreamError::LastOperationFailed(wasmtime::Error::msg(problem.detail.clone()));
    *uploading = Uploading::Failed(problem);
    error
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        self.0.ready().await;
    }
}

/// The stream that a guest reads a part of a blob from.
pub(super) struct Download {
    blob: Arc<dyn BlobSource>,
    at: u64,
    to: u64,
    state: Downloading,
}

enum Downloading {
    /// The next piece is still to be asked for.
    Idle,
    Reading(Pending<Bytes>),
    /// A piece, as far as it is not taken.
    Piece(Bytes),
    Failed(Problem),
}

impl Download {
    pub(super) fn new(blob: Arc<dyn BlobSource>, from: u64, to: u64) -> Self {
        Self { blob, at: from, to, state: Downloading::Idle }
    }

    fn is_at_end(&self) -> bool {
        self.at >= self.to
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if matches!(self.state, Downloading::Idle) && !self.is_at_end() {
            let left = usize::try_from(self.to - self.at).unwrap_or(usize::MAX);
            self.state = Downloading::Reading(self.blob.clone().read(self.at, left.min(PIECE_BYTES)));
        }
        if let Downloading::Reading(reading) = &mut self.state {
            self.state = match reading.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(piece)) if piece.is_empty() => {
                    Downloading::Failed(Problem::new(Code::StoreFailed, "the blob is shorter than it was"))
                }
                Poll::Ready(Ok(piece)) => Downloading::Piece(piece),
                Poll::Ready(Err(problem)) => Downloading::Failed(problem),
            };
        }
        Poll::Ready(())
    }
}

#[async_trait]
impl InputStream for Download {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let _ = self.poll(&mut Context::from_waker(std::task::Waker::noop()));
        let is_at_end = self.is_at_end();
        match &mut self.state {
            Downloading::Piece(piece) => {
                let taken = piece.split_to(size.min(piece.len()));
                self.at += taken.len() as u64;
                if piece.is_empty() {
                    self.state = Downloading::Idle;
                }
                Ok(taken)
            }
            Downloading::Failed(problem) => {
                Err(StreamError::LastOperationFailed(wasmtime::Error::msg(problem.detail.clone())))
            }
            _ if is_at_end => Err(StreamError::Closed),
            _ => Ok(Bytes::new()),
        }
    }
}

#[async_trait]
impl Pollable for Download {
    async fn ready(&mut self) {
        std::future::poll_fn(|context| self.poll(context)).await;
    }
}
