//! A client that sends bytes as they are, and tells what the host did about it.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::hosts::Host;

/// The longest that anything is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// How a connection was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Reset,
    /// Nothing more came while the client had patience.
    Open,
}

/// What came back on a connection.
pub(super) struct Heard {
    pub(super) bytes: Vec<u8>,
    pub(super) end: End,
    after: Duration,
}

/// Sends bytes on a connection of their own, and listens until the host ends it.
pub(super) fn say(host: &Host, bytes: &[u8]) -> Result<Heard> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(host.server().address)?;
    // The host may have answered, and ended it, before all is sent.
    let _ = stream.write_all(bytes);
    listen(stream, began)
}

/// Listens until the host ends the connection.
pub(super) fn listen(mut stream: TcpStream, began: Instant) -> Result<Heard> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    stream.set_read_timeout(Some(PATIENCE))?;
    let end = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break End::Closed,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break End::Open,
            Err(_) => break End::Reset,
        }
    };
    Ok(Heard { bytes, end, after: began.elapsed() })
}

/// Asks once.
pub(super) fn get(host: &Host, path: &str) -> Result<Heard> {
    say(host, &request(host, path))
}

/// A request after which the connection ends.
pub(super) fn request(host: &Host, path: &str) -> Vec<u8> {
    format!("GET {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", host.at(path)).into_bytes()
}

impl Heard {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The statuses of the answers, each with a problem's code where it has one.
    pub(super) fn answers(&self) -> Vec<String> {
        self.text().split("HTTP/1.1 ").skip(1).map(answer).collect()
    }

    /// Whether the first answer is 200.
    pub(super) fn is_ok(&self) -> bool {
        self.bytes.starts_with(b"HTTP/1.1 200")
    }

    /// The answers or how it ended without one, and when.
    pub(super) fn said(&self) -> String {
        let answers = self.answers();
        let what = match self.end {
            _ if !answers.is_empty() => answers.join(", "),
            End::Closed => "closed".to_owned(),
            End::Reset => "reset".to_owned(),
            End::Open => "no answer".to_owned(),
        };
        let seconds = self.after.as_secs_f64();
        if seconds < 0.1 { what } else { format!("{what} after {seconds:.1} s") }
    }

    /// Whether the body looks whole, by what its head says of it.
    pub(super) fn is_whole(&self) -> bool {
        let text = self.text();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let head = head.to_ascii_lowercase();
        match head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok()) {
            Some(length) => body.len() == length,
            None if head.contains("transfer-encoding: chunked") => body.ends_with("0\r\n\r\n"),
            None => self.end == End::Closed,
        }
    }
}

/// From what follows the version.
fn answer(rest: &str) -> String {
    let status = rest.get(..3).unwrap_or(rest);
    match rest.split("\"code\":\"").nth(1).and_then(|code| code.split('"').next()) {
        Some(code) => format!("{status} `{code}`"),
        None => status.to_owned(),
    }
}

/// Several outcomes in their order; one that is the same for all, once.
pub(super) fn together(outcomes: impl IntoIterator<Item = String>) -> String {
    let mut outcomes: Vec<String> = outcomes.into_iter().collect();
    if outcomes.windows(2).all(|pair| pair[0] == pair[1]) {
        outcomes.truncate(1);
    }
    outcomes.join("; ")
}

/// Many outcomes, each with how often it was; one that is the same for all, alone.
pub(super) fn counted(outcomes: impl IntoIterator<Item = String>) -> String {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for outcome in outcomes {
        match counted.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, times)) => *times += 1,
            None => counted.push((outcome, 1)),
        }
    }
    match &counted[..] {
        [(only, _)] => only.clone(),
        several => several.iter().map(|(outcome, times)| format!("{outcome} ({times})")).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str, end: End) -> Heard {
        Heard { bytes: text.as_bytes().to_vec(), end, after: Duration::from_millis(1500) }
    }

    #[test]
    fn what_came_is_said_in_few_words() {
        let refused = "HTTP/1.1 504 Gateway Timeout\r\n\r\n{\"code\":\"limit.wall_ms\"}";
        assert_eq!(heard(refused, End::Closed).said(), "504 `limit.wall_ms` after 1.5 s");
        assert_eq!(heard("", End::Reset).said(), "reset after 1.5 s");
        let (same, others) = (["a", "a"].map(str::to_owned), ["a", "b", "a"].map(str::to_owned));
        assert_eq!((together(same.clone()), together(others.clone())), ("a".to_owned(), "a; b; a".to_owned()));
        assert_eq!((counted(same), counted(others)), ("a".to_owned(), "a (2), b (1)".to_owned()));
    }

    #[test]
    fn a_body_that_breaks_off_is_not_whole() {
        let is_whole = |text: &str, end| heard(text, end).is_whole();
        assert!(is_whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", End::Open));
        assert!(!is_whole("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", End::Closed));
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n";
        assert!(!is_whole(chunked, End::Closed) && is_whole(&format!("{chunked}0\r\n\r\n"), End::Closed));
        assert!(is_whole("HTTP/1.1 200 OK\r\n\r\nok", End::Closed) && !is_whole("HTTP/1.1 200 OK\r\n\r\n", End::Reset));
    }
}
