//! Ten thousand slow clients, in a process of their own on the load's core.
//!
//! Each connection moves a byte every ten seconds, evenly spread, as slowhttptest does unless told otherwise: slow enough to cost its
//! sender nothing, and far more often than a host that only watches for silence would notice.

use std::{
    env,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
    runtime,
};

use crate::server::{load_core, pinned};

/// How long it is until a connection moves its next byte.
const EVERY: Duration = Duration::from_secs(10);

/// What it says when all are there.
const OPEN: &str = "open";

/// What a client receives before it reads, in bytes: as little as a system allows.
const RECEIVE_BUFFER_BYTES: u32 = 2304;

/// What comes or goes slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Slow {
    /// A request's head
    Head,
    /// A request's body
    Body,
    /// The reading of an answer
    Answer,
}

/// Slow clients.
#[derive(Debug, Args)]
pub struct Crowd {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long, value_enum)]
    slow: Slow,
    #[arg(long)]
    count: usize,
    /// The bytes of an answer
    #[arg(long)]
    answer_bytes: usize,
}

impl Crowd {
    /// What each of these will be.
    pub(super) fn of(slow: Slow, address: SocketAddr, count: usize, answer_bytes: usize) -> Self {
        Self { address, slow, count, answer_bytes }
    }

    /// Opens all connections and goes on slowly until it is ended.
    pub fn run(&self) -> Result<()> {
        runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
            let mut streams = Vec::new();
            for number in 0..self.count {
                streams.push(self.begin().await.with_context(|| format!("connection {number}"))?);
            }
            println!("{OPEN}");
            let began = Instant::now();
            for turn in 0.. {
                let due = began + EVERY.mul_f64(turn as f64 / streams.len() as f64);
                // Not tokio's clock, which counts in whole milliseconds.
                thread::sleep(due.saturating_duration_since(Instant::now()));
                let stream = &streams[turn % streams.len()];
                let moved = if self.slow == Slow::Answer { stream.try_read(&mut [0]) } else { stream.try_write(b"a") };
                ensure!(moved? == 1, "the host ended a connection");
            }
            Ok(())
        })
    }

    async fn begin(&self) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if self.slow == Slow::Answer {
            socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        }
        let mut stream = socket.connect(self.address).await?;
        let opening = match self.slow {
            Slow::Head => "GET /hello?name=Ada HTTP/1.1\r\nhost: x\r\nx-slow: ".to_owned(),
            Slow::Body => "POST /hello HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n".to_owned(),
            Slow::Answer => format!("GET /hostile/big?n={} HTTP/1.1\r\nhost: x\r\n\r\n", self.answer_bytes),
        };
        stream.write_all(opening.as_bytes()).await?;
        if self.slow == Slow::Answer {
            // Its answer has begun before the next one asks.
            stream.readable().await?;
        }
        Ok(stream)
    }

    /// Has a process do it, and waits until all are open.
    pub(super) fn start(&self) -> Result<Running> {
        let slow = self.slow.to_possible_value().context("each has a name")?;
        let mut command = pinned(&load_core(), &env::current_exe()?);
        command.args(["crowd", "--address", &self.address.to_string(), "--slow", slow.get_name()]);
        command.args(["--count", &self.count.to_string(), "--answer-bytes", &self.answer_bytes.to_string()]);
        let mut running = Running(command.stdout(Stdio::piped()).spawn()?);
        let mut line = String::new();
        BufReader::new(running.0.stdout.take().context("it is piped")?).read_line(&mut line)?;
        ensure!(line.trim() == OPEN, "not all connections could be opened");
        Ok(running)
    }
}

/// Clients that are there, until it is dropped.
pub(super) struct Running(Child);

impl Running {
    /// Fails where one of them was ended.
    pub(super) fn are_all_there(&mut self) -> Result<()> {
        ensure!(self.0.try_wait()?.is_none(), "the host ended a slow connection");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
