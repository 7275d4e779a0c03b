//! What `wasi:http` 0.2 promises, asked for.

use wasip2::{
    http::{
        outgoing_handler,
        types::{Fields, HeaderError, IncomingRequest, OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme},
    },
    io::poll,
};

use crate::{respond, write};

/// What is said of fields that are the host's own.
pub fn forbidden(out: ResponseOutparam) {
    let fields = Fields::new();
    let names = ["connection", "host", "keep-alive", "transfer-encoding", "upgrade", "x-mine", "bad name"];
    let told = names.map(|name| match fields.append(name, b"x") {
        Ok(()) => "taken",
        Err(HeaderError::Forbidden) => "forbidden",
        Err(HeaderError::InvalidSyntax) => "invalid",
        Err(HeaderError::Immutable) => "immutable",
    });
    respond(out, |stream| write(stream, told.join(" ").as_bytes()));
}

/// Whether fields of a request can be changed.
pub fn immutable(request: &IncomingRequest, out: ResponseOutparam) {
    let told = request.headers().append("x-mine", b"x").is_err_and(|error| matches!(error, HeaderError::Immutable));
    respond(out, |stream| write(stream, if told { b"immutable" } else { b"mutable" }));
}

/// Reads a little of the body, and drops all that is of it while its sender still sends.
pub fn early(request: IncomingRequest, out: ResponseOutparam) {
    let body = request.consume().unwrap();
    let stream = body.stream().unwrap();
    let first = stream.blocking_read(10).map_or(0, |piece| piece.len());
    drop(stream);
    drop(body);
    drop(request);
    respond(out, |stream| write(stream, first.to_string().as_bytes()));
}

/// Lets go of what belongs together, parents before their children where that can be.
pub fn orphans(request: IncomingRequest, out: ResponseOutparam) {
    let headers = request.headers();
    let body = request.consume().unwrap();
    drop(request);
    let host = headers.get("host").len() + headers.entries().len();
    drop(headers);
    drop(body);
    let unused = OutgoingResponse::new(Fields::new());
    drop(unused.body().unwrap());
    drop(unused);
    drop(OutgoingRequest::new(Fields::new()));
    respond(out, |stream| write(stream, if host > 0 { b"let go" } else { b"no head" }));
}

/// Asks all URLs, which stand between commas, before it waits for the first answer. How each answers.
pub fn at_once(out: ResponseOutparam, urls: &str) {
    let asked: Vec<_> = urls.split(',').map(ask).collect();
    let waits: Vec<_> = asked.iter().map(|answering| answering.subscribe()).collect();
    let mut left: Vec<_> = waits.iter().collect();
    while !left.is_empty() {
        poll::poll(&left);
        left.retain(|wait| !wait.ready());
    }
    let told: Vec<String> = asked
        .iter()
        .map(|answering| match answering.get() {
            Some(Ok(Ok(response))) => response.status().to_string(),
            Some(Ok(Err(code))) => format!("{code:?}"),
            _ => "nothing".to_owned(),
        })
        .collect();
    drop(waits);
    respond(out, |stream| write(stream, told.join(" ").as_bytes()));
}

fn ask(url: &str) -> wasip2::http::types::FutureIncomingResponse {
    let (authority, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some(&format!("/{path}"))).unwrap();
    outgoing_handler::handle(request, None).unwrap()
}
