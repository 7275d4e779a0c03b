//! A load generator that does not wait for answers: requests fall due by a schedule of their own, and a request's latency
//! counts from when it fell due, not from when a connection was free to send it (so that a server that stands still is
//! charged for every request that would have come meanwhile: no coordinated omission). `wrk` has no such mode.
//!
//! One thread, one request at a time on each connection, HTTP/1.1. It runs as a process of its own, on a core of its own,
//! and spins there, so that it sends when it should.

mod answer;
mod arrivals;
mod connection;
mod process;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
pub use arrivals::Arrivals;
use arrivals::Schedule;
use clap::Args;
use connection::Connection;
use mio::{Events, Poll};
pub use process::{run_pinned, say};
use serde::{Deserialize, Serialize};

use crate::statistics::percentile;

/// The percentiles that are kept.
pub const PERCENTS: [f64; 10] = [10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.99];

/// How long answers may take after the last request fell due.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it sleeps at most where it does not spin.
const NAP: Duration = Duration::from_millis(100);

/// The same sequence of arrivals on every side.
const SEED: u64 = 7;

/// A load.
#[derive(Debug, Clone, Args)]
pub struct Plan {
    /// Where the server listens
    #[arg(long)]
    pub address: SocketAddr,
    /// What is asked; `{}` in it stands for the numbers below --targets, in turns
    #[arg(long)]
    pub target: String,
    /// How many numbers there are
    #[arg(long, default_value_t = 1)]
    pub targets: usize,
    /// Connections open at the same time
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// When requests fall due
    #[arg(long, value_enum, default_value_t = Arrivals::AsAnswered)]
    pub arrivals: Arrivals,
    /// How many fall due in a second, on average
    #[arg(long, default_value_t = 0.0)]
    pub per_second: f64,
    /// For how long
    #[arg(long, default_value_t = 1.0)]
    pub seconds: f64,
    /// Never sleep: for a core that it has to itself
    #[arg(long)]
    pub spin: bool,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sample {
    /// Requests that were answered, which is all of them.
    pub answered: u64,
    /// Answers a second.
    pub per_second: f64,
    /// For each of [`PERCENTS`], the latency in microseconds that so many did not exceed.
    pub latency_us: Vec<f64>,
}

impl Sample {
    fn of(mut latencies_us: Vec<u32>, elapsed: Duration) -> Self {
        latencies_us.sort_unstable();
        let latency_us = PERCENTS.iter().map(|percent| percentile(&latencies_us, *percent).into()).collect();
        let answered = latencies_us.len() as u64;
        Self { answered, per_second: answered as f64 / elapsed.as_secs_f64(), latency_us }
    }

    /// One of the kept percentiles, in microseconds.
    pub fn at(&self, percent: f64) -> f64 {
        let kept = PERCENTS.iter().zip(&self.latency_us).find(|(kept, _)| **kept == percent);
        kept.map_or(f64::NAN, |(_, us)| *us)
    }
}

struct Generator {
    poll: Poll,
    connections: Vec<Connection>,
    requests: Vec<Vec<u8>>,
    next_request: usize,
    /// Connections without a request.
    idle: VecDeque<usize>,
    /// When the requests fell due that wait for a connection.
    due: VecDeque<Instant>,
    latencies_us: Vec<u32>,
}

/// Makes the load. Every request must be answered with 200.
pub fn run(plan: &Plan) -> Result<Sample> {
    let mut generator = Generator::new(plan)?;
    let mut events = Events::with_capacity(1024);
    let mut schedule = Schedule::new(plan.arrivals, plan.per_second, SEED);
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(plan.seconds);
    loop {
        let now = Instant::now();
        let free = if now < end { generator.idle.len() } else { 0 };
        generator.due.extend(schedule.due(began, now.min(end), free));
        let open = generator.open();
        if now >= end && open == 0 {
            return Ok(Sample::of(generator.latencies_us, began.elapsed()));
        }
        ensure!(now < end + PATIENCE, "{open} requests were not answered");
        generator.send()?;
        generator.poll.poll(&mut events, Some(if plan.spin { Duration::ZERO } else { NAP }))?;
        for event in &events {
            generator.receive(event.token().0)?;
        }
    }
}

impl Generator {
    fn new(plan: &Plan) -> Result<Self> {
        let poll = Poll::new()?;
        let connections: Result<Vec<Connection>> =
            (0..plan.connections).map(|number| Connection::open(plan.address, &poll, number)).collect();
        let host = plan.address;
        let request = |number: usize| {
            let target = plan.target.replace("{}", &number.to_string());
            format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes()
        };
        Ok(Self {
            poll,
            connections: connections?,
            requests: (0..plan.targets).map(request).collect(),
            next_request: 0,
            idle: (0..plan.connections).collect(),
            due: VecDeque::new(),
            latencies_us: Vec::new(),
        })
    }

    /// Requests that fell due and have no answer yet.
    fn open(&self) -> usize {
        self.due.len() + self.connections.len() - self.idle.len()
    }

    fn send(&mut self) -> Result<()> {
        while !self.due.is_empty()
            && let Some(number) = self.idle.pop_front()
            && let Some(due) = self.due.pop_front()
        {
            self.connections[number].send(&self.requests[self.next_request], due)?;
            self.next_request = (self.next_request + 1) % self.requests.len();
        }
        Ok(())
    }

    fn receive(&mut self, number: usize) -> Result<()> {
        if let Some(due) = self.connections[number].receive()? {
            self.latencies_us.push(due.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
            self.idle.push_back(number);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// Answers requests one after the other on one connection; the first answer comes when it is told.
    fn stalling(stall: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let mut is_first = true;
            while stream.read(&mut request).is_ok_and(|read| read > 0) {
                if is_first {
                    thread::sleep(stall);
                }
                is_first = false;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
            }
        });
        address
    }

    #[test]
    fn a_server_that_stands_still_is_charged_for_what_would_have_come() {
        let stall = Duration::from_millis(300);
        let plan = Plan {
            address: stalling(stall),
            target: "/{}".to_owned(),
            targets: 2,
            connections: 1,
            arrivals: Arrivals::Even,
            per_second: 100.0,
            seconds: 0.6,
            spin: true,
        };
        let sample = run(&plan).unwrap();
        assert_eq!(sample.answered, 61);
        // Half of them fell due while it stood still, which one that waits for answers would not have seen.
        assert!(sample.at(75.0) >= 100_000.0 && sample.at(90.0) >= 200_000.0, "{sample:?}");
    }
}
