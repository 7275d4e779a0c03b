//! Bodies of `wasi:http`, whole.
//!
//! One is read up to a limit, for a host may have none, and written in pieces of the size that the host permits, so that a large one
//! never stands in the host's memory.

use wasip2::{
    http::types::IncomingBody,
    io::streams::{InputStream, OutputStream, StreamError},
};

use crate::{Error, StatusCode};

/// The largest body. gust has limits of its own; this one is for hosts that have none.
const BYTES_MAX: usize = 64 << 20;

/// Bytes asked for at a time.
const READ_BYTES: u64 = 64 << 10;

/// Why a body was not read.
pub enum Unread {
    /// It did not arrive whole.
    BrokenOff(String),
    /// It is over the limit.
    TooLarge,
}

impl Unread {
    /// Whether so many are not too many.
    pub fn must_fit(bytes: &[u8]) -> Result<(), Self> {
        if bytes.len() > BYTES_MAX { Err(Self::TooLarge) } else { Ok(()) }
    }

    /// What whoever sent it in a request is told.
    pub fn of_request(self) -> Error {
        match self {
            Self::BrokenOff(_) => Error::bad_request(self.text()),
            Self::TooLarge => Error::new(StatusCode::PAYLOAD_TOO_LARGE, self.text()),
        }
    }

    /// In words.
    pub fn text(&self) -> String {
        match self {
            Self::BrokenOff(why) => format!("the body did not arrive whole: {why}"),
            Self::TooLarge => format!("the body is larger than {BYTES_MAX} bytes"),
        }
    }
}

/// Reads all of it.
pub fn read(body: &IncomingBody) -> Result<Vec<u8>, Unread> {
    let Ok(stream) = body.stream() else { return Ok(Vec::new()) };
    Reading::of(&stream).rest()
}

/// A body that is read.
pub struct Reading<'s> {
    stream: &'s InputStream,
    bytes: Vec<u8>,
    is_over: bool,
}

impl<'s> Reading<'s> {
    /// From its beginning.
    pub fn of(stream: &'s InputStream) -> Self {
        Self { stream, bytes: Vec::new(), is_over: false }
    }

    /// Whether there is no more of it.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Reads a piece of it in one of the ways that there are.
    pub fn take(&mut self, read: impl FnOnce(&InputStream, u64) -> Result<Vec<u8>, StreamError>) -> Result<(), Unread> {
        match read(self.stream, READ_BYTES) {
            // Most are of one piece.
            Ok(piece) if self.bytes.is_empty() => self.bytes = piece,
            Ok(piece) => self.bytes.extend_from_slice(&piece),
            Err(StreamError::Closed) => self.is_over = true,
            Err(StreamError::LastOperationFailed(error)) => return Err(Unread::BrokenOff(error.to_debug_string())),
        }
        Unread::must_fit(&self.bytes)
    }

    /// Reads what is left of it, and waits for that. All of it.
    pub fn rest(mut self) -> Result<Vec<u8>, Unread> {
        while !self.is_over {
            self.take(InputStream::blocking_read)?;
        }
        Ok(self.bytes)
    }
}

/// Writes as much as the host permits at a time, and waits where it permits nothing.
pub fn write(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    let writable = stream.subscribe();
    while !bytes.is_empty() {
        let permitted = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        if permitted == 0 {
            writable.block();
            continue;
        }
        let (now, later) = bytes.split_at(permitted.min(bytes.len()));
        stream.write(now)?;
        bytes = later;
    }
    stream.flush()?;
    writable.block();
    stream.check_write().map(drop)
}
