//! The component's two exports, and the handler behind both.

pub mod typed;
pub mod wasi_http;

use std::marker::PhantomData;

use crate::{Request, Response, error::Failure};

/// The handler as the exports call it: implemented by the [`handler`](crate::handler) attribute.
pub trait Entry {
    /// Answers a request.
    fn answer(request: Request) -> Response;
}

/// `gust:function/handler` of an entry.
pub struct Typed<E>(PhantomData<E>);

/// `wasi:http/incoming-handler` of an entry.
pub struct WasiHttp<E>(PhantomData<E>);

/// The text of a failure that only the log may know.
fn failure(response: &Response) -> Option<&str> {
    response.extensions().get::<Failure>().map(|failure| failure.0.as_str())
}
