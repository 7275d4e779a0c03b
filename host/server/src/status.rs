//! The one place where a code becomes an HTTP status, and a problem an answer.

use bytes::Bytes;
use gust_core::{Code, Problem, RequestId, Source, api::ProblemDocument};
use http::{HeaderValue, Response, StatusCode, header};

/// The status that tells a client of `code`.
pub(crate) fn of(code: Code) -> StatusCode {
    use Code::*;
    match code {
        RequestMalformed | RequestBodyIncomplete | GuestBadRequest => StatusCode::BAD_REQUEST,
        ApiMalformed | NameInvalid | ManifestInvalid | UploadIncomplete => StatusCode::BAD_REQUEST,
        AliasInvalid | ConditionsInvalid | AppInvalid | KeyInvalid | IssuerInvalid | TokenInvalid | StateInvalid => {
            StatusCode::BAD_REQUEST
        }
        // The second is seen only by a client that leaves many answers waiting; others have the answer's head.
        RequestTimeout | RequestUnread => StatusCode::REQUEST_TIMEOUT,
        RequestHeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        AuthRequired | AccessKeyRequired | AccessJwtRequired => StatusCode::UNAUTHORIZED,
        AuthForbidden | AccessForbidden | ApiForeignOrigin => StatusCode::FORBIDDEN,
        ApiWrongHost => StatusCode::MISDIRECTED_REQUEST,
        FunctionNotFound | ApiNotFound | VersionNotFound | AliasNotFound | AppNotFound | KeyNotFound
        | TokenNotFound | StateNotFound => StatusCode::NOT_FOUND,
        RouteMethod | ApiMethod => StatusCode::METHOD_NOT_ALLOWED,
        FunctionElsewhere | FunctionInUse | AppNotEmpty | RouteConflict | RouteHost | SecretMissing | SecretInUse
        | TokenExists | RollbackNothing => StatusCode::CONFLICT,
        ApiChanged => StatusCode::PRECONDITION_FAILED,
        ApiPreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        LimitRequestBody | LimitComponent | UploadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        UploadContentType | UploadContentEncoding | ApiContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ComponentMalformed
        | ComponentNotWasm
        | ComponentCoreModule
        | ComponentPrecompiled
        | ComponentNoHandler
        | ComponentUnknownImport
        | ComponentTooLarge
        | ComponentCompile
        | ComponentProbe
        | ComponentInitFailed
        | BackupInvalid => StatusCode::UNPROCESSABLE_ENTITY,
        LimitConcurrency | LimitQueue | LimitQueueTime => StatusCode::TOO_MANY_REQUESTS,
        QuotaRequests | QuotaConcurrency | QuotaCpu | QuotaStoredBytes | QuotaStorage => StatusCode::TOO_MANY_REQUESTS,
        // Never seen by the client, for it is gone; nginx's number, known to those who read logs.
        ClientGone => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        GuestFailed | GuestNoResponse | GuestBadResponse | Trap | TrapStackOverflow | MiddlewareNotFound => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        LimitResponseBody | LimitHeaders | LimitMemory | LimitHandles => StatusCode::INTERNAL_SERVER_ERROR,
        StoreFailed | Internal => StatusCode::INTERNAL_SERVER_ERROR,
        MethodNotSupported => StatusCode::NOT_IMPLEMENTED,
        FunctionUnavailable | FunctionLoading | HostBusy | HostDraining | StateBusy | StoreCorrupt
        | SecretUnreadable => StatusCode::SERVICE_UNAVAILABLE,
        LimitWall | LimitCpu => StatusCode::GATEWAY_TIMEOUT,
        RequestLoop => StatusCode::LOOP_DETECTED,
        StoreFull => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// The status of a function that was deleted.
pub(crate) const DELETED: StatusCode = StatusCode::NO_CONTENT;

/// The status of a change of which there is nothing to tell.
pub(crate) const DONE: StatusCode = StatusCode::NO_CONTENT;

/// The status of what was set, whatever was there before.
pub(crate) const SET: StatusCode = StatusCode::NO_CONTENT;

/// The status of what was put: it is new, or was there already.
pub(crate) fn deployed(is_new: bool) -> StatusCode {
    if is_new { StatusCode::CREATED } else { StatusCode::OK }
}

/// What a route answers that leads elsewhere.
pub(crate) fn redirect(status: u16, location: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::PERMANENT_REDIRECT);
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// What a route answers that is always the same.
pub(crate) fn fixed(status: u16, content_type: &HeaderValue, body: &Bytes) -> Response<Bytes> {
    let mut response = Response::new(body.clone());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type.clone());
    response
}

/// A problem as an answer: its document, and when to try again where that helps.
pub(crate) fn answer(problem: &Problem, request_id: Option<&RequestId>) -> Response<Bytes> {
    let status = of(problem.code);
    let document = document(problem, status, request_id);
    // The document is made of texts and numbers, so it cannot fail to be written.
    let body = Bytes::from(serde_json::to_vec(&document).unwrap_or_default());
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(seconds) = problem.retry_after_s.or_else(|| retry_after_s(problem.code)) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(challenge) = challenge(problem.code) {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

/// When to try again where the problem does not say: whatever is short of room has some soon.
pub(crate) fn retry_after_s(code: Code) -> Option<u32> {
    match code {
        Code::LimitConcurrency
        | Code::LimitQueue
        | Code::LimitQueueTime
        | Code::QuotaConcurrency
        | Code::FunctionLoading
        | Code::HostBusy
        | Code::StateBusy
        | Code::HostDraining => Some(1),
        // Somebody has to make room first.
        Code::QuotaStoredBytes | Code::QuotaStorage => Some(60),
        _ => None,
    }
}

/// How to say who one is (RFC 9110, section 11.6.1).
pub(crate) fn challenge(code: Code) -> Option<&'static str> {
    match code {
        Code::AuthRequired | Code::AccessJwtRequired => Some("Bearer"),
        Code::AccessKeyRequired => Some("Bearer realm=\"gust key\""),
        _ => None,
    }
}

fn document(problem: &Problem, status: StatusCode, request_id: Option<&RequestId>) -> ProblemDocument {
    let source = match problem.code.source() {
        Source::Client => "client",
        Source::Guest => "guest",
        Source::Host => "host",
    };
    ProblemDocument {
        kind: format!("urn:gust:problem:{}", problem.code.as_str()),
        title: problem.code.title().to_owned(),
        status: status.as_u16(),
        code: problem.code.as_str().to_owned(),
        source: source.to_owned(),
        detail: problem.detail.clone(),
        request_id: request_id.map(|id| id.as_str().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_blames_whoever_the_code_blames() {
        for code in Code::ALL {
            let status = of(*code);
            match code.source() {
                Source::Client => assert!(status.is_client_error() || *code == Code::MethodNotSupported, "{code:?}"),
                Source::Guest | Source::Host => assert!(status.is_server_error(), "{code:?}"),
            }
        }
    }

    #[test]
    fn the_documentation_lists_every_code_with_its_status() {
        let page = include_str!("../../../docs/api.md");
        for code in Code::ALL {
            let row = format!("| `{}` | {} | {} |", code.as_str(), of(*code).as_u16(), code.title());
            assert!(page.contains(&row), "docs/api.md has no row {row}");
        }
        let is_row = |line: &&str| line.split('|').nth(2).is_some_and(|cell| cell.trim().parse::<u16>().is_ok());
        assert_eq!(page.lines().filter(is_row).count(), Code::ALL.len());
    }

    #[test]
    fn what_is_internal_is_not_told() {
        let problem = Problem::new(Code::Trap, "its log has the cause").with_internal("/secret/path");
        let body = answer(&problem, None).into_body();
        assert!(!String::from_utf8(body.to_vec()).unwrap().contains("secret"));
    }
}
