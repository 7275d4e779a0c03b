//! Written against `wasi:http` itself, without the SDK, as functions of other hosts are. For the host's tests.

mod calls;
mod conforms;

use std::mem;

use wasip2::{
    clocks::monotonic_clock,
    exports::http::incoming_handler::Guest,
    http::{
        outgoing_handler,
        types::{
            ErrorCode, Fields, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam,
            Scheme,
        },
    },
    io::streams::OutputStream,
    random::random,
};

struct Raw;

wasip2::http::proxy::export!(Raw);

impl Guest for Raw {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        if let Some(url) = target.strip_prefix("/call?url=") {
            return calls::relay(&request, out, url);
        }
        if let Some(urls) = target.strip_prefix("/at-once?urls=") {
            return conforms::at_once(out, urls);
        }
        let (path, n) = target.split_once("?n=").unwrap_or((&target, "0"));
        let n: usize = n.parse().unwrap_or_default();
        match path {
            "/nothing" => {}
            "/trap" => panic!("before the head"),
            "/empty" => respond(out, |stream| (0..n).for_each(|_| write(stream, b""))),
            "/linger" => {
                respond(out, |stream| write(stream, b"done"));
                sleep(n);
            }
            "/spin-late" => {
                respond(out, |stream| write(stream, b"done"));
                spin(n);
            }
            "/status" => respond_with(out, n as u16, &[], |stream| write(stream, b"body")),
            "/length-only" => ResponseOutparam::set(out, Ok(OutgoingResponse::new(fields(&[("content-length", n)])))),
            "/trailers" => trailers(out),
            "/error" => ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some("\u{1}".repeat(n))))),
            "/leak" => {
                mem::forget(Fields::new());
                respond(out, |stream| write(stream, b"leaked"));
            }
            "/handles" => handles(out),
            "/length" => respond_with(out, 200, &[("content-length", n)], |stream| write(stream, b"four")),
            "/fields" => {
                let kept: Vec<Fields> = (0..n).map(|_| fields(&[("x", usize::MAX)])).collect();
                respond(out, |stream| write(stream, kept.len().to_string().as_bytes()));
            }
            "/stream" => respond(out, |stream| (0..n).for_each(|_| write(stream, &[b'x'; 4096]))),
            "/trap-late" => respond(out, |stream| {
                (0..n).for_each(|_| write(stream, &[b'x'; 4096]));
                panic!("after the head")
            }),
            "/scheme" => {
                let is_https = matches!(request.scheme(), Some(Scheme::Https));
                respond(out, |stream| write(stream, if is_https { b"https" } else { b"http" }))
            }
            "/forbidden" => conforms::forbidden(out),
            "/immutable" => conforms::immutable(&request, out),
            "/early" => conforms::early(request, out),
            "/orphans" => conforms::orphans(request, out),
            "/again" => calls::again(&request, out),
            "/half" => calls::half(),
            "/echo" => echo(&request, out),
            "/poll" => loop {
                sleep(0);
            },
            "/hold" => {
                let held = vec![7_u8; n << 20];
                sleep(60_000);
                respond(out, |stream| write(stream, &held[..1]));
            }
            "/random" => {
                let bytes = random::get_random_bytes(n as u64);
                respond(out, |stream| write(stream, bytes.len().to_string().as_bytes()));
            }
            "/hang" => {
                drain(&request);
                sleep(60_000);
            }
            "/dial" => {
                let answer = dial();
                respond(out, |stream| write(stream, answer.as_bytes()))
            }
            _ => respond(out, |stream| write(stream, b"Hello from wasi:http")),
        }
    }
}

fn sleep(ms: usize) {
    monotonic_clock::subscribe_duration(ms as u64 * 1_000_000).block();
}

fn spin(ms: usize) {
    let until = monotonic_clock::now() + ms as u64 * 1_000_000;
    while monotonic_clock::now() < until {}
}

fn fields(numbers: &[(&str, usize)]) -> Fields {
    let fields = Fields::new();
    for (name, number) in numbers {
        fields.append(name, number.to_string().as_bytes()).unwrap();
    }
    fields
}

fn respond(out: ResponseOutparam, fill: impl FnOnce(&OutputStream)) {
    respond_with(out, 200, &[], fill);
}

fn trailers(out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    write(&stream, b"before trailers");
    drop(stream);
    OutgoingBody::finish(body, Some(fields(&[("x-trailer", 1)]))).unwrap();
}

/// The numbers of some new handles, which are then dropped out of order: would the next request see that?
fn handles(out: ResponseOutparam) {
    let new: Vec<Fields> = (0..9).map(|_| Fields::new()).collect();
    let numbers: Vec<u32> = new.iter().map(Fields::handle).collect();
    let mut new: Vec<Option<Fields>> = new.into_iter().map(Some).collect();
    for at in [3, 0, 8, 5, 1, 7, 2, 6, 4] {
        new[at] = None;
    }
    respond(out, |stream| write(stream, format!("{numbers:?}").as_bytes()));
}

fn respond_with(out: ResponseOutparam, status: u16, headers: &[(&str, usize)], fill: impl FnOnce(&OutputStream)) {
    let response = OutgoingResponse::new(fields(headers));
    response.set_status_code(status).unwrap();
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    fill(&stream);
    drop(stream);
    // Fails where the stated length was another.
    let _ = OutgoingBody::finish(body, None);
}

fn write(stream: &OutputStream, bytes: &[u8]) {
    stream.blocking_write_and_flush(bytes).unwrap();
}

fn echo(request: &IncomingRequest, out: ResponseOutparam) {
    let body = request.consume().unwrap();
    let input = body.stream().unwrap();
    respond(out, |stream| {
        while let Ok(piece) = input.blocking_read(4096) {
            write(stream, &piece);
        }
    });
}

fn drain(request: &IncomingRequest) {
    let body = request.consume().unwrap();
    let input = body.stream().unwrap();
    while input.blocking_read(4096).is_ok() {}
}

fn dial() -> String {
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some("127.0.0.1:1")).unwrap();
    request.set_path_with_query(Some("/")).unwrap();
    match outgoing_handler::handle(request, None) {
        Err(error) => format!("{error:?}"),
        Ok(response) => {
            response.subscribe().block();
            format!("{:?}", response.get().map(|result| result.map(|result| result.map(|_| ()))))
        }
    }
}
