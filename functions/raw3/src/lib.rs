//! Written against `wasi:http` 0.3 itself, without the SDK, as services of other hosts are. For the host's tests.

mod calls;

use wasip3::{
    clocks::monotonic_clock,
    http::types::{ErrorCode, Fields, HeaderError, Request, Response, Trailers},
    spawn_local,
    wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamWriter},
    wit_future, wit_stream,
};

struct Raw;

wasip3::http::service::export!(Raw);

/// How a body ends.
type Ending = Result<Option<Trailers>, ErrorCode>;

const PIECE: [u8; 4096] = [b'x'; 4096];

impl wasip3::exports::http::handler::Guest for Raw {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        if let Some(url) = target.strip_prefix("/call?url=") {
            return calls::relay(request, url).await;
        }
        let (path, n) = target.split_once("?n=").unwrap_or((&target, "0"));
        let n: usize = n.parse().unwrap_or_default();
        match path {
            "/hello" => Ok(text(200, b"Hello".to_vec())),
            "/echo" => Ok(echo(request)),
            "/relay" => Ok(relayed(request)),
            "/size" => Ok(text(200, size(request).await.to_string().into_bytes())),
            "/early" => {
                drop(request);
                Ok(text(200, b"early".to_vec()))
            }
            "/some" => Ok(text(200, some(request, n).await.to_string().into_bytes())),
            "/trap" => panic!("before the head"),
            "/error" => Err(ErrorCode::InternalError(Some("x".repeat(n)))),
            "/denied" => Err(ErrorCode::HttpRequestDenied),
            "/never" => {
                monotonic_clock::wait_for(60_000_000_000).await;
                Ok(text(200, b"late".to_vec()))
            }
            "/spin" => loop {
                std::hint::black_box(n);
            },
            "/stream" => Ok(respond(&[], async move |out| {
                for _ in 0..n {
                    out.write_all(PIECE.to_vec()).await;
                }
                Ok(None)
            })),
            "/trap-late" => Ok(respond(&[], async move |out| {
                out.write_all(PIECE.to_vec()).await;
                panic!("after the head")
            })),
            "/spin-late" => Ok(respond(&[], async move |out| {
                out.write_all(b"done".to_vec()).await;
                loop {
                    std::hint::black_box(n);
                }
            })),
            "/broken" => Ok(respond(&[], async move |out| {
                out.write_all(PIECE.to_vec()).await;
                Err(ErrorCode::InternalError(Some("given up".to_owned())))
            })),
            "/trailers" => Ok(respond(&[], async move |out| {
                out.write_all(b"body".to_vec()).await;
                Fields::from_list(&[("x-trailer".to_owned(), b"4".to_vec())])
                    .map(Some)
                    .map_err(|_| ErrorCode::HttpProtocolError)
            })),
            "/length" => Ok(respond(&[("content-length", &n.to_string())], async move |out| {
                out.write_all(b"four".to_vec()).await;
                Ok(None)
            })),
            "/linger" => Ok(linger(n as u64)),
            "/forbidden" => Ok(text(200, forbidden().into_bytes())),
            "/tasks" => Ok(text(200, tasks(n).await.to_string().into_bytes())),
            "/sent" => Ok(sent()),
            _ => Ok(text(404, b"what?".to_vec())),
        }
    }
}

/// A response with a body that is here.
fn text(status: u16, body: Vec<u8>) -> Response {
    let response = respond(&[], async move |out| {
        out.write_all(body).await;
        Ok(None)
    });
    response.set_status_code(status).unwrap();
    response
}

/// A response whose body is written by a task of its own.
fn respond(headers: &[(&str, &str)], write: impl AsyncFnOnce(&mut StreamWriter<u8>) -> Ending + 'static) -> Response {
    let fields: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let (mut pieces, contents) = wit_stream::new();
    let (ending, ended) = wit_future::new(|| Ok(None));
    spawn_local(async move {
        let end = write(&mut pieces).await;
        drop(pieces);
        let _ = ending.write(end).await;
    });
    Response::new(Fields::from_list(&fields).unwrap(), Some(contents), ended).0
}

/// The body of a request, and how it ends.
fn body(request: Request) -> (StreamReader<u8>, FutureReader<Ending>) {
    let (taken, of_taken): (FutureWriter<Result<(), ErrorCode>>, _) = wit_future::new(|| Ok(()));
    drop(taken);
    Request::consume_body(request, of_taken)
}

/// The request's body and trailers, as they are.
fn echo(request: Request) -> Response {
    let (pieces, ending) = body(request);
    Response::new(Fields::new(), Some(pieces), ending).0
}

/// The same by the guest's own hands.
fn relayed(request: Request) -> Response {
    let (mut pieces, ending) = body(request);
    respond(&[], async move |out| {
        let mut buffer = Vec::with_capacity(64 << 10);
        loop {
            let (result, piece) = pieces.read(buffer).await;
            if matches!(result, wasip3::wit_bindgen::StreamResult::Dropped) && piece.is_empty() {
                return ending.await;
            }
            buffer = out.write_all(piece).await;
            buffer.clear();
            buffer.reserve(64 << 10);
        }
    })
}

async fn size(request: Request) -> usize {
    let (pieces, ending) = body(request);
    let bytes = pieces.collect().await.len();
    ending.await.map_or(0, |_| bytes)
}

/// Reads so many bytes and drops the rest.
async fn some(request: Request, n: usize) -> usize {
    let (mut pieces, _) = body(request);
    let mut read = 0;
    while read < n {
        let (_, piece) = pieces.read(Vec::with_capacity(n - read)).await;
        if piece.is_empty() {
            break;
        }
        read += piece.len();
    }
    read
}

/// What is said of fields that are the host's own.
fn forbidden() -> String {
    let fields = Fields::new();
    let names = ["connection", "host", "keep-alive", "transfer-encoding", "upgrade", "x-mine", "bad name"];
    let told = names.map(|name| match fields.append(name, b"x") {
        Ok(()) => "taken",
        Err(HeaderError::Forbidden) => "forbidden",
        Err(HeaderError::InvalidSyntax) => "invalid",
        Err(_) => "other",
    });
    told.join(" ")
}

/// So many tasks that wait for each other's turn.
async fn tasks(n: usize) -> usize {
    let waits = (0..n).map(|_| monotonic_clock::wait_for(10_000_000));
    futures_util::future::join_all(waits).await.len()
}

/// Goes on for so many milliseconds after its answer is whole.
fn linger(ms: u64) -> Response {
    let (mut pieces, contents) = wit_stream::new();
    let (ending, ended) = wit_future::new(|| Ok(None));
    spawn_local(async move {
        pieces.write_all(b"done".to_vec()).await;
        drop(pieces);
        let _ = ending.write(Ok(None)).await;
        monotonic_clock::wait_for(ms * 1_000_000).await;
        eprintln!("lingered");
    });
    Response::new(Fields::new(), Some(contents), ended).0
}

/// Says in the log how its answer was sent.
fn sent() -> Response {
    let (mut pieces, contents) = wit_stream::new();
    let (ending, ended) = wit_future::new(|| Ok(None));
    let (response, sent) = Response::new(Fields::new(), Some(contents), ended);
    spawn_local(async move {
        pieces.write_all(b"body".to_vec()).await;
        drop(pieces);
        let _ = ending.write(Ok(None)).await;
        eprintln!("sent: {:?}", sent.await);
    });
    response
}
