//! Written against `wasi:http` itself, without the SDK, as functions of other hosts are. For the host's tests.

use wasip2::{
    exports::http::incoming_handler::Guest,
    http::{
        outgoing_handler,
        types::{Fields, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme},
    },
    io::streams::OutputStream,
};

struct Raw;

wasip2::http::proxy::export!(Raw);

impl Guest for Raw {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, n) = target.split_once("?n=").unwrap_or((&target, "0"));
        let n: usize = n.parse().unwrap_or_default();
        match path {
            "/nothing" => {}
            "/trap" => panic!("before the head"),
            "/stream" => respond(out, |stream| (0..n).for_each(|_| write(stream, &[b'x'; 4096]))),
            "/trap-late" => respond(out, |stream| {
                (0..n).for_each(|_| write(stream, &[b'x'; 4096]));
                panic!("after the head")
            }),
            "/echo" => echo(&request, out),
            "/dial" => {
                let answer = dial();
                respond(out, |stream| write(stream, answer.as_bytes()))
            }
            _ => respond(out, |stream| write(stream, b"Hello from wasi:http")),
        }
    }
}

fn respond(out: ResponseOutparam, fill: impl FnOnce(&OutputStream)) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    fill(&stream);
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
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
