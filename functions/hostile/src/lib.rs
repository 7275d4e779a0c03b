//! Misbehaves on request, for the host's tests. Not an example.

mod smuggle;

use std::{
    fs,
    hint::black_box,
    net::TcpStream,
    process, thread,
    time::{Duration, Instant},
};

use gust_sdk::{
    Bytes, Error, HeaderMap, HeaderName, IntoResponse, Method, PathRest, Query, Response, StatusCode, Timeouts, config,
    handler, http, send, send_within,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct HowMuch {
    #[serde(default)]
    n: u64,
    #[serde(default)]
    url: String,
}

#[handler]
fn hostile(
    method: Method,
    path: PathRest,
    how: Query<HowMuch>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    let n = how.0.n;
    match path.0.as_str() {
        "/trap" => panic!("asked to"),
        "/loop" => loop {
            black_box(n);
        },
        "/spin" => spin(Duration::from_millis(n)),
        "/compute" => (0..n * 1_000_000).for_each(|round| {
            black_box(round);
        }),
        "/sleep" => thread::sleep(Duration::from_millis(n)),
        "/fail" => return Err(Error::failed(format!("a secret of the function's own{}", "!".repeat(n as usize)))),
        "/memory" => hold_forever(),
        "/fill" => fill_forever(),
        "/deep" => return Ok(deep(n).to_string().into_response()),
        "/exit" => process::exit(3),
        "/big" => return Ok(vec![b'x'; n as usize].into_response()),
        "/redirect" => return Ok(redirect(&how.0.url)),
        "/status" => return Ok(StatusCode::from_u16(n as u16)?.into_response()),
        "/many-headers" => return Ok(many_headers(n)),
        "/framing" => return Ok(([("content-length", "3"), ("connection", "close")], "four").into_response()),
        "/print" => (0..n).for_each(|line| println!("line {line} \x1b[31m")),
        "/files" => return Ok(format!("{:?}", fs::read_dir("/").map(|_| ())).into_response()),
        "/dial" => return Ok(format!("{:?}", TcpStream::connect("127.0.0.1:1").map(|_| ())).into_response()),
        "/grow" => drop(black_box(vec![1_u8; n as usize])),
        "/mark" => smuggle::mark(),
        "/seek" => return Ok(smuggle::seek().to_string().into_response()),
        "/headers" => return Ok(format!("{headers:?}").into_response()),
        "/count" => return Ok(body.len().to_string().into_response()),
        "/call" => return send(http::Request::builder().method(method).uri(&how.0.url).body(body)?),
        "/calls" => {
            for _ in 0..n {
                send(http::Request::get(&how.0.url).body(Bytes::new())?)?;
            }
        }
        "/mark-and-call" => {
            smuggle::mark();
            return send(http::Request::get(&how.0.url).body(body)?);
        }
        "/call-within" => {
            let timeouts = Timeouts { first_byte: Some(Duration::from_millis(n)), ..Timeouts::default() };
            return send_within(timeouts, http::Request::get(&how.0.url).body(body)?);
        }
        "/state" => return Ok(state().to_string().into_response()),
        path if path.starts_with("/config/") => return Ok(format!("{:?}", config(&path[8..])).into_response()),
        other => return Err(Error::bad_request(format!("{other} is not known"))),
    }
    Ok("done".into_response())
}

fn redirect(url: &str) -> Response {
    let mut response = StatusCode::FOUND.into_response();
    response.headers_mut().insert("location", url.parse().unwrap());
    response
}

fn many_headers(n: u64) -> Response {
    let mut response = "many".into_response();
    for number in 0..n {
        response.headers_mut().insert(HeaderName::try_from(format!("x-{number}")).unwrap(), number.into());
    }
    response
}

fn spin(duration: Duration) {
    let began = Instant::now();
    while began.elapsed() < duration {
        black_box(&began);
    }
}

fn hold_forever() {
    let mut held = Vec::new();
    loop {
        held.push(vec![1_u8; 1 << 20]);
        black_box(&held);
    }
}

fn fill_forever() {
    let mut held = vec![0_u8; 8 << 20];
    loop {
        black_box(&mut held).fill(7);
    }
}

fn deep(n: u64) -> u64 {
    if n == 0 { 0 } else { black_box(deep(n - 1)) + 1 }
}

/// How many calls this instance has seen.
fn state() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static CALLS: AtomicU32 = AtomicU32::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed) + 1
}
