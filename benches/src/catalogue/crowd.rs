//! Many connections that are held, each with a byte now and then: who ends them, and when.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{
    client::{PATIENCE, counted},
    hosts::Host,
};

/// How often each sends its byte.
const EVERY: Duration = Duration::from_millis(200);

/// How long it waits to be let in.
const KNOCK: Duration = Duration::from_millis(100);

/// Holds so many connections that begin with these bytes, and sends `drip` on each again and again, where there is one.
pub(super) fn hold(host: &Host, count: usize, opening: &[u8], drip: Option<u8>) -> Result<String> {
    let began = Instant::now();
    let mut open = Vec::new();
    let mut kept_out = 0;
    for _ in 0..count {
        let Ok(mut stream) = TcpStream::connect_timeout(&host.server().address, KNOCK) else {
            kept_out += 1;
            continue;
        };
        stream.write_all(opening)?;
        stream.set_nonblocking(true)?;
        open.push(stream);
    }
    let (mut last, mut answers) = (Duration::ZERO, Vec::new());
    while !open.is_empty() && began.elapsed() < PATIENCE {
        thread::sleep(EVERY);
        open.retain_mut(|stream| {
            if let Some(byte) = drip {
                // That it has ended is seen by reading.
                let _ = stream.write(&[byte]);
            }
            let is_open = is_open(stream, &mut answers);
            if !is_open {
                last = began.elapsed();
            }
            is_open
        });
    }
    let (statuses, patience) = (counted(answers), PATIENCE.as_secs_f64());
    let with = if statuses.is_empty() { String::new() } else { format!(" with {statuses}") };
    let held = match (open.len(), count - kept_out) {
        (0, _) => format!("all ended{with} after {:.1} s", last.as_secs_f64()),
        (open, all) if open == all => format!("{open} open after {patience:.0} s"),
        (open, all) => format!("{} ended{with}, {open} open after {patience:.0} s", all - open),
    };
    Ok(if kept_out == 0 { held } else { format!("{held}, {kept_out} not let in") })
}

/// Takes what has come; the status of an answer is kept.
fn is_open(stream: &mut TcpStream, answers: &mut Vec<String>) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(read) => {
                let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
                answers.extend(text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).map(str::to_owned));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        }
    }
}
