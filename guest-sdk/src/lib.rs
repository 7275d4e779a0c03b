//! Write HTTP functions as plain Rust functions; run them on gust and on every other host of `wasi:http`.
//!
//! ```
//! use gust_sdk::{Error, IntoResponse, Json, Query, handler};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! struct Sum {
//!     a: i64,
//!     b: i64,
//! }
//!
//! #[derive(Serialize)]
//! struct Answer {
//!     sum: i64,
//! }
//!
//! #[handler]
//! fn add(Query(sum): Query<Sum>) -> Result<impl IntoResponse, Error> {
//!     let sum = sum.a.checked_add(sum.b).ok_or_else(|| Error::bad_request("the sum is too large"))?;
//!     Ok(Json(Answer { sum }))
//! }
//! ```
//!
//! A handler's arguments are [extractors](extract), what it returns is anything that implements [`IntoResponse`]. It stays
//! a plain function: a test calls it as it is.
//!
//! What shall outlive a request is in [`kv`] and [`blob`], and lines for the log are written with [`log`].
//!
//! A function marked with [`init`](macro@init) runs once before the first request, for what takes long and is the same for all.
//!
//! Built for `wasm32-wasip2`, the crate is one component with two exports: `gust:function/handler`, which is the faster on
//! gust, and `wasi:http/incoming-handler` 0.2, which every other host calls. The handler does not know which one it was.
//!
//! A handler that is `async` streams, and does several things at the same time: see [`streaming`]. It is a component of WASI 0.3, for gust
//! and other hosts of that.
//!
//! The feature `arena`, on by default, is a global allocator made for requests; a function with an allocator of its own turns it off.

pub mod accept;
pub mod blob;
mod config;
pub mod error;
pub mod extract;
mod handler;
mod init;
pub mod kv;
pub mod log;
mod outgoing;
pub mod response;
pub mod streaming;

#[cfg(any(test, all(target_arch = "wasm32", feature = "arena")))]
mod arena;
#[cfg(target_arch = "wasm32")]
mod bodies;
#[cfg(target_arch = "wasm32")]
mod exports;

pub use bytes::Bytes;
pub use config::config;
pub use error::Error;
pub use extract::{Form, FromRequest, FromRequestParts, Json, PathRest, Query};
pub use gust_sdk_macros::{handler, init};
pub use http;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
pub use outgoing::{Timeouts, send, send_within};
pub use response::{Html, IntoHeaders, IntoResponse};

/// A request with its whole body.
pub type Request = http::Request<Bytes>;

/// A response with its whole body.
pub type Response = http::Response<Bytes>;

/// What the [`handler`] attribute needs. Not part of the crate's promises.
#[doc(hidden)]
pub mod __private {
    pub use crate::{
        handler::{Handler, call},
        init::{Init, into_ready, none},
        streaming::call as call_async,
    };

    #[cfg(target_arch = "wasm32")]
    pub use crate::exports::{
        AsyncEntry, Entry, Initial, Ready, Service, Typed, WasiHttp, initial, service, typed, wasi_http,
    };

    #[cfg(target_arch = "wasm32")]
    pub use {wasip2, wasip3};
}
