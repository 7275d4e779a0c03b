//! The ledger: every receipt becomes a log line, a line of its function's log, and metrics, on a thread of its own.
//!
//! A request that ends leaves its receipt in a list of its own thread and goes on. The ledger's thread sleeps while nothing
//! comes; when something does it waits a moment and takes all that came meanwhile, so that under load no request pays for
//! waking it. The lists are emptied by exchanging them for the ones that were worked off last, so receipts stand in memory
//! that was used a moment ago. Where a list is full (the thread is starved) a receipt is dropped and counted: serving never
//! waits for accounting.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, Thread},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use gust_core::{Receipt, thread_number};

use crate::{deployment::Deployment, logbook::Record, metrics::Metrics, request_log::RequestLog};

/// Lists of receipts. Threads beyond share them.
const LISTS: usize = 16;

/// Receipts that may wait in one list.
const WAITING_MAX: usize = 64 << 10;

/// How long receipts are gathered before they are worked off. Long enough that waking the thread is nothing beside that, and short
/// enough that what it takes of a core at a time, which requests on it wait for, is less than a few of them take.
const GATHER: Duration = Duration::from_millis(2);

/// A receipt with where and when it belongs.
pub(crate) struct Entry {
    /// The receipt.
    pub(crate) receipt: Receipt,
    /// What served the request.
    pub(crate) deployment: Option<Arc<Deployment>>,
    /// When the request ended.
    pub(crate) ended: Instant,
}

/// The same moment by both clocks: requests read one of them only.
struct Now {
    instant: Instant,
    system: SystemTime,
}

impl Now {
    fn read() -> Self {
        Self { instant: Instant::now(), system: SystemTime::now() }
    }

    /// An earlier moment, in milliseconds since 1970-01-01T00:00Z.
    fn unix_ms(&self, moment: Instant) -> u64 {
        let since = self.system.duration_since(UNIX_EPOCH).unwrap_or_default();
        since.saturating_sub(self.instant.saturating_duration_since(moment)).as_millis() as u64
    }
}

/// Where requests leave their receipts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ledger {
    open: Arc<Open>,
}

/// What requests and the thread share.
struct Desk {
    lists: [Mutex<Vec<Entry>>; LISTS],
    /// The thread sleeps, or is about to: whoever leaves a receipt wakes it.
    is_asleep: AtomicBool,
    is_closed: AtomicBool,
    metrics: Arc<Metrics>,
}

/// The requests' side. When it is gone, so is the thread soon.
struct Open {
    desk: Arc<Desk>,
    thread: Thread,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.desk.is_closed.store(true, SeqCst);
        self.thread.unpark();
    }
}

impl Ledger {
    /// Starts the thread, which ends when the last clone is gone and all receipts are worked off.
    pub(crate) fn start(
        metrics: Arc<Metrics>,
        log: Option<RequestLog>,
    ) -> std::io::Result<(Self, thread::JoinHandle<()>)> {
        let desk = Arc::new(Desk {
            lists: std::array::from_fn(|_| Mutex::default()),
            is_asleep: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            metrics,
        });
        let worked = desk.clone();
        let thread = thread::Builder::new().name("gust-ledger".to_owned()).spawn(move || work(&worked, log))?;
        let open = Arc::new(Open { desk, thread: thread.thread().clone() });
        Ok((Self { open }, thread))
    }

    /// Takes a receipt.
    pub(crate) fn settle(&self, entry: Entry) {
        let Open { desk, thread } = &*self.open;
        let Some(list) = desk.lists.get(thread_number::get() % LISTS) else { return };
        let mut list = lock(list);
        if list.len() >= WAITING_MAX {
            desk.metrics.receipts_dropped.inc();
            return;
        }
        list.push(entry);
        drop(list);
        // The thread says that it sleeps before it looks at the lists for the last time: either it saw this receipt, or it
        // had looked before, and then what it said is seen here.
        if desk.is_asleep.load(SeqCst) && desk.is_asleep.swap(false, SeqCst) {
            thread.unpark();
        }
    }
}

fn lock(list: &Mutex<Vec<Entry>>) -> MutexGuard<'_, Vec<Entry>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(desk: &Desk, mut log: Option<RequestLog>) {
    let mut spare = Vec::new();
    loop {
        // Asked before looking: nobody is left then who could leave another.
        let is_closed = desk.is_closed.load(SeqCst);
        if work_off(desk, &mut spare, &mut log) {
            thread::sleep(GATHER);
        } else if is_closed {
            return;
        } else {
            desk.sleep();
        }
    }
}

/// Works off what waits. Says whether there was something.
fn work_off(desk: &Desk, spare: &mut Vec<Entry>, log: &mut Option<RequestLog>) -> bool {
    let mut found = false;
    for list in &desk.lists {
        mem::swap(&mut *lock(list), spare);
        found |= !spare.is_empty();
        let now = Now::read();
        for entry in spare.drain(..) {
            let unix_ms = now.unix_ms(entry.ended);
            if let Some(log) = log {
                let app = entry.deployment.as_ref().map(|deployment| &deployment.app);
                log.push(&entry.receipt, app, unix_ms);
            }
            account(entry, unix_ms, &desk.metrics);
        }
    }
    if let Some(log) = log.as_mut().filter(|_| found) {
        log.flush();
    }
    found
}

impl Desk {
    /// Sleeps until something comes, and a moment longer.
    fn sleep(&self) {
        self.is_asleep.store(true, SeqCst);
        if !self.is_closed.load(SeqCst) && self.lists.iter().all(|list| lock(list).is_empty()) {
            thread::park();
            thread::sleep(GATHER);
        }
        self.is_asleep.store(false, SeqCst);
    }
}

fn account(entry: Entry, unix_ms: u64, metrics: &Metrics) {
    let Entry { receipt, deployment, .. } = entry;
    match deployment {
        Some(deployment) => {
            deployment.metrics.count(&receipt);
            deployment.health.note(&receipt);
            deployment.cpu.add(unix_ms, receipt.cpu_us);
            deployment.log.push(Record::Request { receipt, unix_ms });
        }
        None => metrics.count_unrouted(&receipt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_to_the_millisecond() {
        let system = UNIX_EPOCH + Duration::from_micros(10_000_100);
        let now = Now { instant: Instant::now(), system };
        assert_eq!(now.unix_ms(now.instant), 10_000);
        assert_eq!(now.unix_ms(now.instant - Duration::from_micros(100)), 10_000);
        assert_eq!(now.unix_ms(now.instant - Duration::from_micros(101)), 9_999);
    }
}
