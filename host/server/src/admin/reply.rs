//! Problems as answers of the admin API.

use axum::{
    body::Body,
    extract::{FromRequestParts, Path},
    response::{IntoResponse, Response},
};
use gust_core::{Code, FunctionName, Problem, Source, name::NameError};
use http::request::Parts;

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
            Source::Host => tracing::error!(code, internal, "{}", problem.detail.escape_debug()),
            _ => tracing::info!(code, internal, "{}", problem.detail.escape_debug()),
        }
        status::answer(problem, None).map(Body::from)
    }
}

/// The function's name in a path.
pub(super) struct Name(pub(super) FunctionName);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let invalid = |detail| Refusal(Problem::new(Code::NameInvalid, detail));
        let text = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = text.map_err(|error| invalid(error.body_text()))?;
        text.parse().map(Self).map_err(|error: NameError| invalid(error.to_string()))
    }
}

/// There is no function of that name.
pub(super) fn not_found(name: &FunctionName) -> Refusal {
    Refusal(Problem::new(
        Code::FunctionNotFound,
        format!("no function {name} is deployed; `gust ls` lists those that are"),
    ))
}
