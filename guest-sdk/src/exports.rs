//! The component's exports, and the handler and the init behind them.

pub mod initial;
pub mod service;
pub mod typed;
pub mod wasi_http;

use std::marker::PhantomData;

use crate::{
    Error, Request, Response,
    error::Failure,
    init::{self, Init},
    response::IntoResponse as _,
    streaming::Incoming,
};

/// What gets the function ready, as the exports know it: implemented by the [`init`](macro@crate::init) attribute and, for it
/// may be the first that is called, by [`handler`](crate::handler).
pub trait Ready {
    /// None where there is nothing to do.
    const INIT: Option<Init>;
}

/// The handler as the exports call it: implemented by the [`handler`](crate::handler) attribute.
pub trait Entry: Ready {
    /// Answers a request.
    fn answer(request: Request) -> Response;
}

/// A handler that is `async`, as its export calls it: implemented by the same attribute.
pub trait AsyncEntry: Ready {
    /// Answers a request.
    fn answer(request: http::Request<Incoming>) -> impl Future<Output = Response>;
}

/// `gust:function/init` of what gets a function ready.
pub struct Initial<R>(PhantomData<R>);

/// `gust:function/handler` of an entry.
pub struct Typed<E>(PhantomData<E>);

/// `wasi:http/incoming-handler` of an entry.
pub struct WasiHttp<E>(PhantomData<E>);

/// `wasi:http/handler` 0.3 of an entry.
pub struct Service<E>(PhantomData<E>);

/// Answers a request, ready for it.
fn answer<E: Entry>(request: Request) -> Response {
    match init::ready(E::INIT) {
        Ok(()) => E::answer(request),
        Err(why) => Error::failed(format!("its init failed: {why}")).into_response(),
    }
}

/// The text of a failure that only the log may know.
fn failure(response: &Response) -> Option<&str> {
    response.extensions().get::<Failure>().map(|failure| failure.0.as_str())
}
