//! Values of the canonical ABI: a guest that copies the request's body over its result, so that each pointer, length and
//! discriminant in it is the fuzzer's.

use std::sync::LazyLock;

use ::http::{Response, header};
use bytes::Bytes;
use gust_core::Limits;
use gust_engine::Function;

use crate::{
    bench::{Bench, must_be_exact, must_be_the_guests},
    typed,
};

/// The body's first four bytes are where the result is, the others are what is in memory from 0 on.
const CORE: &str = r#"
    (core module $m
        (memory (export "memory") 2)
        REALLOC
        (func (export "handle") PARAMS (result i32)
            (local $result i32)
            (local.set $result (i32.load align=1 (local.get $body)))
            (memory.copy (i32.const 0) (i32.add (local.get $body) (i32.const 4))
                (i32.sub (local.get $bytes) (i32.const 4)))
            (local.get $result)))
    (core instance $i (instantiate $m))"#;

static GUEST: LazyLock<(Bench, Function)> = LazyLock::new(|| {
    let bench = Bench::new();
    let function = bench.deploy(&typed::component(CORE), &limits()).unwrap();
    (bench, function)
});

fn limits() -> Limits {
    Limits { memory_mib: 1, response_body_mib: 1, headers_kib: 4, ..Limits::default() }
}

/// The result of a guest, as it lies in its memory.
pub fn values(data: &[u8]) {
    if data.len() < 4 {
        return;
    }
    let (bench, function) = &*GUEST;
    match bench.call(function, data) {
        Ok(response) => must_be_within_limits(&response),
        Err(problem) => must_be_the_guests(&problem),
    }
    must_be_exact(function);
}

fn must_be_within_limits(response: &Response<Bytes>) {
    let (status, headers, body) = (response.status().as_u16(), response.headers(), response.body());
    assert!((200..600).contains(&status), "{status}");
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    assert!(bytes <= limits().headers_bytes() && body.len() as u64 <= limits().response_body_bytes());
    for of_the_connection in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::TE] {
        assert!(!headers.contains_key(&of_the_connection), "{of_the_connection}");
    }
    let stated = headers.get(header::CONTENT_LENGTH).map(|length| length.to_str().unwrap().parse::<usize>().unwrap());
    let has_body = !matches!(status, 204 | 304);
    assert!(stated.is_none_or(|stated| stated == body.len() || !has_body), "{stated:?} of {} bytes", body.len());
}
