//! Who may call: whoever sends the token. A missing and a wrong one get the same answer.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use gust_core::{Code, Problem};
use http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Admin, reply::Refusal};

/// Lets a request pass that has the token.
pub(super) async fn require_token(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    if has_token(request.headers(), &admin.token) {
        return next.run(request).await;
    }
    let detail = "send the token in admin.token of the host's data directory as `Authorization: Bearer <token>`";
    Refusal(Problem::new(Code::AuthRequired, detail)).into_response()
}

/// Digests are compared, so that the time taken tells neither the token's length nor how much of it was right.
fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let sent = headers.get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    let expected = Sha256::digest(format!("Bearer {token}"));
    Sha256::digest(sent).ct_eq(&expected).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_passes() {
        for (sent, passes) in [("Bearer abc", true), ("Bearer ab", false), ("abc", false), ("Bearer abcd", false)] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, sent.parse().unwrap())]);
            assert_eq!(has_token(&headers, "abc"), passes, "{sent}");
        }
        assert!(!has_token(&HeaderMap::new(), "abc"));
    }
}
