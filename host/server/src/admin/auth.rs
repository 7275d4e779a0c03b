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
    use std::{
        hint::black_box,
        time::{Duration, Instant},
    };

    use super::*;

    /// How much longer it takes to find a token wrong by its last byte than by its first: as a share, by medians. The two
    /// take turns, so that whatever else the machine does falls on both.
    fn tells_by_time(samples: usize, compare: impl Fn(&[u8], &str) -> bool) -> f64 {
        let token = "t".repeat(4 << 10);
        let wrong_at = |at: usize| {
            let mut sent = format!("Bearer {token}").into_bytes();
            sent[at] = b'x';
            sent
        };
        let sent = [wrong_at("Bearer ".len()), wrong_at("Bearer ".len() + token.len() - 1)];
        let mut times: [Vec<Duration>; 2] = Default::default();
        for _ in 0..samples {
            for (sent, times) in sent.iter().zip(&mut times) {
                let began = Instant::now();
                assert!(!compare(black_box(sent), black_box(&token)));
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
        let stops_early = |sent: &[u8], token: &str| {
            let expected = format!("Bearer {token}");
            sent.len() == expected.len() && sent.iter().zip(expected.as_bytes()).all(|(sent, right)| sent == right)
        };
        let measured = tells_by_time(1_000, stops_early);
        assert!(measured > 0.5, "it would be noticed: {measured}");
        let headers = |sent: &[u8]| HeaderMap::from_iter([(header::AUTHORIZATION, sent.try_into().unwrap())]);
        let measured = tells_by_time(50_000, |sent, token| has_token(&headers(sent), token));
        assert!(measured.abs() < 0.2, "{measured}");
    }

    #[test]
    fn only_the_whole_token_passes() {
        for (sent, passes) in [("Bearer abc", true), ("Bearer ab", false), ("abc", false), ("Bearer abcd", false)] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, sent.parse().unwrap())]);
            assert_eq!(has_token(&headers, "abc"), passes, "{sent}");
        }
        assert!(!has_token(&HeaderMap::new(), "abc"));
    }
}
