//! What functions and their requests say, kept for `gust logs`: the newest lines of each function, and whoever follows.
//!
//! Lines live in memory and go with the process; the host's own log, on standard error, is what lasts.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use gust_core::{
    FunctionName, Receipt, RequestId,
    api::{LogLine, LogStream},
    one_line,
};
use gust_engine::{OutputSink, OutputStream};
use tokio::sync::broadcast;

/// Lines of requests kept for each function, and as many that its guests printed: neither pushes the other out.
const LINES_KEPT: usize = 1000;

/// Lines of all functions together. Beyond, those go first whose functions have been silent for longest.
const LINES_KEPT_TOGETHER: usize = 200_000;

/// Lines that a follower may be behind before it misses some.
const LINES_BEHIND_MAX: usize = 1024;

/// Milliseconds since 1970-01-01T00:00Z.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A line as it is kept: most are never read, so they become text only when they are.
pub(crate) enum Record {
    /// A request that is over.
    Request {
        /// What is left of it.
        receipt: Receipt,
        /// When it ended.
        unix_ms: u64,
    },
    /// What a guest printed.
    Printed(LogLine),
}

impl Record {
    fn unix_ms(&self) -> u64 {
        match self {
            Self::Request { unix_ms, .. } => *unix_ms,
            Self::Printed(line) => line.unix_ms,
        }
    }

    fn line(&self) -> LogLine {
        match self {
            Self::Request { receipt, unix_ms } => line_of_request(receipt, *unix_ms),
            Self::Printed(line) => line.clone(),
        }
    }
}

fn line_of_request(receipt: &Receipt, unix_ms: u64) -> LogLine {
    let total_ms = receipt.timing.total_us as f64 / 1000.0;
    let mut text = format!("{} {} in {total_ms:.3} ms", receipt.method, receipt.status);
    if let Some(code) = receipt.ending.code() {
        text = format!("{text}: {}", code.as_str());
        if let Some(internal) = &receipt.internal {
            text = format!("{text}: {}", one_line(internal));
        }
    }
    let limits = receipt.limits_reached();
    if !limits.is_empty() {
        text = format!("{text} [{limits}]");
    }
    LogLine {
        unix_ms,
        request_id: receipt.request_id.as_str().to_owned(),
        version: receipt.function.as_ref().map_or(0, |(_, version)| *version),
        stream: LogStream::Request,
        text,
    }
}

/// The newest lines of one function, each with its number in the order in which they came.
#[derive(Default)]
struct Lines {
    requests: VecDeque<(u64, Record)>,
    printed: VecDeque<(u64, Record)>,
    count: u64,
    /// Made for the first who follows, and gone after the last.
    followers: Option<broadcast::Sender<LogLine>>,
}

impl Lines {
    /// Keeps one more. Says whether there are more than before.
    fn push(&mut self, record: Record) -> bool {
        let lines = match record {
            Record::Request { .. } => &mut self.requests,
            Record::Printed(_) => &mut self.printed,
        };
        let is_full = lines.len() == LINES_KEPT;
        if is_full {
            lines.pop_front();
        }
        lines.push_back((self.count, record));
        self.count += 1;
        !is_full
    }

    fn tell(&mut self, record: &Record) {
        if let Some(followers) = &self.followers
            && followers.send(record.line()).is_err()
        {
            self.followers = None;
        }
    }

    fn follow(&mut self) -> broadcast::Receiver<LogLine> {
        let followers = self.followers.get_or_insert_with(|| broadcast::Sender::new(LINES_BEHIND_MAX));
        followers.subscribe()
    }

    fn len(&self) -> usize {
        self.requests.len() + self.printed.len()
    }

    /// When the newest line came.
    fn newest_unix_ms(&self) -> u64 {
        let newest =
            [&self.requests, &self.printed].map(|lines| lines.back().map_or(0, |(_, record)| record.unix_ms()));
        newest.into_iter().max().unwrap_or_default()
    }

    /// The newest `count` lines, oldest first.
    fn tail(&self, count: usize) -> Vec<LogLine> {
        let mut lines: Vec<_> = self.requests.iter().chain(&self.printed).collect();
        // Requests' lines come by way of the ledger, so a little later than what happened after them.
        lines.sort_unstable_by_key(|(number, record)| (record.unix_ms(), *number));
        lines.iter().skip(lines.len().saturating_sub(count)).map(|(_, record)| record.line()).collect()
    }
}

/// The lines of one function, over all its versions.
pub(crate) struct FunctionLog {
    name: FunctionName,
    /// None before the first.
    lines: Mutex<Option<Box<Lines>>>,
    /// Lines of all functions.
    together: Arc<AtomicUsize>,
}

impl FunctionLog {
    fn new(name: FunctionName, together: Arc<AtomicUsize>) -> Self {
        Self { name, lines: Mutex::default(), together }
    }

    /// Keeps a line and tells those who follow.
    pub(crate) fn push(&self, record: Record) {
        let mut lines = self.lock();
        let lines = lines.get_or_insert_default();
        lines.tell(&record);
        if lines.push(record) {
            self.together.fetch_add(1, Relaxed);
        }
    }

    /// Keeps a line of the host's own about a version.
    pub(crate) fn note(&self, version: u64, text: String) {
        let (request_id, stream) = (String::new(), LogStream::Host);
        self.push(Record::Printed(LogLine { unix_ms: unix_ms(), request_id, version, stream, text }));
    }

    /// Forgets all lines.
    fn clear(&self) {
        if let Some(lines) = &mut *self.lock() {
            self.together.fetch_sub(lines.len(), Relaxed);
            (lines.requests, lines.printed) = (VecDeque::new(), VecDeque::new());
        }
    }

    /// The newest `count` lines, oldest first.
    pub(crate) fn tail(&self, count: usize) -> Vec<LogLine> {
        self.lock().as_ref().map_or_else(Vec::new, |lines| lines.tail(count))
    }

    /// The newest `count` lines, and every line from then on.
    pub(crate) fn follow(&self, count: usize) -> (Vec<LogLine>, broadcast::Receiver<LogLine>) {
        let mut lines = self.lock();
        let lines = lines.get_or_insert_default();
        (lines.tail(count), lines.follow())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<Lines>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FunctionLog {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What a guest prints, as lines of its function's log and of the host's.
pub(crate) struct GuestOutput {
    /// The function's log.
    pub(crate) log: Arc<FunctionLog>,
    /// The version that prints; not set while it is only probed.
    pub(crate) version: Arc<OnceLock<u64>>,
}

impl OutputSink for GuestOutput {
    fn line(&self, request_id: &RequestId, stream: OutputStream, text: String) {
        let stream = match stream {
            OutputStream::Stdout => LogStream::Stdout,
            OutputStream::Stderr => LogStream::Stderr,
        };
        let (function, version) = (&self.log.name, self.version.get().copied().unwrap_or_default());
        tracing::info!(target: "gust::guest", %request_id, %function, version, ?stream, "{text}");
        let request_id = request_id.as_str().to_owned();
        self.log.push(Record::Printed(LogLine { unix_ms: unix_ms(), request_id, version, stream, text }));
    }
}

/// What the logs of all functions have in common: the room for their lines.
#[derive(Default)]
pub(crate) struct Logbook {
    lines: Arc<AtomicUsize>,
}

impl Logbook {
    /// Begins the log of a function.
    pub(crate) fn begin(&self, name: &FunctionName) -> Arc<FunctionLog> {
        Arc::new(FunctionLog::new(name.clone(), self.lines.clone()))
    }

    /// Whether there are too many lines.
    pub(crate) fn is_full(&self) -> bool {
        self.lines.load(Relaxed) > LINES_KEPT_TOGETHER
    }

    /// Lets lines of these logs go, until a quarter of the room is free.
    pub(crate) fn trim(&self, mut logs: Vec<Arc<FunctionLog>>) {
        logs.sort_by_cached_key(|log| log.lock().as_ref().map_or(0, |lines| lines.newest_unix_ms()));
        for log in logs {
            if self.lines.load(Relaxed) <= LINES_KEPT_TOGETHER / 4 * 3 {
                return;
            }
            log.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> Record {
        let line = LogLine {
            unix_ms: 0,
            request_id: String::new(),
            version: 1,
            stream: LogStream::Stdout,
            text: text.to_owned(),
        };
        Record::Printed(line)
    }

    fn request() -> Record {
        let receipt = Receipt::begin(RequestId::from_random(1), http::Method::GET);
        Record::Request { receipt, unix_ms: 0 }
    }

    #[test]
    fn what_guests_print_pushes_no_request_out() {
        let log = FunctionLog::new("hello".parse().unwrap(), Arc::default());
        log.push(request());
        for n in 0..3 * LINES_KEPT {
            log.push(printed(&n.to_string()));
        }
        log.push(request());
        let tail = log.tail(usize::MAX);
        assert_eq!(tail.len(), LINES_KEPT + 2);
        assert_eq!(tail.first().unwrap().stream, LogStream::Request);
        assert_eq!(
            log.tail(2).iter().map(|line| line.stream).collect::<Vec<_>>(),
            [LogStream::Stdout, LogStream::Request]
        );
    }

    #[test]
    fn lines_are_in_the_order_of_time() {
        let log = FunctionLog::new("hello".parse().unwrap(), Arc::default());
        let Record::Printed(mut line) = printed("later") else { unreachable!("it was printed") };
        line.unix_ms = 5;
        log.push(Record::Printed(line));
        log.push(request());
        assert_eq!(log.tail(2).iter().map(|line| line.unix_ms).collect::<Vec<_>>(), [0, 5]);
    }

    #[test]
    fn those_that_are_silent_for_long_go_first_where_there_are_too_many() {
        let logbook = Logbook::default();
        let names = (0..LINES_KEPT_TOGETHER / LINES_KEPT + 10).map(|n| format!("f{n}").parse().unwrap());
        let logs: Vec<_> = names.map(|name: FunctionName| logbook.begin(&name)).collect();
        for (unix_ms, log) in logs.iter().enumerate() {
            for _ in 0..LINES_KEPT + 1 {
                let Record::Printed(line) = printed("x") else { unreachable!("it was printed") };
                log.push(Record::Printed(LogLine { unix_ms: unix_ms as u64, ..line }));
            }
        }
        assert!(logbook.is_full());
        logbook.trim(logs.clone());
        assert_eq!(logs.first().unwrap().tail(1), []);
        assert_eq!(logs.last().unwrap().tail(usize::MAX).len(), LINES_KEPT);
        let kept: usize = logs.iter().map(|log| log.tail(usize::MAX).len()).sum();
        assert_eq!(logbook.lines.load(Relaxed), kept);
        drop(logs);
        assert_eq!(logbook.lines.load(Relaxed), 0);
    }
}
