//! The call: one HTTP request into a leased instance, one response out.

mod command;
mod head;
mod service;
mod streaming;
mod typed;
mod wasi_http;

pub use head::has_body;

use bytes::Bytes;
use gust_core::Problem;
use http_body::Body;

use crate::{body::GuestBody, callee::Instance, lease::Lease};

impl Lease {
    /// Calls the instance. The response's body holds what is left of the lease; when it ends or is dropped, the instance
    /// is gone.
    ///
    /// The request's URI holds the path that the guest shall see, its `Host` header the authority. The request's body
    /// reports what is wrong with it as a [`Problem`], a limit it is over included. It comes in a box, for it is handed through
    /// several futures.
    ///
    pub async fn call<B>(
        self,
        request: Box<http::Request<B>>,
        scheme: Scheme,
    ) -> Result<http::Response<GuestBody>, Problem>
    where
        B: Body<Data = Bytes, Error = Problem> + Send + 'static,
    {
        match self.instance.callee {
            Instance::Typed(_) => typed::call(self, request, scheme).await,
            Instance::Service(_) => service::call(self, request, scheme).await,
            Instance::WasiHttp(_) => wasi_http::call(self, request, scheme).await,
            Instance::Command(_) => command::call(self, request, scheme).await,
        }
    }
}

/// How the client reached the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In clear text.
    Http,
    /// Through TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}
