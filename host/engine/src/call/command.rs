//! A call of a program through `wasi:cli/run` 0.2: it is run once for the request, as CGI does (RFC 3875).
//!
//! The request's body is on its standard input and its head in the environment, the answer is what it prints; what it prints to standard
//! error is in the log. Both are here as a whole, as those of a [typed](super::typed) guest.

use std::{fmt::Write as _, pin::pin};

use bytes::Bytes;
use gust_core::{Code, Limits, Problem, limits::Limit};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts, response};
use http_body::Body;
use http_body_util::BodyExt as _;
use wasmtime_wasi::{I32Exit, p2::pipe::MemoryOutputPipe};

use super::{Scheme, head};
use crate::{
    allowed::Allowed,
    body::GuestBody,
    callee::Instance,
    lease::{Lease, Leased},
    rewind,
};

/// The most header fields that are looked for in what a program prints.
const FIELDS_MAX: usize = 256;

/// Headers that are not told: what would be taken for a proxy's address by programs that ask for one (CVE-2016-5385), keys, and what has
/// variables of its own.
static UNTOLD: [HeaderName; 5] = [
    HeaderName::from_static("proxy"),
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
];

/// Runs a program.
pub(super) async fn call<B>(
    lease: Lease,
    request: Box<http::Request<B>>,
    scheme: Scheme,
) -> Result<http::Response<GuestBody>, Problem>
where
    B: Body<Data = Bytes, Error = Problem> + Send + 'static,
{
    let Lease { instance, deadline, .. } = lease;
    let (terms, meter) = (instance.terms().clone(), instance.meter().clone());
    let method = request.method().clone();
    let printed_max = terms.lifted_bytes_max();
    let printed = MemoryOutputPipe::new(printed_max);
    let guest = Box::pin(run(instance, request, scheme, printed.clone()));
    Allowed::new(guest, &terms, &meter, deadline).await?;
    let printed = printed.contents();
    if printed.len() == printed_max {
        meter.reaches(Limit::ResponseBody);
    }
    let (mut parts, body) = answer(printed, &terms.limits)?;
    let has_body = head::has_body(&method, parts.status);
    head::frame(&mut parts, has_body, Some(body.len() as u64))?;
    let body = if has_body { body } else { Bytes::new() };
    Ok(http::Response::from_parts(parts, GuestBody::whole(body)))
}

/// The program's whole life.
async fn run<B>(
    mut instance: Leased,
    request: Box<http::Request<B>>,
    scheme: Scheme,
    printed: MemoryOutputPipe,
) -> Result<(), Problem>
where
    B: Body<Data = Bytes, Error = Problem>,
{
    let (head, body) = (*request).into_parts();
    let body = if body.is_end_stream() { Bytes::new() } else { body.collect().await?.to_bytes() };
    let Leased { store, callee: Instance::Command(command), .. } = &mut instance else {
        return Err(Problem::new(Code::Internal, "an instance was called through another's export"));
    };
    let env = environment(&head, body.len(), scheme);
    store.data_mut().begin_program(body, &env, printed);
    let (ended, at_once) = rewind::at_once(pin!(command.wasi_cli_run().call_run(&mut *store))).await;
    match ended {
        Ok(Ok(())) => {
            instance.give_back(at_once).await;
            Ok(())
        }
        Ok(Err(())) => Err(failed(1)),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(0)) => Ok(()),
            Some(I32Exit(status)) => Err(failed(*status)),
            None => Err(instance.store.data().failure(&error)),
        },
    }
}

fn failed(status: i32) -> Problem {
    Problem::new(Code::GuestFailed, format!("the program ended with exit status {status}; its log has the cause"))
}

/// What a program finds in its environment of a request (RFC 3875, section 4.1). Who the client is, the host does not tell.
fn environment(head: &Parts, body_bytes: usize, scheme: Scheme) -> Vec<(String, String)> {
    let text = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let authority = text(header::HOST);
    let (host, port) = authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).unwrap_or((
        authority,
        match scheme {
            Scheme::Http => "80",
            Scheme::Https => "443",
        },
    ));
    let length = body_bytes.to_string();
    let mut env: Vec<(String, String)> = [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_SOFTWARE", concat!("gust/", env!("CARGO_PKG_VERSION"))),
        ("SERVER_NAME", host),
        ("SERVER_PORT", port),
        ("REQUEST_METHOD", head.method.as_str()),
        ("REQUEST_SCHEME", scheme.as_str()),
        ("SCRIPT_NAME", text(HeaderName::from_static("x-forwarded-prefix"))),
        ("PATH_INFO", head.uri.path()),
        ("QUERY_STRING", head.uri.query().unwrap_or_default()),
        ("CONTENT_LENGTH", if body_bytes > 0 { &length } else { "" }),
        ("CONTENT_TYPE", text(header::CONTENT_TYPE)),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    // Hyphens become underscores: of a name that has underscores itself a program could not tell whether it is the host's own.
    let is_told = |name: &&HeaderName| !UNTOLD.contains(name) && !name.as_str().contains('_');
    env.extend(head.headers.keys().filter(is_told).map(|name| told(&head.headers, name)));
    env
}

/// A header's variable: all its values.
fn told(headers: &HeaderMap, name: &HeaderName) -> (String, String) {
    let mut variable = "HTTP_".to_owned();
    variable.extend(name.as_str().chars().map(|c| if c == '-' { '_' } else { c.to_ascii_uppercase() }));
    let separator = if *name == header::COOKIE { "; " } else { ", " };
    let mut value = String::new();
    for (at, part) in headers.get_all(name).iter().enumerate() {
        let separator = if at == 0 { "" } else { separator };
        // To write to a text does not fail.
        let _ = write!(value, "{separator}{}", String::from_utf8_lossy(part.as_bytes()));
    }
    (variable, value)
}

/// The answer that was printed (RFC 3875, section 6): a head of lines, an empty one, and the body.
fn answer(printed: Bytes, limits: &Limits) -> Result<(response::Parts, Bytes), Problem> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let (head_bytes, fields) = match httparse::parse_headers(&printed, &mut fields) {
        Ok(httparse::Status::Complete((bytes, fields))) if !fields.is_empty() => (bytes, fields),
        Ok(_) => return Err(headless("it has none")),
        Err(error) => return Err(headless(&error.to_string())),
    };
    let (mut status, mut pairs) = (None, Vec::new());
    for field in fields {
        if field.name.eq_ignore_ascii_case("status") {
            status = Some(stated_status(field.value)?);
        } else {
            pairs.push((field.name.to_owned(), field.value.to_owned()));
        }
    }
    let headers = head::headers(pairs, limits.headers_bytes())?;
    let is_moved = headers.contains_key(header::LOCATION);
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = match status {
        Some(status) => status,
        None => head::status(if is_moved { 302 } else { 200 })?,
    };
    parts.headers = headers;
    let body = printed.slice(head_bytes..);
    if body.len() as u64 > limits.response_body_bytes() {
        let bytes_max = limits.response_body_bytes();
        let detail = format!("it printed more than the {bytes_max} bytes that its limit response_body_mib allows");
        return Err(Problem::new(Code::LimitResponseBody, detail));
    }
    Ok((parts, body))
}

/// `404 Not Found`: what is told besides the number is nobody's.
fn stated_status(value: &[u8]) -> Result<StatusCode, Problem> {
    let digits = value.trim_ascii().get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(code) => head::status(code),
        None => Err(headless(&format!("its status is {:?}", HeaderValue::from_bytes(value)))),
    }
}

fn headless(why: &str) -> Problem {
    let detail = format!(
        "what it printed does not begin with a head, as `content-type: text/plain` and an empty line would be one: {why}"
    );
    Problem::new(Code::GuestBadResponse, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &'static str) -> Result<(u16, String, String), Code> {
        let (parts, body) =
            answer(Bytes::from_static(text.as_bytes()), &Limits::default()).map_err(|problem| problem.code)?;
        let kind = parts.headers.get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap());
        Ok((parts.status.as_u16(), kind.to_owned(), String::from_utf8(body.to_vec()).unwrap()))
    }

    #[test]
    fn an_answer_is_a_head_and_a_body() {
        let of = |status, kind: &str, body: &str| Ok((status, kind.to_owned(), body.to_owned()));
        assert_eq!(printed("content-type: text/plain\n\nhi\n\nho"), of(200, "text/plain", "hi\n\nho"));
        assert_eq!(printed("Status: 404 Not Found\r\nContent-Type: a/b\r\n\r\n"), of(404, "a/b", ""));
        assert_eq!(printed("location: /there\n\n"), of(302, "", ""));
        assert_eq!(printed("status: 301\nlocation: /there\n\n"), of(301, "", ""));
        for headless in
            ["", "Hello, world!", "\n\nbody", "content-type: text/plain\n", "status: abc\n\n", "status: 99\n\n"]
        {
            assert_eq!(printed(headless), Err(Code::GuestBadResponse), "{headless:?}");
        }
    }

    #[test]
    fn a_request_is_in_the_environment_but_for_what_is_secret() {
        let request = http::Request::post("/a/b?c=d%20e")
            .header("host", "example.com:8080")
            .header("x-forwarded-prefix", "/cgi")
            .header("content-type", "text/plain")
            .header("x-two", "1")
            .header("x-two", "2")
            .header("proxy", "http://evil.example")
            .header("authorization", "Bearer s3cret");
        let (head, ()) = request.body(()).unwrap().into_parts();
        let env = environment(&head, 7, Scheme::Https);
        let value = |name: &str| env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        for (name, told) in [
            ("REQUEST_METHOD", "POST"),
            ("SCRIPT_NAME", "/cgi"),
            ("PATH_INFO", "/a/b"),
            ("QUERY_STRING", "c=d%20e"),
            ("SERVER_NAME", "example.com"),
            ("SERVER_PORT", "8080"),
            ("CONTENT_LENGTH", "7"),
            ("CONTENT_TYPE", "text/plain"),
            ("HTTP_X_TWO", "1, 2"),
            ("HTTP_HOST", "example.com:8080"),
        ] {
            assert_eq!(value(name), Some(told), "{name}");
        }
        assert_eq!((value("HTTP_PROXY"), value("HTTP_AUTHORIZATION")), (None, None));
        assert!(!format!("{env:?}").contains("s3cret"));
    }
}
