//! Calling an `async` function of extractors with a request whose body is still to come.

use super::incoming::Incoming;
use crate::{FromRequest, FromRequestParts, IntoResponse, Response, error::Error};

/// A function that is `async`, whose arguments are extractors and whose result is a response. `Args` only tells its shapes apart.
#[diagnostic::on_unimplemented(
    message = "this function cannot be an async handler",
    note = "every argument must be an extractor (see `gust_sdk::extract`), what takes the body must be the last one, and \
            the result must implement `IntoResponse`"
)]
pub trait Arguments<Args> {
    /// Answers a request.
    fn call(self, request: http::Request<Incoming>) -> impl Future<Output = Response>;
}

/// Answers a request with a handler.
pub async fn call<Args>(handler: impl Arguments<Args>, request: http::Request<Incoming>) -> Response {
    handler.call(request).await
}

/// Made from a request whose body is still to come. `Via` only keeps the ways of implementing it apart.
pub trait FromIncoming<Via>: Sized {
    /// Makes it, or says what is wrong with the request.
    fn from_incoming(request: http::Request<Incoming>) -> impl Future<Output = Result<Self, Error>>;
}

/// Marks what takes the body in pieces.
pub enum InPieces {}

/// Marks what takes it whole.
pub struct Whole<Via>(std::marker::PhantomData<Via>);

impl FromIncoming<InPieces> for http::Request<Incoming> {
    async fn from_incoming(request: http::Request<Incoming>) -> Result<Self, Error> {
        Ok(request)
    }
}

impl FromIncoming<InPieces> for Incoming {
    async fn from_incoming(request: http::Request<Incoming>) -> Result<Self, Error> {
        Ok(request.into_body())
    }
}

impl<Via, T: FromRequest<Via>> FromIncoming<Whole<Via>> for T {
    async fn from_incoming(request: http::Request<Incoming>) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        T::from_request(http::Request::from_parts(parts, body.whole().await?))
    }
}

impl<F, R> Arguments<()> for F
where
    F: AsyncFnOnce() -> R,
    R: IntoResponse,
{
    async fn call(self, _: http::Request<Incoming>) -> Response {
        self().await.into_response()
    }
}

impl<F, R, Via, A> Arguments<(Via, A)> for F
where
    F: AsyncFnOnce(A) -> R,
    R: IntoResponse,
    A: FromIncoming<Via>,
{
    async fn call(self, request: http::Request<Incoming>) -> Response {
        match A::from_incoming(request).await {
            Ok(argument) => self(argument).await.into_response(),
            Err(error) => error.into_response(),
        }
    }
}

macro_rules! functions {
    ($([$($part:ident)*] $last:ident;)*) => {$(
        impl<F, R, Via, $($part,)* $last> Arguments<(Via, $($part,)* $last)> for F
        where
            F: AsyncFnOnce($($part,)* $last) -> R,
            R: IntoResponse,
            $($part: FromRequestParts,)*
            $last: FromIncoming<Via>,
        {
            #[expect(non_snake_case, reason = "an argument is named as its type")]
            async fn call(self, request: http::Request<Incoming>) -> Response {
                let (mut parts, body) = request.into_parts();
                $(let $part = match $part::from_request_parts(&mut parts) {
                    Ok(part) => part,
                    Err(error) => return error.into_response(),
                };)*
                match $last::from_incoming(http::Request::from_parts(parts, body)).await {
                    Ok($last) => self($($part,)* $last).await.into_response(),
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
    use http::{HeaderMap, Method};

    use super::*;
    use crate::{
        Bytes, Json, Query, StatusCode,
        streaming::{run, stream, written},
    };

    fn request(target: &str, body: &'static str) -> http::Request<Incoming> {
        http::Request::post(target).body(Incoming::from(body)).unwrap()
    }

    #[test]
    fn functions_of_every_shape_are_handlers() {
        async fn none() -> &'static str {
            "none"
        }
        async fn whole(method: Method, _: HeaderMap, body: Bytes) -> Result<String, Error> {
            Ok(format!("{method} {}", body.len()))
        }
        async fn pieces(mut body: Incoming) -> impl IntoResponse {
            (
                StatusCode::CREATED,
                stream(|mut out| async move {
                    while let Some(piece) = body.next().await? {
                        out.write(piece).await?;
                    }
                    out.write("!").await
                }),
            )
        }
        assert_eq!(run(call(none, request("/", ""))).body(), "none");
        assert_eq!(run(call(whole, request("/", "xyz"))).body(), "POST 3");
        let response = run(call(pieces, request("/", "echo")));
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(written(response).unwrap(), "echo!");
    }

    #[test]
    fn what_cannot_be_extracted_is_answered() {
        async fn never(_: Query<[u8; 2]>, _: Json<u8>) -> StatusCode {
            unreachable!("it must not be called")
        }
        assert_eq!(run(call(never, request("/?x=y", "1"))).status(), StatusCode::BAD_REQUEST);
    }
}
