//! Whether all of an answer of HTTP/1.1 has come.

use anyhow::{Result, ensure};
use httparse::{EMPTY_HEADER, Response, Status};

/// The most headers that an answer may have.
const HEADERS_MAX: usize = 64;

/// What ends a body in chunks that has no trailers.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Whether `bytes` are a whole answer. Only 200 will do.
pub(super) fn is_whole(bytes: &[u8]) -> Result<bool> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut response = Response::new(&mut headers);
    let Status::Complete(head) = response.parse(bytes)? else { return Ok(false) };
    ensure!(response.code == Some(200), "an answer has the status {:?}", response.code);
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    Ok(match length {
        Some(length) => bytes.len() - head >= std::str::from_utf8(length.value)?.trim().parse::<usize>()?,
        None => bytes[head..].ends_with(LAST_CHUNK),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_wherever_it_is() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ] {
            for end in 0..answer.len() {
                assert!(!is_whole(&answer.as_bytes()[..end]).unwrap(), "{end} of {answer:?}");
            }
            assert!(is_whole(answer.as_bytes()).unwrap(), "{answer:?}");
        }
        assert!(is_whole(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").is_err());
    }
}
