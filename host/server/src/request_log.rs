//! One structured line for each request, in the host's log.
//!
//! Lines are written straight into a buffer and leave in batches: going through the log's general machinery would cost as
//! much as the request itself. They look like its lines all the same.

use std::{fmt::Write as _, io};

use gust_core::{AppName, Receipt, RequestId, Source, Timestamp, limits::Reached, one_line, receipt::Timing};

use crate::flat_json::Object;

/// Lines that are longer than this together leave at once.
const BATCH_BYTES: usize = 32 << 10;

/// The target of the lines, as other lines of the log have one.
const TARGET: &str = "gust::request";

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestLogFormat {
    /// An object of JSON, for programs.
    Json,
    /// Words, for people.
    Text,
}

/// Where the lines go.
pub struct RequestLog {
    writer: Box<dyn io::Write + Send>,
    format: RequestLogFormat,
    batch: Vec<u8>,
    stamp: Stamp,
}

/// What a line says.
struct Line<'a> {
    /// As text.
    timestamp: &'a str,
    level: &'static str,
    request_id: &'a RequestId,
    app: Option<&'a AppName>,
    function: &'a str,
    version: u64,
    method: &'a str,
    status: u16,
    code: &'static str,
    timing: Timing,
    request_bytes: u64,
    response_bytes: u64,
    memory_bytes_peak: u64,
    cpu_us: u64,
    limits: Reached,
    internal: &'a str,
}

impl<'a> Line<'a> {
    fn new(receipt: &'a Receipt, app: Option<&'a AppName>, timestamp: &'a str, level: &'static str) -> Self {
        let (function, version) =
            receipt.function.as_ref().map_or(("", 0), |(name, version)| (name.as_str(), *version));
        Self {
            timestamp,
            level,
            request_id: &receipt.request_id,
            app,
            function,
            version,
            method: receipt.method.as_str(),
            status: receipt.status,
            code: receipt.ending.code().map_or("", gust_core::Code::as_str),
            timing: receipt.timing,
            request_bytes: receipt.request_bytes,
            response_bytes: receipt.response_bytes,
            memory_bytes_peak: receipt.memory_bytes_peak,
            cpu_us: receipt.cpu_us,
            limits: receipt.limits_reached(),
            internal: receipt.internal.as_deref().unwrap_or_default(),
        }
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = Object::begin(out);
        object.plain("timestamp", self.timestamp);
        object.plain("level", self.level);
        object.plain("request_id", self.request_id.as_str());
        object.plain("app", self.app.map_or("", AppName::as_str));
        object.plain("function", self.function);
        object.number("version", self.version);
        object.plain("method", self.method);
        object.number("status", self.status.into());
        object.plain("code", self.code);
        object.number("queue_us", self.timing.queue_us.into());
        object.number("init_us", self.timing.init_us.into());
        object.number("run_us", self.timing.run_us.into());
        object.number("total_us", self.timing.total_us);
        object.number("request_bytes", self.request_bytes);
        object.number("response_bytes", self.response_bytes);
        object.number("memory_bytes_peak", self.memory_bytes_peak);
        object.number("cpu_us", self.cpu_us);
        if !self.limits.is_empty() {
            object.plain("limits", &self.limits.to_string());
        }
        if !self.internal.is_empty() {
            object.text("internal", self.internal);
        }
        object.plain("target", TARGET);
        object.end();
    }
}

/// A moment as text, made anew only when it is another one: requests end many to the millisecond.
struct Stamp {
    unix_ms: u64,
    text: String,
}

impl Stamp {
    fn of(unix_ms: u64) -> Self {
        Self { unix_ms, text: Timestamp(unix_ms).to_string() }
    }

    fn at(&mut self, unix_ms: u64) -> &str {
        if self.unix_ms != unix_ms {
            *self = Self::of(unix_ms);
        }
        &self.text
    }
}

impl RequestLog {
    /// Lines of this form. A write to `writer` is some whole lines; what it refuses is lost.
    pub fn new(writer: impl io::Write + Send + 'static, format: RequestLogFormat) -> Self {
        Self { writer: Box::new(writer), format, batch: Vec::with_capacity(2 * BATCH_BYTES), stamp: Stamp::of(0) }
    }

    /// Adds the line of one request, which was served in this app, if by any.
    pub(crate) fn push(&mut self, receipt: &Receipt, app: Option<&AppName>, unix_ms: u64) {
        let Some(level) = level(receipt) else { return };
        let line = Line::new(receipt, app, self.stamp.at(unix_ms), level);
        match self.format {
            RequestLogFormat::Json => line.write_json(&mut self.batch),
            RequestLogFormat::Text => self.batch.extend_from_slice(in_words(&line).as_bytes()),
        }
        self.batch.push(b'\n');
        if self.batch.len() >= BATCH_BYTES {
            self.flush();
        }
    }

    /// Sends what was added.
    pub(crate) fn flush(&mut self) {
        if !self.batch.is_empty() {
            // Serving goes on without its log.
            let _ = self.writer.write_all(&self.batch);
            self.batch.clear();
        }
    }
}

/// The level that a line has, if lines of that level are wanted.
fn level(receipt: &Receipt) -> Option<&'static str> {
    use tracing::Level;
    let source = receipt.ending.code().map(gust_core::Code::source);
    let (level, is_wanted) = match source {
        None | Some(Source::Client) => ("INFO", tracing::enabled!(target: "gust::request", Level::INFO)),
        Some(Source::Guest) => ("WARN", tracing::enabled!(target: "gust::request", Level::WARN)),
        Some(Source::Host) => ("ERROR", tracing::enabled!(target: "gust::request", Level::ERROR)),
    };
    is_wanted.then_some(level)
}

fn in_words(line: &Line<'_>) -> String {
    let Line { timestamp, level, request_id, app, function, version, method, status, timing, .. } = line;
    let total_ms = timing.total_us as f64 / 1e3;
    // As in its address.
    let above = app.filter(|app| !app.is_default()).map_or_else(String::new, |app| format!("~{app}/"));
    let mut text = format!("{timestamp} {level:>5} {method} {above}{function}@{version} {status} in {total_ms:.3} ms");
    // Writing to a String cannot fail.
    if !line.code.is_empty() {
        let _ = write!(text, " {}", line.code);
    }
    if !line.internal.is_empty() {
        let _ = write!(text, ": {}", one_line(line.internal));
    }
    if !line.limits.is_empty() {
        let _ = write!(text, " [{}]", line.limits);
    }
    let _ = write!(text, " ({request_id})");
    text
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use gust_core::{
        Code,
        limits::Limit,
        receipt::{Ending, Timing},
    };
    use tracing::subscriber::NoSubscriber;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn receipt() -> Receipt {
        Receipt {
            request_id: RequestId::from_client(b"id-1").unwrap(),
            function: Some(("hello".parse().unwrap(), 3)),
            method: http::Method::GET,
            status: 500,
            ending: Ending::Failed(Code::Trap),
            timing: Timing { total_us: 1500, ..Timing::default() },
            request_bytes: 0,
            response_bytes: 0,
            memory_bytes_peak: 0,
            cpu_us: 700,
            awaits_body: false,
            by_route: false,
            reached: Reached::default(),
            internal: Some("wasm `unreachable`\nat 0x1".into()),
        }
    }

    #[test]
    fn a_line_is_one_line_whatever_a_guest_says() {
        let (receipt, stamp) = (receipt(), Stamp::of(0));
        let (default, other) = (AppName::default_app(), "shop".parse().unwrap());
        let of_app = |app| Line::new(&receipt, Some(app), &stamp.text, "WARN");
        let line = of_app(&default);
        let words = in_words(&line);
        assert_eq!(
            words,
            "1970-01-01T00:00:00.000Z  WARN GET hello@3 500 in 1.500 ms trap: wasm `unreachable`\\nat 0x1 (id-1)"
        );
        assert!(in_words(&of_app(&other)).contains(" GET ~shop/hello@3 500 "));
        let mut json = Vec::new();
        line.write_json(&mut json);
        let json = String::from_utf8(json).unwrap();
        assert!(
            !json.contains('\n')
                && json.contains(r#""request_id":"id-1","app":"default","function":"hello","version":3"#),
            "{json}"
        );
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value.get("internal").unwrap(), "wasm `unreachable`\nat 0x1");
        assert_eq!(value.get("total_us").unwrap(), 1500);
        assert_eq!(value.get("cpu_us").unwrap(), 700);
    }

    #[test]
    fn a_line_names_the_limits_that_were_reached() {
        let mut receipt = Receipt { ending: Ending::Failed(Code::LimitMemory), internal: None, ..receipt() };
        receipt.reached.add(Limit::Log);
        let stamp = Stamp::of(0);
        let line = Line::new(&receipt, None, &stamp.text, "WARN");
        assert!(in_words(&line).ends_with(" limit.memory [memory_mib,log_kib] (id-1)"), "{}", in_words(&line));
        let mut json = Vec::new();
        line.write_json(&mut json);
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(value.get("limits").unwrap(), "memory_mib,log_kib");
    }

    #[test]
    fn levels_that_are_not_wanted_are_left_out() {
        let kept = Kept::default();
        let mut log = RequestLog::new(kept.clone(), RequestLogFormat::Json);
        tracing::subscriber::with_default(NoSubscriber::new(), || log.push(&receipt(), None, 0));
        log.flush();
        assert!(kept.0.lock().unwrap().is_empty());
    }
}
