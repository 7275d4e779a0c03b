//! The ledger: every receipt becomes a log line, a line of its function's log, and metrics, on a thread of its own.
//!
//! A request that ends puts its receipt into a bounded queue and goes on. The thread sleeps while nothing comes; when
//! something does it waits a moment and takes all that came meanwhile, so that under load no request pays for waking it.
//! Where the queue is full (the thread is starved) a receipt is dropped and counted: serving never waits for accounting.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use gust_core::{
    Receipt, Source,
    api::{LogLine, LogStream},
};

use crate::{logbook::FunctionLog, metrics::Metrics};

/// Receipts that may wait.
const QUEUE: usize = 64 << 10;

/// How long receipts are gathered before they are worked off.
const GATHER: Duration = Duration::from_millis(5);

/// A receipt with where and when it belongs.
pub(crate) struct Entry {
    /// The receipt.
    pub(crate) receipt: Receipt,
    /// The function's log.
    pub(crate) log: Option<Arc<FunctionLog>>,
    /// When the request ended.
    pub(crate) unix_ms: u64,
}

/// Where requests leave their receipts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ledger {
    queue: SyncSender<Entry>,
    metrics: Arc<Metrics>,
}

impl Ledger {
    /// Starts the thread, which ends when the last clone is gone and all receipts are worked off.
    pub(crate) fn start(metrics: Arc<Metrics>, log_requests: bool) -> std::io::Result<(Self, thread::JoinHandle<()>)> {
        let (queue, receiver) = sync_channel(QUEUE);
        let counted = metrics.clone();
        let thread = thread::Builder::new()
            .name("gust-ledger".to_owned())
            .spawn(move || work(&receiver, &counted, log_requests))?;
        Ok((Self { queue, metrics }, thread))
    }

    /// Takes a receipt.
    pub(crate) fn settle(&self, entry: Entry) {
        if self.queue.try_send(entry).is_err() {
            self.metrics.receipts_dropped.inc();
        }
    }
}

fn work(receiver: &Receiver<Entry>, metrics: &Metrics, log_requests: bool) {
    while let Ok(first) = receiver.recv() {
        thread::sleep(GATHER);
        for entry in std::iter::once(first).chain(receiver.try_iter()) {
            metrics.count(&entry.receipt);
            if log_requests {
                host_line(&entry.receipt);
            }
            if let Some(log) = &entry.log {
                log.push(function_line(&entry));
            }
        }
    }
}

/// One structured line of the host's log.
fn host_line(receipt: &Receipt) {
    let request_id = receipt.request_id;
    let (function, version) = receipt.function.as_ref().map_or(("", 0), |(name, version)| (name.as_str(), *version));
    let (method, status) = (receipt.method.as_str(), receipt.status);
    let code = receipt.ending.code().map_or("", gust_core::Code::as_str);
    let timing = receipt.timing;
    let internal = receipt.internal.as_deref().unwrap_or_default();
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: "gust::request", %request_id, function, version, method, status, code,
                queue_us = timing.queue_us, init_us = timing.init_us, run_us = timing.run_us,
                total_us = timing.total_us, request_bytes = receipt.request_bytes,
                response_bytes = receipt.response_bytes, memory_bytes_peak = receipt.memory_bytes_peak, internal,
            )
        };
    }
    match receipt.ending.code().map(gust_core::Code::source) {
        None | Some(Source::Client) => line!(info),
        Some(Source::Guest) => line!(warn),
        Some(Source::Host) => line!(error),
    }
}

/// The same for those who watch the function.
fn function_line(entry: &Entry) -> LogLine {
    let receipt = &entry.receipt;
    let total_ms = receipt.timing.total_us as f64 / 1000.0;
    let mut text = format!("{} {} in {total_ms:.3} ms", receipt.method, receipt.status);
    if let Some(code) = receipt.ending.code() {
        text = format!("{text}: {}", code.as_str());
        if let Some(internal) = &receipt.internal {
            text = format!("{text}: {}", internal.escape_debug());
        }
    }
    LogLine {
        unix_ms: entry.unix_ms,
        request_id: receipt.request_id.as_str().to_owned(),
        version: receipt.function.as_ref().map_or(0, |(_, version)| *version),
        stream: LogStream::Request,
        text,
    }
}
