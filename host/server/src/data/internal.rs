//! Calls from other functions: they go the way that clients' requests go, in memory.

use std::sync::Arc;

use gust_engine::{Answering, SentBody};
use http::Request;
use http_body_util::BodyExt as _;

use super::service::{self, Data};
use crate::calls::{Answers, Call};

impl Answers for Data {
    fn answer(self: Arc<Self>, call: Call, request: Request<SentBody>) -> Answering {
        Box::pin(async move { Ok(service::answer_call(&self, &call, request).await.map(|body| body.boxed_unsync())) })
    }
}
