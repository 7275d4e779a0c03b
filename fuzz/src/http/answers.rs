//! What comes back over a connection: nothing, responses of HTTP/1, or frames of HTTP/2. The last may have been cut off.

use httparse::{EMPTY_HEADER, Response, Status};

/// The length of a frame's head (RFC 9113, section 4.1).
const FRAME_HEAD_BYTES: usize = 9;

/// The most that a frame may hold where nobody allowed more (RFC 9113, section 6.5.2), and the most that anybody can.
const FRAME_BYTES_MAX: usize = (1 << 24) - 1;

/// A problem that is the host's own fault.
const INTERNAL: &[u8] = b"\"code\":\"internal\"";

/// Panics where these are no answers to what was sent.
pub(super) fn must_be_well_formed(sent: &[u8], answers: &[u8]) {
    assert!(!contains(answers, INTERNAL), "{:?}", String::from_utf8_lossy(answers));
    if answers.starts_with(b"HTTP/1.") {
        let (count, requests) = (responses(answers, contains(sent, b"HEAD ")), count(sent, b"HTTP/1."));
        // What is no request has one answer, the last.
        assert!(count <= requests + 1, "{count} answers to {requests} requests");
    } else {
        frames(answers);
    }
}

/// How many final responses there are. Only who asked knows which of them have no body, for that was asked with HEAD; so where that
/// may be and a response begins there is none: the functions' bodies begin otherwise.
fn responses(mut rest: &[u8], may_be_of_head: bool) -> usize {
    let mut count = 0;
    while !rest.is_empty() {
        let mut headers = [EMPTY_HEADER; 128];
        let mut response = Response::new(&mut headers);
        let Status::Complete(length) = response.parse(rest).unwrap() else { return count };
        let status = response.code.unwrap();
        rest = &rest[length..];
        if status >= 200 {
            count += 1;
            let has_none = matches!(status, 204 | 304) || (may_be_of_head && rest.starts_with(b"HTTP/1."));
            let bytes = if has_none { 0 } else { body_bytes(&response, rest) };
            let (body, others) = rest.split_at(bytes.min(rest.len()));
            assert!(!body.starts_with(b"HTTP/1."), "a response in a response: {:?}", String::from_utf8_lossy(rest));
            rest = others;
        }
    }
    count
}

/// How long the body is that begins here.
fn body_bytes(response: &Response<'_, '_>, rest: &[u8]) -> usize {
    let header = |name: &str| {
        let mut of_name = response.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        let value = of_name.next().map(|header| std::str::from_utf8(header.value).unwrap());
        assert!(of_name.next().is_none(), "two {name}");
        value
    };
    let (length, encoding) = (header("content-length"), header("transfer-encoding"));
    assert!(length.is_none() || encoding.is_none(), "both a length and an encoding");
    match (length, encoding) {
        (Some(length), _) => length.parse().unwrap(),
        (None, Some(encoding)) => {
            assert_eq!(encoding, "chunked");
            chunked_bytes(rest)
        }
        (None, None) => rest.len(),
    }
}

fn chunked_bytes(body: &[u8]) -> usize {
    let mut at = 0;
    while let Some(rest) = body.get(at..) {
        let Status::Complete((head, bytes)) = httparse::parse_chunk_size(rest).unwrap() else { break };
        at += head + usize::try_from(bytes).unwrap() + 2;
        if bytes == 0 {
            return at;
        }
    }
    body.len()
}

/// Frames as a server sends them (RFC 9113, section 6), settings first.
fn frames(mut rest: &[u8]) {
    let mut is_first = true;
    while let Some(head) = rest.get(..FRAME_HEAD_BYTES) {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, stream) = (head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
        let is_of_connection = stream == 0;
        let fits = match kind {
            0 | 1 | 9 => !is_of_connection && length <= FRAME_BYTES_MAX,
            3 => !is_of_connection && length == 4,
            4 => is_of_connection && length % 6 == 0,
            6 => is_of_connection && length == 8,
            7 => is_of_connection && length >= 8,
            8 => length == 4,
            // Priorities and pushes are not for this server to send, and others are not known.
            _ => false,
        };
        assert!(fits && stream >> 31 == 0 && (!is_first || kind == 4), "{kind} {stream} {length}: {rest:?}");
        is_first = false;
        rest = rest.get(FRAME_HEAD_BYTES + length..).unwrap_or_default();
    }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    count(text, wanted) > 0
}

fn count(text: &[u8], wanted: &[u8]) -> usize {
    text.windows(wanted.len()).filter(|window| *window == wanted).count()
}
