//! Calls of other functions, and of others outside.

use wasip2::{
    http::{
        outgoing_handler,
        types::{
            ErrorCode, Fields, IncomingBody, IncomingRequest, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
            OutgoingResponse, RequestOptions, ResponseOutparam, Scheme, http_error_code,
        },
    },
    io::streams::{OutputStream, StreamError},
};

/// Passes a request on, all of it, and then the answer back as it comes. Its own headers say how: `wait-ns`, `connect-ns`,
/// `first-byte-ns` and `between-bytes-ns` how long it waits, `send` which headers it sends, `send-trailer` a trailer besides, and `tell`
/// that an answer which breaks off ends with the reason.
pub fn relay(request: &IncomingRequest, out: ResponseOutparam, url: &str) {
    let told = Told(request.headers());
    let body = request.consume().unwrap();
    let answered = call(&request.method(), url, told.fields(), told.patience(), told.trailers(), |sent| {
        copy(&body, sent).unwrap();
    });
    match answered {
        Ok(response) => relay_back(&response, out, told.text("tell").is_some()),
        Err(error) => respond(out, 200, |stream| write(stream, &format!("{error:?}"))),
    }
}

/// What it was answered, with the headers and trailers in headers and trailers of its own.
fn relay_back(response: &IncomingResponse, out: ResponseOutparam, tells: bool) {
    let headers = response.headers().entries();
    let seen: Vec<(String, Vec<u8>)> =
        headers.into_iter().map(|(name, value)| (format!("peer-{name}"), value)).collect();
    let answer = OutgoingResponse::new(Fields::from_list(&seen).unwrap());
    answer.set_status_code(response.status()).unwrap();
    let body = answer.body().unwrap();
    ResponseOutparam::set(out, Ok(answer));
    let (stream, from) = (body.write().unwrap(), response.consume().unwrap());
    match copy(&from, &stream) {
        Ok(()) => {}
        Err(error) if tells => write(&stream, &format!(" then {error}")),
        Err(error) => panic!("{error}"),
    }
    drop(stream);
    let _ = OutgoingBody::finish(body, trailers(from));
}

fn trailers(body: IncomingBody) -> Option<Fields> {
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    let trailers = trailers.get()?.ok()?.ok()??;
    Some(Fields::from_list(&trailers.entries()).unwrap())
}

/// What the request says of how it is to be passed on.
struct Told(Fields);

impl Told {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).pop().map(|value| String::from_utf8(value).unwrap())
    }

    /// As `name: value, name: value`.
    fn fields(&self) -> Fields {
        let fields = Fields::new();
        for field in self.text("send").iter().flat_map(|text| text.split(", ")) {
            let (name, value) = field.split_once(": ").unwrap();
            fields.append(name, value.as_bytes()).unwrap();
        }
        if self.text("send-trailer").is_some() {
            fields.append("trailer", b"x-sent").unwrap();
        }
        fields
    }

    fn trailers(&self) -> Option<Fields> {
        let value = self.text("send-trailer")?;
        Some(Fields::from_list(&[("x-sent".to_owned(), value.into_bytes())]).unwrap())
    }

    /// So much time for each step.
    fn patience(&self) -> Option<RequestOptions> {
        let ns = |name: &str| self.text(name).or(self.text("wait-ns")).and_then(|ns| ns.parse().ok());
        let options = RequestOptions::new();
        options.set_connect_timeout(ns("connect-ns")).unwrap();
        options.set_first_byte_timeout(ns("first-byte-ns")).unwrap();
        options.set_between_bytes_timeout(ns("between-bytes-ns")).unwrap();
        Some(options)
    }
}

/// Calls the function itself, which does the same.
pub fn again(request: &IncomingRequest, out: ResponseOutparam) {
    let mounted = request.headers().get("x-forwarded-prefix").concat();
    let name = String::from_utf8(mounted).unwrap().replace('/', "");
    relay(request, out, &format!("http://{name}.gust.internal/again"));
}

/// Traps while it sends a body.
pub fn half() {
    let url = "http://counts.gust.internal/count";
    let _ = call(&Method::Post, url, Fields::new(), None, None, |sent| {
        // So many that some are taken, and whoever takes them waits for more.
        (0..64).for_each(|_| sent.blocking_write_and_flush(b"half").unwrap());
        panic!("in the middle of a body");
    });
}

fn call(
    method: &Method,
    url: &str,
    fields: Fields,
    options: Option<RequestOptions>,
    trailers: Option<Fields>,
    fill: impl FnOnce(&OutputStream),
) -> Result<IncomingResponse, ErrorCode> {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    let request = OutgoingRequest::new(fields);
    request.set_method(method).unwrap();
    request.set_scheme(Some(&scheme)).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some(path)).unwrap();
    let body = request.body().unwrap();
    let answering = outgoing_handler::handle(request, options)?;
    let stream = body.write().unwrap();
    fill(&stream);
    drop(stream);
    OutgoingBody::finish(body, trailers)?;
    answering.subscribe().block();
    answering.get().unwrap().unwrap()
}

/// As far as whoever takes it wants it. Why it breaks off, where it does.
fn copy(from: &IncomingBody, to: &OutputStream) -> Result<(), String> {
    let from = from.stream().unwrap();
    loop {
        match from.blocking_read(65536) {
            Ok(piece) if pass(&piece, to).is_ok() => {}
            Ok(_) | Err(StreamError::Closed) => return Ok(()),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(http_error_code(&error).map_or_else(|| error.to_debug_string(), |code| format!("{code:?}")));
            }
        }
    }
}

/// Writes as much at once as whoever takes it permits.
fn pass(mut piece: &[u8], to: &OutputStream) -> Result<(), StreamError> {
    while !piece.is_empty() {
        to.subscribe().block();
        let permitted = usize::try_from(to.check_write()?).unwrap().min(piece.len());
        let (now, rest) = piece.split_at(permitted);
        to.write(now)?;
        piece = rest;
    }
    to.flush()
}

fn write(stream: &OutputStream, text: &str) {
    let _ = stream.blocking_write_and_flush(text.as_bytes());
}

fn respond(out: ResponseOutparam, status: u16, fill: impl FnOnce(&OutputStream)) {
    let response = OutgoingResponse::new(Fields::new());
    response.set_status_code(status).unwrap();
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    fill(&stream);
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}
