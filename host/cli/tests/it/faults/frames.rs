//! HTTP/2 as it is on the wire: what no client library would send.

use std::{io::Read as _, net::TcpStream};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame (RFC 9113, section 4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32;
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The header block of a request (RFC 7541): indexed fields, and literals that are not indexed.
pub fn request(method: u8, path: &str) -> Vec<u8> {
    let mut block = vec![0x80 | method, 0x86, 0x04, path.len() as u8];
    block.extend(path.as_bytes());
    block.extend(b"\x01\x01x");
    block
}

/// The static table's methods.
pub const GET: u8 = 2;
pub const POST: u8 = 3;

/// What a connection begins with.
pub fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes
}

/// A frame that came.
pub struct Came {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// The next frame.
pub fn next(stream: &mut TcpStream) -> Came {
    let mut head = [0; 9];
    stream.read_exact(&mut head).expect("a frame comes");
    let [a, b, c, kind, flags, number @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    stream.read_exact(&mut payload).expect("it comes whole");
    Came { kind, flags, stream: u32::from_be_bytes(number), payload }
}

/// The next frame of this kind.
pub fn next_of(kind: u8, stream: &mut TcpStream) -> Came {
    std::iter::repeat_with(|| next(stream)).find(|came| came.kind == kind).expect("there is one after the other")
}
