//! One request, as the engine and what guests reach of the host see it.

use std::sync::Arc;

use gust_core::RequestId;
use http::HeaderValue;
use tokio::time::Instant;

use crate::outgoing::Outbound;

/// One request, as far as the engine has to know of it.
#[derive(Clone)]
pub struct Invocation {
    /// The request's id, for what the guest prints.
    pub request_id: RequestId,
    /// When it must be over, the last byte of its answer included.
    pub deadline: Instant,
    /// How many requests of functions wait for its answer, one for the other: none where a client sent it.
    pub depth: u8,
    /// What else goes along with it. Nothing mostly.
    pub along: Option<Arc<Along>>,
}

/// What goes along with a request of a function that sends others.
pub struct Along {
    /// The trace that it is part of (W3C Trace Context), where the functions that it calls shall be too.
    pub traceparent: Option<HeaderValue>,
    /// Where the function hands it on to, which was called as a middleware: what `wasi:http/handler` is that it imports.
    pub next: Option<Box<dyn Outbound>>,
}

impl Along {
    /// None where there is nothing.
    pub fn new(traceparent: Option<HeaderValue>, next: Option<Box<dyn Outbound>>) -> Option<Arc<Self>> {
        (traceparent.is_some() || next.is_some()).then(|| Arc::new(Self { traceparent, next }))
    }
}

#[cfg(test)]
impl Invocation {
    /// One that a client sent, with much time.
    pub(crate) fn of_test(number: u128) -> Self {
        let deadline = Instant::now() + std::time::Duration::from_secs(30);
        Self { request_id: RequestId::from_random(number), deadline, depth: 0, along: None }
    }
}
