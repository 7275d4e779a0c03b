//! The ledger: every receipt becomes a log line, a line of its function's log, and metrics, on a thread of its own.
//!
//! A request that ends puts its receipt into a bounded queue and goes on. The thread sleeps while nothing comes; when
//! something does it waits a moment and takes all that came meanwhile, so that under load no request pays for waking it.
//! Where the queue is full (the thread is starved) a receipt is dropped and counted: serving never waits for accounting.

use std::{
    iter,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use gust_core::Receipt;

use crate::{catalog::Deployment, logbook::Record, metrics::Metrics, request_log::RequestLog};

/// Receipts that may wait.
const QUEUE: usize = 64 << 10;

/// How long receipts are gathered before they are worked off.
const GATHER: Duration = Duration::from_millis(5);

/// A receipt with where and when it belongs.
pub(crate) struct Entry {
    /// The receipt.
    pub(crate) receipt: Receipt,
    /// What served the request.
    pub(crate) deployment: Option<Arc<Deployment>>,
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
    pub(crate) fn start(
        metrics: Arc<Metrics>,
        log: Option<RequestLog>,
    ) -> std::io::Result<(Self, thread::JoinHandle<()>)> {
        let (queue, receiver) = sync_channel(QUEUE);
        let counted = metrics.clone();
        let thread =
            thread::Builder::new().name("gust-ledger".to_owned()).spawn(move || work(&receiver, &counted, log))?;
        Ok((Self { queue, metrics }, thread))
    }

    /// Takes a receipt.
    pub(crate) fn settle(&self, entry: Entry) {
        if self.queue.try_send(entry).is_err() {
            self.metrics.receipts_dropped.inc();
        }
    }
}

fn work(receiver: &Receiver<Entry>, metrics: &Metrics, mut log: Option<RequestLog>) {
    while let Ok(first) = receiver.recv() {
        thread::sleep(GATHER);
        for entry in iter::once(first).chain(receiver.try_iter()) {
            if let Some(log) = &mut log {
                log.push(&entry.receipt, entry.unix_ms);
            }
            account(entry, metrics);
        }
        if let Some(log) = &mut log {
            log.flush();
        }
    }
}

fn account(entry: Entry, metrics: &Metrics) {
    let Entry { receipt, deployment, unix_ms } = entry;
    match deployment {
        Some(deployment) => {
            deployment.metrics.count(&receipt);
            deployment.log.push(Record::Request { receipt, unix_ms });
        }
        None => metrics.count_unrouted(&receipt),
    }
}
