//! What functions and their requests say, kept for `gust logs`: the newest lines of each function, and whoever follows.
//!
//! Lines live in memory and go with the process; the host's own log, on standard error, is what lasts.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::{SystemTime, UNIX_EPOCH},
};

use gust_core::{
    FunctionName, Receipt, RequestId,
    api::{LogLine, LogStream},
};
use gust_engine::{OutputSink, OutputStream};
use tokio::sync::broadcast;

/// Lines of requests kept for each function, and as many that its guests printed: neither pushes the other out.
const LINES_KEPT: usize = 1000;

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
            text = format!("{text}: {}", internal.escape_debug());
        }
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
}

impl Lines {
    fn push(&mut self, record: Record) {
        let lines = match record {
            Record::Request { .. } => &mut self.requests,
            Record::Printed(_) => &mut self.printed,
        };
        if lines.len() == LINES_KEPT {
            lines.pop_front();
        }
        lines.push_back((self.count, record));
        self.count += 1;
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
    lines: Mutex<Lines>,
    followers: broadcast::Sender<LogLine>,
}

impl FunctionLog {
    fn new(name: FunctionName) -> Self {
        Self { name, lines: Mutex::default(), followers: broadcast::Sender::new(LINES_BEHIND_MAX) }
    }

    /// Keeps a line and tells those who follow.
    pub(crate) fn push(&self, record: Record) {
        if self.followers.receiver_count() > 0 {
            // Fails only when the last follower left this moment.
            let _ = self.followers.send(record.line());
        }
        self.lock().push(record);
    }

    /// The newest `count` lines, oldest first.
    pub(crate) fn tail(&self, count: usize) -> Vec<LogLine> {
        self.lock().tail(count)
    }

    /// The newest `count` lines, and every line from then on.
    pub(crate) fn follow(&self, count: usize) -> (Vec<LogLine>, broadcast::Receiver<LogLine>) {
        // Subscribed first: a line may come twice at the seam, but none is missed.
        let receiver = self.followers.subscribe();
        (self.tail(count), receiver)
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
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

/// The logs of all functions. Each lives as long as a deployment, or an attempt at one, holds it.
#[derive(Default)]
pub(crate) struct Logbook {
    logs: Mutex<HashMap<FunctionName, Weak<FunctionLog>>>,
}

impl Logbook {
    /// The log of a function, begun where there is none.
    pub(crate) fn of(&self, name: &FunctionName) -> Arc<FunctionLog> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = logs.get(name).and_then(Weak::upgrade) {
            return log;
        }
        // Names that were only tried do not add up: a full map is rid of them before it grows.
        if logs.len() == logs.capacity() {
            logs.retain(|_, log| log.strong_count() > 0);
        }
        let log = Arc::new(FunctionLog::new(name.clone()));
        logs.insert(name.clone(), Arc::downgrade(&log));
        log
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
        let log = FunctionLog::new("hello".parse().unwrap());
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
        let log = FunctionLog::new("hello".parse().unwrap());
        let Record::Printed(mut line) = printed("later") else { unreachable!("it was printed") };
        line.unix_ms = 5;
        log.push(Record::Printed(line));
        log.push(request());
        assert_eq!(log.tail(2).iter().map(|line| line.unix_ms).collect::<Vec<_>>(), [0, 5]);
    }

    #[test]
    fn names_that_were_only_tried_are_forgotten() {
        let logbook = Logbook::default();
        let kept = logbook.of(&"kept".parse().unwrap());
        kept.push(request());
        for n in 0..10_000 {
            logbook.of(&format!("tried-{n}").parse().unwrap());
        }
        assert!(logbook.logs.lock().unwrap().len() < 100);
        assert_eq!(logbook.of(&"kept".parse().unwrap()).tail(9).len(), 1);
    }
}
