//! Problems as answers of the admin API.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use gust_core::{Code, Source};
use gust_core::{FunctionName, Problem, name::NameError};

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
            Source::Host => tracing::error!(code, internal, "{}", problem.detail),
            _ => tracing::info!(code, internal, "{}", problem.detail),
        }
        status::answer(problem, None).map(Body::from)
    }
}

/// The name in a path, as axum gives it.
pub(super) fn name(text: &str) -> Result<FunctionName, Refusal> {
    let invalid = |error: NameError| Refusal(Problem::new(Code::NameInvalid, error.to_string()));
    text.parse().map_err(invalid)
}

/// There is no function of that name.
pub(super) fn not_found(name: &FunctionName) -> Refusal {
    Refusal(Problem::new(
        Code::FunctionNotFound,
        format!("no function {name} is deployed; `gust ls` lists those that are"),
    ))
}
