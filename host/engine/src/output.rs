//! What a guest prints: cut into lines, made harmless, capped, and handed to whoever keeps the log.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use gust_core::{RequestId, limits::Limit, one_line};
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{self, Pollable, StreamResult},
};

use crate::meter::Meter;

/// The longest line, in bytes; a longer one is cut into several.
const LINE_BYTES_MAX: usize = 8 << 10;

/// Bytes that a guest may write in one call.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// Where a guest's lines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Where a guest's lines go. Called on the thread that runs the guest, so it must not block.
pub trait OutputSink: Send + Sync {
    /// Takes one line, without its end, control characters escaped.
    fn line(&self, request_id: &RequestId, stream: OutputStream, text: String);
}

/// The output of one invocation. Made when the guest first asks for a standard stream.
#[derive(Clone)]
pub(crate) struct Output {
    shared: Arc<Mutex<Lines>>,
}

struct Lines {
    request_id: RequestId,
    sink: Arc<dyn OutputSink>,
    meter: Arc<Meter>,
    bytes_left: u64,
    bytes_dropped: u64,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Output {
    pub(crate) fn new(request_id: RequestId, sink: Arc<dyn OutputSink>, bytes_max: u64, meter: Arc<Meter>) -> Self {
        let (stdout, stderr) = (Vec::new(), Vec::new());
        let lines = Lines { request_id, sink, meter, bytes_left: bytes_max, bytes_dropped: 0, stdout, stderr };
        Self { shared: Arc::new(Mutex::new(lines)) }
    }

    /// The guest's view of one stream.
    pub(crate) fn stream(&self, stream: OutputStream) -> Writer {
        Writer { output: self.clone(), stream }
    }

    /// Adds a line of the host's own, within no cap.
    pub(crate) fn note(&self, text: &str) {
        let lines = self.lock();
        lines.sink.line(&lines.request_id, OutputStream::Stderr, one_line(text).to_string());
    }

    /// Adds a line that the guest wants in its log, whatever is in it, within the cap.
    pub(crate) fn line(&self, text: &str) {
        self.lock().line(text);
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn write(&mut self, stream: OutputStream, bytes: &[u8]) {
        let taken = usize::try_from(self.bytes_left).unwrap_or(usize::MAX).min(bytes.len());
        self.bytes_left -= taken as u64;
        if taken < bytes.len() && self.bytes_dropped == 0 {
            self.meter.reaches(Limit::Log);
        }
        self.bytes_dropped += (bytes.len() - taken) as u64;
        for piece in bytes.get(..taken).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
            self.append(stream, piece);
        }
    }

    /// A line of its own, also where it has ends of lines in it.
    fn line(&mut self, text: &str) {
        if !self.stderr.is_empty() {
            self.end_line(OutputStream::Stderr);
        }
        // What is not kept need not be made harmless.
        let left = usize::try_from(self.bytes_left).unwrap_or(usize::MAX);
        let (kept, dropped) = text.split_at(text.floor_char_boundary(left));
        self.write(OutputStream::Stderr, one_line(kept).to_string().as_bytes());
        self.write(OutputStream::Stderr, dropped.as_bytes());
        self.write(OutputStream::Stderr, b"\n");
    }

    /// Appends what holds at most one end of line.
    fn append(&mut self, stream: OutputStream, piece: &[u8]) {
        let (text, ended) = match piece.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (piece, false),
        };
        for part in text.chunks(LINE_BYTES_MAX) {
            let pending = self.pending(stream);
            if pending.len() + part.len() > LINE_BYTES_MAX {
                self.end_line(stream);
            }
            self.pending(stream).extend_from_slice(part);
        }
        if ended {
            self.end_line(stream);
        }
    }

    fn pending(&mut self, stream: OutputStream) -> &mut Vec<u8> {
        match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        }
    }

    fn end_line(&mut self, stream: OutputStream) {
        let line = mem::take(self.pending(stream));
        self.sink.line(&self.request_id, stream, one_line(&String::from_utf8_lossy(&line)).to_string());
    }
}

/// When the invocation is over: what has no end of line yet, and how much was dropped.
impl Drop for Lines {
    fn drop(&mut self) {
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            if !self.pending(stream).is_empty() {
                self.end_line(stream);
            }
        }
        if self.bytes_dropped > 0 {
            let text = format!("{} more bytes were printed and dropped: limits.log_kib is reached", self.bytes_dropped);
            self.sink.line(&self.request_id, OutputStream::Stderr, text);
        }
    }
}

/// One stream as WASI sees it: always ready, never failing, so that printing neither blocks nor ends a guest.
#[derive(Clone)]
pub(crate) struct Writer {
    output: Output,
    stream: OutputStream,
}

impl IsTerminal for Writer {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Writer {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn p2::OutputStream> {
        Box::new(self.clone())
    }
}

impl p2::OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.output.lock().write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.output.lock().write(self.stream, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl OutputSink for Kept {
        fn line(&self, _: &RequestId, stream: OutputStream, text: String) {
            self.0.lock().unwrap().push(format!("{stream:?} {text}"));
        }
    }

    fn printed(bytes_max: u64, writes: &[(OutputStream, &[u8])]) -> Vec<String> {
        let kept = Arc::new(Kept::default());
        let output = Output::new(RequestId::from_random(1), kept.clone(), bytes_max, Meter::new());
        for (stream, bytes) in writes {
            output.lock().write(*stream, bytes);
        }
        drop(output);
        kept.0.lock().unwrap().clone()
    }

    use OutputStream::{Stderr, Stdout};

    #[test]
    fn lines_are_joined_across_writes_and_kept_apart_by_stream() {
        let writes: [(_, &[u8]); 4] = [(Stdout, b"he"), (Stderr, b"oh\n"), (Stdout, b"llo\n\nrest"), (Stderr, b"end")];
        let expected = ["Stderr oh", "Stdout hello", "Stdout ", "Stdout rest", "Stderr end"];
        assert_eq!(printed(1000, &writes), expected);
    }

    #[test]
    fn what_could_forge_a_line_is_escaped() {
        let writes: [(_, &[u8]); 1] = [(Stdout, b"a\r\x1b[31mb\x00\xff\xe2\x80\xae\n")];
        assert_eq!(printed(1000, &writes), ["Stdout a\\r\\u{1b}[31mb\\u{0}\u{fffd}\\u{202e}"]);
    }

    #[test]
    fn what_is_over_the_cap_is_counted_and_dropped() {
        let writes: [(_, &[u8]); 2] = [(Stdout, b"12345678"), (Stderr, b"90\n")];
        let dropped = "Stderr 5 more bytes were printed and dropped: limits.log_kib is reached";
        assert_eq!(printed(6, &writes), ["Stdout 123456", dropped]);
    }

    #[test]
    fn a_line_that_is_logged_is_one_line_within_the_cap() {
        let kept = Arc::new(Kept::default());
        let output = Output::new(RequestId::from_random(1), kept.clone(), 30, Meter::new());
        output.lock().write(Stderr, b"begun");
        output.line("[warn] a\nb");
        output.line(&"x".repeat(1000));
        drop(output);
        let lines = kept.0.lock().unwrap().clone();
        let dropped = "Stderr 988 more bytes were printed and dropped: limits.log_kib is reached";
        assert_eq!(lines, ["Stderr begun", "Stderr [warn] a\\nb", "Stderr xxxxxxxxxxxxx", dropped]);
    }

    #[test]
    fn endless_lines_are_cut() {
        let long = vec![b'x'; 3 * LINE_BYTES_MAX + 1];
        let lines = printed(u64::MAX, &[(Stdout, &long)]);
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| line.len() <= LINE_BYTES_MAX + "Stdout ".len()));
    }
}
