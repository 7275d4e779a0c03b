//! The ledger: every receipt becomes a log line, a line of its function's log, and metrics, on a thread of its own.
//!
//! A request that ends leaves its receipt in a list of its own thread and goes on. The ledger's thread takes now and then all that
//! came meanwhile, and sleeps only after nothing has come for a while: so no request pays for waking it but the first. A list is
//! emptied by exchanging it for an empty one, and what all had is worked off in the order in which the requests ended. Where a list is
//! full (the thread is starved) a receipt is dropped and counted: serving never waits for accounting.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, Thread},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use gust_core::{Code, Receipt, receipt::Ending, thread_number};

use crate::{
    deployment::Deployment,
    logbook::Record,
    metrics::Metrics,
    request_log::RequestLog,
    under_way::{Piece, UnderWay},
};

/// Lists of receipts. Threads beyond share them.
const LISTS: usize = 16;

/// Receipts that may wait in one list.
const WAITING_MAX: usize = 64 << 10;

/// How long receipts are gathered before they are worked off, at least: so long that waking the thread is nothing beside that.
const GATHER_MIN: Duration = Duration::from_millis(2);

/// And at most. Whoever looks for a request that just ended does not notice, and requests on the same core are seldom interrupted.
const GATHER_MAX: Duration = Duration::from_millis(16);

/// Receipts that are worked off at a time, about: what that takes of a core, which requests on it wait for, is less than a few of them
/// take.
const AT_A_TIME: usize = 64;

/// Looks in vain before it sleeps.
const LOOKS: u32 = 8;

/// A receipt with where and when it belongs.
pub(crate) struct Entry {
    /// The receipt.
    pub(crate) receipt: Receipt,
    /// What served the request.
    pub(crate) deployment: Option<Arc<Deployment>>,
    /// When the request ended.
    pub(crate) ended: Instant,
}

/// What is worked off at a time.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    /// Takes the place of a list, and is empty otherwise.
    spare: Vec<Entry>,
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
    is_breaking_off: AtomicBool,
    metrics: Arc<Metrics>,
}

/// The requests' side. When it is gone, so is the thread soon.
struct Open {
    desk: Arc<Desk>,
    thread: Thread,
    /// Requests that were answered, and whose guests go on.
    outliving: UnderWay,
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
        let desk = Arc::new(Desk::new(metrics));
        let worked = desk.clone();
        let thread = thread::Builder::new().name("gust-ledger".to_owned()).spawn(move || work(&worked, log))?;
        let open = Arc::new(Open { desk, thread: thread.thread().clone(), outliving: UnderWay::new() });
        Ok((Self { open }, thread))
    }

    /// Says that a request goes on after its answer, until what comes of this is dropped.
    pub(crate) fn outlives_answer(&self) -> Piece {
        self.open.outliving.begin()
    }

    /// Waits until no request does.
    pub(crate) async fn outlived(&self) {
        self.open.outliving.ended().await;
    }

    /// Says that requests which end now without being whole are broken off by the host.
    pub(crate) fn breaks_off(&self) {
        self.open.desk.is_breaking_off.store(true, SeqCst);
    }

    /// Takes a receipt.
    pub(crate) fn settle(&self, mut entry: Entry) {
        let Open { desk, thread, .. } = &*self.open;
        if entry.receipt.ending == Ending::Cancelled && desk.is_breaking_off.load(SeqCst) {
            entry.receipt.ending = Ending::Failed(Code::HostDraining);
        }
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
    let (mut batch, mut gather, mut looks) = (Batch::default(), GATHER_MIN, 0);
    loop {
        // Asked before looking: nobody is left then who could leave another.
        let is_closed = desk.is_closed.load(SeqCst);
        let found = work_off(desk, &mut batch, &mut log);
        if found == 0 && is_closed {
            return;
        }
        looks = if found == 0 { looks + 1 } else { 0 };
        if looks > LOOKS {
            desk.sleep();
        }
        gather = next_gather(gather, found);
        // Shorter where it is closed meanwhile.
        thread::park_timeout(gather);
    }
}

/// How long receipts are gathered where so many were, in so long.
fn next_gather(gather: Duration, found: usize) -> Duration {
    let next = if found > AT_A_TIME { gather / 2 } else { gather * 2 };
    next.clamp(GATHER_MIN, GATHER_MAX)
}

/// Works off what waits. Says how many there were.
fn work_off(desk: &Desk, batch: &mut Batch, log: &mut Option<RequestLog>) -> usize {
    desk.empty(batch);
    let (found, now) = (batch.entries.len(), Now::read());
    for entry in batch.entries.drain(..) {
        let unix_ms = now.unix_ms(entry.ended);
        if let Some(log) = log {
            let app = entry.deployment.as_ref().map(|deployment| &deployment.app);
            log.push(&entry.receipt, app, unix_ms);
        }
        account(entry, unix_ms, &desk.metrics);
    }
    if let Some(log) = log.as_mut().filter(|_| found > 0) {
        log.flush();
    }
    found
}

impl Desk {
    fn new(metrics: Arc<Metrics>) -> Self {
        let lists = std::array::from_fn(|_| Mutex::default());
        let [is_asleep, is_closed, is_breaking_off] = std::array::from_fn(|_| AtomicBool::new(false));
        Self { lists, is_asleep, is_closed, is_breaking_off, metrics }
    }

    /// Takes what waits, in the order in which the requests ended.
    fn empty(&self, batch: &mut Batch) {
        for list in &self.lists {
            mem::swap(&mut *lock(list), &mut batch.spare);
            batch.entries.append(&mut batch.spare);
        }
        // Each list was in order, which this sort makes use of.
        batch.entries.sort_by_key(|entry| entry.ended);
    }

    /// Sleeps until something comes.
    fn sleep(&self) {
        self.is_asleep.store(true, SeqCst);
        if !self.is_closed.load(SeqCst) && self.lists.iter().all(|list| lock(list).is_empty()) {
            thread::park();
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
    use gust_core::RequestId;

    use super::*;

    #[test]
    fn what_several_threads_left_is_taken_in_the_order_in_which_it_ended() {
        let (desk, began) = (Desk::new(Arc::new(Metrics::new())), Instant::now());
        for ms in 0..10_u64 {
            let receipt = Receipt::begin(RequestId::from_random(0), http::Method::GET);
            let entry = Entry { receipt, deployment: None, ended: began + Duration::from_millis(ms) };
            lock(&desk.lists[ms as usize % 3]).push(entry);
        }
        let mut batch = Batch::default();
        desk.empty(&mut batch);
        assert!(batch.entries.len() == 10 && batch.entries.is_sorted_by_key(|entry| entry.ended));
    }

    #[test]
    fn the_more_there_is_the_sooner_it_is_worked_off() {
        let steps = |from, found| (0..10).fold(from, |gather, _| next_gather(gather, found));
        assert_eq!(steps(GATHER_MIN, 1), GATHER_MAX);
        assert_eq!(steps(GATHER_MAX, 10_000), GATHER_MIN);
        assert_eq!(next_gather(GATHER_MIN, AT_A_TIME), 2 * GATHER_MIN);
    }

    #[test]
    fn moments_are_told_to_the_millisecond() {
        let system = UNIX_EPOCH + Duration::from_micros(10_000_100);
        let now = Now { instant: Instant::now(), system };
        assert_eq!(now.unix_ms(now.instant), 10_000);
        assert_eq!(now.unix_ms(now.instant - Duration::from_micros(100)), 10_000);
        assert_eq!(now.unix_ms(now.instant - Duration::from_micros(101)), 9_999);
    }
}
