//! A connection that has one request on its way, or none.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::SocketAddr,
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use mio::{Interest, Poll, Token, net::TcpStream};

use super::answer;

/// What an answer takes at first; it grows.
const BUFFER_BYTES: usize = 2048;

pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    /// When its request fell due.
    due: Option<Instant>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr, poll: &Poll, number: usize) -> Result<Self> {
        let stream = std::net::TcpStream::connect(address).with_context(|| format!("connection {number}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES], filled: 0, due: None })
    }

    /// A request is small, and the last one was answered, so the kernel takes it whole.
    pub(super) fn send(&mut self, request: &[u8], due: Instant) -> Result<()> {
        self.due = Some(due);
        self.filled = 0;
        let sent = self.stream.write(request).context("sending a request")?;
        ensure!(sent == request.len(), "a request was sent in part");
        Ok(())
    }

    /// Takes what has come. When the answer is whole, says when its request fell due.
    pub(super) fn receive(&mut self) -> Result<Option<Instant>> {
        loop {
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => bail!("the server ended a connection"),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("reading an answer"),
            }
            if answer::is_whole(&self.buffer[..self.filled])? {
                // Nothing follows it before the next request.
                return Ok(self.due.take());
            }
            if self.filled == self.buffer.len() {
                self.buffer.resize(self.filled * 2, 0);
            }
        }
    }
}
