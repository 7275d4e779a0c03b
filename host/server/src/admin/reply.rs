//! What calls of the admin API are read with, and problems as answers.

use std::{fmt::Display, str::FromStr, sync::Arc};

use axum::{
    Json, body,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
    response::{IntoResponse, Response},
};
use gust_access::Grant;
use gust_core::{Code, FunctionName, Problem, Source, one_line};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::permission::Call;
use crate::status;

/// A call that is refused.
pub(super) struct Refusal(pub(super) Problem);

impl<P: Into<Problem>> From<P> for Refusal {
    fn from(problem: P) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = &self.0;
        let (code, internal) = (problem.code.as_str(), problem.internal.as_deref().unwrap_or_default());
        match problem.code.source() {
            // Nothing is wrong with it.
            Source::Host if problem.code != Code::HostDraining => {
                tracing::error!(code, internal, "{}", one_line(&problem.detail))
            }
            _ => tracing::info!(code, internal, "{}", one_line(&problem.detail)),
        }
        status::answer(problem, None).map(body::Body::from)
    }
}

/// One name in a path.
pub(super) struct Named<N>(pub(super) N);

/// The function's name in a path.
pub(super) type Name = Named<FunctionName>;

/// Who calls.
pub(super) struct Who(pub(super) Arc<Grant>);

/// Two names in a path.
pub(super) struct NameAnd<A, B>(pub(super) A, pub(super) B);

impl<S: Send + Sync, N: FromStr<Err: Display>> FromRequestParts<S> for Named<N> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        named(&path::<String, S>(parts, state).await?).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let missing = || Refusal(Problem::new(Code::AuthRequired, "this call takes a token"));
        parts.extensions.get::<Arc<Grant>>().cloned().map(Self).ok_or_else(missing)
    }
}

impl<S, A, B> FromRequestParts<S> for NameAnd<A, B>
where
    S: Send + Sync,
    A: FromStr<Err: Display>,
    B: FromStr<Err: Display>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let (first, second) = path::<(String, String), S>(parts, state).await?;
        Ok(Self(named(&first)?, named(&second)?))
    }
}

async fn path<T: DeserializeOwned + Send, S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<T, Problem> {
    let text = Path::<T>::from_request_parts(parts, state).await;
    text.map(|Path(text)| text).map_err(|error| Problem::new(Code::NameInvalid, error.body_text()))
}

fn named<T: FromStr<Err: Display>>(text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|error: T::Err| Refusal(Problem::new(Code::NameInvalid, error.to_string())))
}

/// A query, every key of it known.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let asked = Query::<T>::from_request_parts(parts, state).await;
        let malformed = |detail| Refusal(Problem::new(Code::ApiMalformed, detail));
        asked.map(|Query(asked)| Self(asked)).map_err(|error| malformed(error.body_text()))
    }
}

/// The longest body of a call that is JSON, in bytes.
const JSON_BYTES_MAX: usize = 256 << 10;

/// A body that is JSON.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let call = Call::of(&request);
        let request = request.map(|body| body::Body::new(http_body_util::Limited::new(body, JSON_BYTES_MAX)));
        let read = Json::<T>::from_request(request, state).await;
        let Json(value) = read.map_err(|error| Refusal(unreadable(&error)))?;
        call.map_or(Ok(()), |call| call.may_still())?;
        Ok(Self(value))
    }
}

/// What is wrong with a body. Its text is not repeated: it may hold a secret.
fn unreadable(error: &JsonRejection) -> Problem {
    match error {
        JsonRejection::MissingJsonContentType(_) => {
            Problem::new(Code::ApiContentType, "send the body as application/json")
        }
        JsonRejection::JsonDataError(_) | JsonRejection::JsonSyntaxError(_) => {
            Problem::new(Code::ApiMalformed, place_of(&error.body_text()))
        }
        _ => Problem::new(
            Code::ApiMalformed,
            format!("the body could not be read, or has more than {JSON_BYTES_MAX} bytes"),
        ),
    }
}

/// What serde says is wrong, without the values that it quotes.
fn place_of(text: &str) -> String {
    let mut unquoted = text.split('"').step_by(2).collect::<Vec<_>>().join("...");
    // A key may be a value that stands at the wrong place.
    if let Some((before, (_, after))) =
        unquoted.split_once("field `").and_then(|(b, rest)| Some((b, rest.split_once('`')?)))
    {
        unquoted = format!("{before}field{after}");
    }
    format!("the body: {unquoted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_not_repeated() {
        let text = "invalid type: string \"s3cret\", expected u32 at line 1 column 9";
        assert_eq!(place_of(text), "the body: invalid type: string ..., expected u32 at line 1 column 9");
        assert_eq!(place_of("unknown field `s3cret`, expected `x`"), "the body: unknown field, expected `x`");
    }
}
