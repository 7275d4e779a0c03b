//! Calls from one function to another: which are allowed, and where they go.
//!
//! A function is loaded before there is anything that could serve its calls, and must not keep that alive. So it holds an
//! [`Exchange`], which is connected when all is there.

use std::sync::{Arc, OnceLock, Weak};

use gust_core::{AppName, FunctionName, manifest::Allow};
use gust_engine::{Answering, Invocation, Outbound, SentBody};
use http::Request;

/// One function's call of another.
pub(crate) struct Call {
    /// The app in which that is.
    pub(crate) app: AppName,
    /// Who calls.
    pub(crate) from: FunctionName,
    /// Who is called, which `from` may do.
    pub(crate) to: FunctionName,
    /// The request of `from` that waits for it.
    pub(crate) invocation: Invocation,
}

/// Serves calls.
pub(crate) trait Answers: Send + Sync {
    /// Answers one.
    fn answer(self: Arc<Self>, call: Call, request: Request<SentBody>) -> Answering;
}

/// The way from all functions to whoever serves their calls.
#[derive(Clone, Default)]
pub(crate) struct Exchange(Arc<OnceLock<Weak<dyn Answers>>>);

impl Exchange {
    /// Connects it, once.
    pub(crate) fn connect(&self, answers: &Arc<impl Answers + 'static>) {
        let answers = Arc::downgrade(answers);
        // Whoever is first stays.
        let _ = self.0.set(answers);
    }

    /// The way of one function, where its manifest allows any.
    pub(crate) fn of(&self, app: &AppName, from: &FunctionName, allow: &Allow) -> Option<Arc<dyn Outbound>> {
        if allow.functions.is_empty() {
            return None;
        }
        let to = allow.functions.iter().cloned().collect();
        Some(Arc::new(Line { exchange: self.clone(), app: app.clone(), from: from.clone(), to }))
    }
}

/// One function's way to those of its app that it may call.
struct Line {
    exchange: Exchange,
    app: AppName,
    from: FunctionName,
    to: Vec<FunctionName>,
}

impl Outbound for Line {
    fn send(&self, function: &str, request: Request<SentBody>, caller: Invocation) -> Option<Answering> {
        let to = self.to.iter().find(|to| to.as_str() == function)?;
        let answers = self.exchange.0.get()?.upgrade()?;
        let call = Call { app: self.app.clone(), from: self.from.clone(), to: to.clone(), invocation: caller };
        Some(answers.answer(call, request))
    }
}
