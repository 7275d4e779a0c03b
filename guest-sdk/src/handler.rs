//! Calling a function of extractors with a request.

use crate::{FromRequest, FromRequestParts, IntoResponse, Request, Response};

/// A function whose arguments are extractors and whose result is a response. `Args` only tells its shapes apart.
#[diagnostic::on_unimplemented(
    message = "this function cannot be a handler",
    note = "every argument must be an extractor (see `gust_sdk::extract`), what takes the body must be the last one, and \
            the result must implement `IntoResponse`"
)]
pub trait Handler<Args> {
    /// Answers a request.
    fn call(self, request: Request) -> Response;
}

/// Answers a request with a handler.
pub fn call<Args>(handler: impl Handler<Args>, request: Request) -> Response {
    handler.call(request)
}

impl<F, R> Handler<()> for F
where
    F: FnOnce() -> R,
    R: IntoResponse,
{
    fn call(self, _: Request) -> Response {
        self().into_response()
    }
}

impl<F, R, Via, A> Handler<(Via, A)> for F
where
    F: FnOnce(A) -> R,
    R: IntoResponse,
    A: FromRequest<Via>,
{
    fn call(self, request: Request) -> Response {
        match A::from_request(request) {
            Ok(argument) => self(argument).into_response(),
            Err(error) => error.into_response(),
        }
    }
}

macro_rules! functions {
    ($([$($part:ident)*] $last:ident;)*) => {$(
        impl<F, R, Via, $($part,)* $last> Handler<(Via, $($part,)* $last)> for F
        where
            F: FnOnce($($part,)* $last) -> R,
            R: IntoResponse,
            $($part: FromRequestParts,)*
            $last: FromRequest<Via>,
        {
            #[expect(non_snake_case, reason = "an argument is named as its type")]
            fn call(self, request: Request) -> Response {
                let (mut parts, body) = request.into_parts();
                $(let $part = match $part::from_request_parts(&mut parts) {
                    Ok(part) => part,
                    Err(error) => return error.into_response(),
                };)*
                match $last::from_request(Request::from_parts(parts, body)) {
                    Ok($last) => self($($part,)* $last).into_response(),
                    Err(error) => error.into_response(),
                }
            }
        }
    )*};
}

functions! {
    [A] B;
    [A B] C;
    [A B C] D;
    [A B C D] E;
    [A B C D E] G;
    [A B C D E G] H;
    [A B C D E G H] I;
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method, StatusCode};

    use super::*;
    use crate::{Error, Json, PathRest, Query};

    fn request(target: &str, body: &'static str) -> Request {
        http::Request::post(target).body(Bytes::from_static(body.as_bytes())).unwrap()
    }

    #[test]
    fn functions_of_every_shape_are_handlers() {
        fn none() -> &'static str {
            "none"
        }
        fn head(PathRest(path): PathRest) -> String {
            path
        }
        fn body(body: String) -> String {
            body
        }
        fn both(method: Method, _: HeaderMap, body: Bytes) -> Result<String, Error> {
            Ok(format!("{method} {}", body.len()))
        }
        assert_eq!(call(none, request("/", "")).body(), "none");
        assert_eq!(call(head, request("/a%20b", "")).body(), "/a b");
        assert_eq!(call(body, request("/", "x")).body(), "x");
        assert_eq!(call(both, request("/", "xyz")).body(), "POST 3");
    }

    #[test]
    fn what_cannot_be_extracted_is_answered() {
        fn never(_: Query<[u8; 2]>, _: Json<u8>) -> StatusCode {
            unreachable!("it must not be called")
        }
        assert_eq!(call(never, request("/?x=y", "1")).status(), StatusCode::BAD_REQUEST);
    }
}
