//! The last lines that a guest printed, for whoever deploys it: a language's runtime says there why it gave up.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use gust_core::RequestId;

use crate::output::{OutputSink, OutputStream};

/// Lines that are kept. What Rust prints of a panic are four.
const LINES_MAX: usize = 6;

/// What is kept of each, in characters.
const LINE_CHARS_MAX: usize = 300;

/// Hands every line on, and keeps the last.
pub(crate) struct LastLines {
    to: Arc<dyn OutputSink>,
    lines: Mutex<VecDeque<String>>,
}

impl LastLines {
    /// What stands before `to`.
    pub(crate) fn before(to: Arc<dyn OutputSink>) -> Self {
        Self { to, lines: Mutex::default() }
    }

    /// They, as one text of one line.
    pub(crate) fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join(" / ")
    }
}

impl OutputSink for LastLines {
    fn line(&self, request_id: &RequestId, stream: OutputStream, text: String) {
        if !text.trim().is_empty() {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(text.chars().take(LINE_CHARS_MAX).collect());
        }
        self.to.line(request_id, stream, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;

    impl OutputSink for Nowhere {
        fn line(&self, _: &RequestId, _: OutputStream, _: String) {}
    }

    #[test]
    fn the_last_lines_are_kept_and_no_more_of_each_than_can_be_read() {
        let last = LastLines::before(Arc::new(Nowhere));
        let line = |text: String| last.line(&RequestId::from_random(1), OutputStream::Stderr, text);
        assert_eq!(last.text(), "");
        (0..10).for_each(|number| line(format!("line {number}")));
        line(" ".to_owned());
        line("x".repeat(1000));
        let long = "x".repeat(LINE_CHARS_MAX);
        assert_eq!(last.text(), format!("line 5 / line 6 / line 7 / line 8 / line 9 / {long}"));
    }
}
