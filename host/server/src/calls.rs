//! Requests that functions send: which are allowed, and where they go.
//!
//! A function is loaded before there is anything that could serve its calls of others, and must not keep that alive. So it holds an
//! [`Exchange`], which is connected when all is there.

use std::sync::{Arc, OnceLock, Weak};

use gust_core::{AppName, FunctionName, manifest::Allow, outbound};
use gust_engine::{Along, Answering, Cause, Invocation, Outbound, SentBody, Timeouts, Unanswered};
use http::{HeaderMap, HeaderName, Request};
use tokio::time;

use crate::{
    data::onward::Onward,
    deployment::Deployment,
    outbound::{Outside, Reach},
};

/// The trace that a request is part of (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The longest that is passed on, in bytes. That of version 00 has 55.
const TRACEPARENT_BYTES_MAX: usize = 128;

/// One function's call of another.
pub(crate) struct Call {
    /// The app in which that is.
    pub(crate) app: AppName,
    /// Who calls.
    pub(crate) from: FunctionName,
    /// Who is called.
    pub(crate) to: To,
    /// The request of `from` that waits for it.
    pub(crate) invocation: Invocation,
}

/// Who is called by a function.
pub(crate) enum To {
    /// The function of this name, which the caller may call.
    Named(FunctionName),
    /// What comes after the caller, which is a middleware.
    Next(Onward),
}

/// Serves calls.
pub(crate) trait Answers: Send + Sync {
    /// Answers one.
    fn answer(self: Arc<Self>, call: Call, request: Request<SentBody>) -> Answering;
}

/// The way from all functions to whoever serves their calls, and outside.
#[derive(Clone)]
pub(crate) struct Exchange {
    answers: Answerer,
    outside: Arc<Outside>,
}

impl Exchange {
    /// One that leads nowhere but outside.
    pub(crate) fn new(outside: Arc<Outside>) -> Self {
        Self { answers: Arc::default(), outside }
    }

    /// Connects it, once.
    pub(crate) fn connect(&self, answers: &Arc<impl Answers + 'static>) {
        let answers = Arc::downgrade(answers);
        // Whoever is first stays.
        let _ = self.answers.set(answers);
    }

    /// The way of one function, where its manifest allows any.
    pub(crate) fn of(&self, app: &AppName, from: &FunctionName, allow: &Allow) -> Option<Arc<dyn Outbound>> {
        if allow.functions.is_empty() && allow.outbound.is_empty() {
            return None;
        }
        let reach = Reach::new(self.outside.clone(), &allow.outbound);
        let (to, answers) = (allow.functions.iter().cloned().collect(), self.answers.clone());
        Some(Arc::new(Line { answers, app: app.clone(), from: from.clone(), to, reach }))
    }

    /// What goes along with a request of a function: its trace, where it may call others, and what comes after it, where it is a
    /// middleware.
    pub(crate) fn along(&self, caller: &Deployment, headers: &HeaderMap, onward: Option<Onward>) -> Option<Arc<Along>> {
        if caller.terms.allow.functions.is_empty() && onward.is_none() {
            return None;
        }
        let traceparent = headers.get(TRACEPARENT).filter(|value| value.len() <= TRACEPARENT_BYTES_MAX).cloned();
        let next = onward.map(|onward| -> Box<dyn Outbound> {
            let (answers, app, from) = (self.answers.clone(), caller.app.clone(), caller.name.clone());
            Box::new(Next { answers, app, from, onward })
        });
        Along::new(traceparent, next)
    }
}

/// Whoever serves calls, once there is somebody.
type Answerer = Arc<OnceLock<Weak<dyn Answers>>>;

/// One function's way to those of its app that it may call, and outside.
struct Line {
    answers: Answerer,
    app: AppName,
    from: FunctionName,
    to: Vec<FunctionName>,
    reach: Reach,
}

impl Outbound for Line {
    fn send(
        &self,
        request: Request<SentBody>,
        timeouts: Timeouts,
        caller: &Invocation,
    ) -> Result<Answering, Unanswered> {
        let Some(function) = outbound::function_of(request.uri()) else { return self.reach.send(request, timeouts) };
        let denied = || Unanswered::denied(request.method(), request.uri());
        let to = self.to.iter().find(|to| to.as_str() == function).ok_or_else(denied)?;
        let (app, from, to) = (self.app.clone(), self.from.clone(), To::Named(to.clone()));
        send(&self.answers, Call { app, from, to, invocation: caller.clone() }, request, timeouts)
    }
}

/// A middleware's way to what comes after it, for one request.
struct Next {
    answers: Answerer,
    app: AppName,
    from: FunctionName,
    onward: Onward,
}

impl Outbound for Next {
    fn send(
        &self,
        request: Request<SentBody>,
        timeouts: Timeouts,
        caller: &Invocation,
    ) -> Result<Answering, Unanswered> {
        let (app, from, to) = (self.app.clone(), self.from.clone(), To::Next(self.onward.clone()));
        send(&self.answers, Call { app, from, to, invocation: caller.clone() }, request, timeouts)
    }
}

fn send(
    answers: &Answerer,
    call: Call,
    mut request: Request<SentBody>,
    timeouts: Timeouts,
) -> Result<Answering, Unanswered> {
    // Only while the host starts or ends there is nobody.
    let answers = answers.get().and_then(Weak::upgrade).ok_or(Cause::ConnectionRefused)?;
    if let Some(traceparent) = call.invocation.along.as_ref().and_then(|along| along.traceparent.as_ref()) {
        request.headers_mut().entry(TRACEPARENT).or_insert_with(|| traceparent.clone());
    }
    let answering = answers.answer(call, request);
    Ok(Box::pin(async move {
        time::timeout(timeouts.first_byte, answering).await.map_err(|_| Cause::ConnectionReadTimeout)?
    }))
}
