//! Who calls: each call of the API takes a token with a [scope for it](super::permission). A missing and a wrong token get the same
//! answer.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, RawPathParams, Request, State, rejection::RawPathParamsRejection},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use gust_access::{Action, Grant};
use gust_core::{Code, Problem, one_line};
use http::{HeaderMap, Method, header};

use super::{
    Admin,
    permission::{Call, On, grant_of, need},
    reply::Refusal,
};
use crate::snapshot::Snapshot;

/// Lets a call pass whose token may make it.
pub(super) async fn require_token(
    State(admin): State<Arc<Admin>>,
    path: Option<MatchedPath>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let snapshot = admin.changes.catalog.load().clone();
    let Some(grant) = granted(&snapshot, request.headers()) else {
        let detail = "send a token of this host as `Authorization: Bearer <token>`: the one in admin.token of its data \
                      directory, or one made with `gust token create`";
        return Refusal(Problem::new(Code::AuthRequired, detail)).into_response();
    };
    let params = match params {
        Ok(params) => params,
        Err(error) => return Refusal(Problem::new(Code::NameInvalid, error.body_text())).into_response(),
    };
    let param = |name: &str| params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
    // A path that is not there is told of by whoever has a token.
    if let Some(path) = path {
        // What is not listed is for whoever may do everything, who is told that it is not there.
        let (action, on) = need(request.method(), path.as_str()).unwrap_or((Action::Admin, On::Host));
        let token = request.headers().get(header::AUTHORIZATION).cloned();
        let call =
            Call { admin, action, on, function: param("name"), app: param("app"), uri: request.uri().clone(), token };
        if let Err(problem) = call.may(&snapshot, &grant) {
            return Refusal(problem).into_response();
        }
        request.extensions_mut().insert(Arc::new(call));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let (method, path) = (request.method(), one_line(request.uri().path()));
        tracing::info!(target: "gust::audit", token = %grant.name, %method, %path, "the admin API was called");
    }
    request.extensions_mut().insert(grant);
    next.run(request).await
}

/// Refuses a query where a change takes none: whoever asks for a part of something must not get all of it done.
pub(super) async fn refuse_query(request: Request, next: Next) -> Response {
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        let problem = Problem::new(Code::ApiMalformed, "this call takes no query; nothing was changed");
        return Refusal(problem).into_response();
    }
    next.run(request).await
}

fn granted(snapshot: &Snapshot, headers: &HeaderMap) -> Option<Arc<Grant>> {
    grant_of(snapshot, headers.get(header::AUTHORIZATION)?)
}

#[cfg(test)]
mod tests {
    use std::{
        hint::black_box,
        time::{Duration, Instant},
    };

    use gust_access::TokenBook;

    /// How much longer it takes to find a token wrong by its last byte than by its first: as a share, by medians. The two
    /// take turns, so that whatever else the machine does falls on both.
    fn tells_by_time(token: &str, samples: usize, passes: impl Fn(&[u8]) -> bool) -> f64 {
        let wrong_at = |at: usize| {
            let mut sent = token.as_bytes().to_vec();
            sent[at] = b'x';
            sent
        };
        let sent = [wrong_at(0), wrong_at(token.len() - 1)];
        let mut times: [Vec<Duration>; 2] = Default::default();
        for _ in 0..samples {
            for (sent, times) in sent.iter().zip(&mut times) {
                let began = Instant::now();
                assert!(!passes(black_box(sent)));
                times.push(began.elapsed());
            }
        }
        let [first, last] = times.map(|mut times| {
            times.sort_unstable();
            times[samples / 2].as_secs_f64()
        });
        last / first - 1.0
    }

    #[test]
    fn the_time_taken_does_not_tell_how_much_of_a_token_was_right() {
        let long = "7".repeat(4 << 10);
        let stops_early = |sent: &[u8]| sent.iter().zip(long.as_bytes()).all(|(sent, right)| sent == right);
        let measured = tells_by_time(&long, 1_000, stops_early);
        assert!(measured > 0.5, "it would be noticed: {measured}");
        let root = "7".repeat(64);
        let book = TokenBook::new(&root, []).unwrap();
        let measured = tells_by_time(&root, 50_000, |sent| book.check(sent, 0).is_ok());
        assert!(measured.abs() < 0.2, "{measured}");
    }
}
