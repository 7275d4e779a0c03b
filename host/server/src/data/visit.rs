//! A request being served: what is known of it so far, and the certainty that it ends once.
//!
//! A [`Visit`] is begun with the request's head and travels with it, at last inside the response's body. However it ends
//! (the body's last byte, a failure, a client that goes away, a panic) it is dropped once, and dropping it settles the one
//! receipt and gives the function's place back.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use gust_core::{
    Code, Problem, Receipt, RequestId, Source,
    limits::Limit,
    receipt::{Ending, Timing},
};
use gust_engine::{LeaseTiming, Meter, Place, Usage};
use http::{HeaderValue, Method};

use super::{
    found::Refused,
    incoming::{AWAITED, BROKEN_OFF},
    onward::Onward,
};
use crate::{
    deployment::Deployment,
    leaving::Leaving,
    ledger::{Entry, Ledger},
    patience::Work,
    under_way::Piece,
};

/// A request being served.
pub(super) struct Visit {
    ledger: Ledger,
    began: Instant,
    /// When it was answered, if its guest goes on after that.
    ended: Option<Instant>,
    /// That it goes on, where it does.
    outlives: Option<Piece>,
    receipt: Receipt,
    has_body: bool,
    meter: Arc<Meter>,
    deployment: Option<Arc<Deployment>>,
    request_bytes: Option<Arc<AtomicU64>>,
    place: Option<Place>,
    app_place: Option<Place>,
    cookie: Option<Box<HeaderValue>>,
    /// The methods that there are, where the request's is not among them.
    allow: Option<Box<HeaderValue>>,
    work: Option<Work>,
    /// What comes after its function, where that is a middleware.
    next: Option<Onward>,
}

impl Visit {
    /// Begins one.
    pub(super) fn begin(ledger: Ledger, request_id: RequestId, method: Method) -> Self {
        Self {
            ledger,
            began: Instant::now(),
            ended: None,
            outlives: None,
            receipt: Receipt::begin(request_id, method),
            has_body: false,
            meter: Meter::new(),
            deployment: None,
            request_bytes: None,
            place: None,
            app_place: None,
            cookie: None,
            allow: None,
            work: None,
            next: None,
        }
    }

    /// The request's id.
    pub(super) fn request_id(&self) -> RequestId {
        self.receipt.request_id
    }

    /// When its head had arrived.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Where its time went so far.
    pub(super) fn timing(&self) -> Timing {
        self.receipt.timing
    }

    /// Says which function it goes to.
    pub(super) fn goes_to(&mut self, deployment: Arc<Deployment>) {
        self.receipt.function = Some((deployment.name.clone(), deployment.version));
        self.deployment = Some(deployment);
    }

    /// Says what refuses it. Gives why.
    pub(super) fn is_refused(&mut self, refused: Refused) -> Problem {
        if let Some(deployment) = refused.deployment {
            self.goes_to(deployment);
        }
        self.allow = refused.allow.map(Box::new);
        refused.problem
    }

    /// Says that its route has the answer, and no function is called.
    pub(super) fn is_answered_by_route(&mut self) {
        self.receipt.by_route = true;
    }

    /// Keeps the function's place until the end.
    pub(super) fn holds(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// Keeps the app's place until the end, where it has one.
    pub(super) fn is_of_app(&mut self, place: Option<Place>) {
        self.app_place = place;
    }

    /// Gives the places back before the end: nothing of the function is needed any more.
    pub(super) fn gives_places_back(&mut self) {
        (self.place, self.app_place) = (None, None);
    }

    /// Says which cookie the client is to be given with the answer.
    pub(super) fn gives(&mut self, cookie: Option<HeaderValue>) {
        self.cookie = cookie.map(Box::new);
    }

    /// The methods that there are, where the request's is not among them.
    pub(super) fn take_allow(&mut self) -> Option<HeaderValue> {
        self.allow.take().map(|allow| *allow)
    }

    /// The cookie that the client is given.
    pub(super) fn take_cookie(&mut self) -> Option<HeaderValue> {
        self.cookie.take().map(|cookie| *cookie)
    }

    /// Says what comes after its function, where that is a middleware.
    pub(super) fn hands_on_to(&mut self, next: Option<Onward>) {
        self.next = next;
    }

    /// What comes after its function, once.
    pub(super) fn take_next(&mut self) -> Option<Onward> {
        self.next.take()
    }

    /// Says that the function is at work for it, until the end, where a connection has to know.
    pub(super) fn works(&mut self, work: Option<Work>) {
        self.work = work;
    }

    /// Says that its answer is handed over to the connection, where it is for a client.
    pub(super) fn leaves(&self) -> Option<Leaving> {
        self.work.as_ref().map(|work| Leaving::begin(work.deadline()))
    }

    /// Whether its function works for a client, and not for another function.
    pub(super) fn is_for_client(&self) -> bool {
        self.work.is_some()
    }

    /// Whether its client takes nothing of what was written already.
    pub(super) fn is_unread(&self) -> bool {
        self.work.as_ref().is_some_and(Work::is_unread)
    }

    /// Says that what is sent already is not the whole answer.
    pub(super) fn breaks_off(&mut self, problem: &Problem) {
        self.fails(problem);
        if let Some(work) = &self.work {
            work.breaks_off();
        }
    }

    /// Says that it is answered, while its guest goes on: what that uses still belongs to it, and it holds its place, but
    /// its connection has nothing to do with it any more.
    pub(super) fn outlives_answer(&mut self) {
        self.ended = Some(Instant::now());
        self.outlives = Some(self.ledger.outlives_answer());
        self.work = None;
    }

    /// Says how what came after its answer ended.
    pub(super) fn outlived(mut self: Box<Self>, ended: Result<(), Problem>) {
        self.outlives = None;
        // Of an answer that has no body what a guest writes is not taken, which it may trap at.
        if let Some(problem) = ended.err().filter(|problem| self.has_body || problem.code.limit().is_some()) {
            self.fails(&problem);
        }
    }

    /// A counter of the request body's bytes.
    pub(super) fn counts_request_bytes(&mut self) -> Arc<AtomicU64> {
        self.request_bytes.insert(Arc::default()).clone()
    }

    /// Says how long it waited for the function's place.
    pub(super) fn waited(&mut self, wait: std::time::Duration) {
        self.receipt.timing.queue_us = micros(wait);
        self.meter.reaches(Limit::Concurrency);
    }

    /// Says how long the instance took to get.
    pub(super) fn leased(&mut self, timing: LeaseTiming) {
        self.receipt.timing.queue_us = self.receipt.timing.queue_us.saturating_add(micros(timing.queue));
        self.receipt.timing.init_us = micros(timing.init);
    }

    /// Says how long the guest ran until the head of its response.
    pub(super) fn ran(&mut self, run: std::time::Duration) {
        self.receipt.timing.run_us = micros(run);
    }

    /// Says which status was sent.
    pub(super) fn answered(&mut self, status: http::StatusCode) {
        self.receipt.status = status.as_u16();
        self.has_body = gust_engine::has_body(&self.receipt.method, status);
    }

    /// Whether what it was answered has a body.
    pub(super) fn has_body(&self) -> bool {
        self.has_body
    }

    /// Says that bytes of the response were taken by the connection.
    pub(super) fn sent(&mut self, bytes: u64) {
        self.receipt.response_bytes += bytes;
    }

    /// What it uses.
    pub(super) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Says that the answer is whole.
    pub(super) fn completes(&mut self) {
        if self.receipt.ending == Ending::Cancelled {
            self.receipt.ending = Ending::Complete;
        }
    }

    /// Whether it is.
    pub(super) fn is_complete(&self) -> bool {
        self.receipt.ending == Ending::Complete
    }

    /// Says why the host answers instead of the guest, or breaks the guest's answer off. The first word counts.
    pub(super) fn fails(&mut self, problem: &Problem) {
        if !matches!(self.receipt.ending, Ending::Failed(_)) {
            self.receipt.ending = Ending::Failed(problem.code);
            self.receipt.internal = kept(problem);
        }
    }
}

/// The one settling of the one receipt.
impl Drop for Visit {
    fn drop(&mut self) {
        let nothing = Receipt::begin(self.receipt.request_id, Method::GET);
        let mut receipt = mem::replace(&mut self.receipt, nothing);
        if self.outlives.is_some() {
            receipt.ending = Ending::Cancelled;
        }
        let ended = self.ended.unwrap_or_else(Instant::now);
        receipt.timing.total_us = (ended - self.began).as_micros() as u64;
        let Usage { memory_bytes_peak, cpu, reached } = self.meter.usage();
        (receipt.memory_bytes_peak, receipt.cpu_us, receipt.reached) =
            (memory_bytes_peak, cpu.as_micros() as u64, reached);
        let read = self.request_bytes.as_ref().map_or(0, |read| read.load(Ordering::Relaxed));
        (receipt.request_bytes, receipt.awaits_body) = (read & !(AWAITED | BROKEN_OFF), read & AWAITED != 0);
        // What a guest fails at then is its client's doing, whoever that is.
        if read & BROKEN_OFF != 0 && is_guests(receipt.ending) {
            receipt.ending = Ending::Failed(Code::RequestBodyIncomplete);
        }
        // Where its head was sent before, so that the client could not be told by a status.
        if receipt.awaits_body && receipt.status < 500 && receipt.ending == Ending::Failed(Code::LimitWall) {
            receipt.ending = Ending::Failed(Code::RequestTimeout);
            receipt.internal = Some("the rest of the body did not arrive within the function's limit wall_ms".into());
        }
        self.ledger.settle(Entry { receipt, deployment: self.deployment.take(), ended });
    }
}

/// Whether the guest failed, but not by a limit of its own.
fn is_guests(ending: Ending) -> bool {
    matches!(ending, Ending::Failed(code) if code.source() == Source::Guest && code.limit().is_none())
}

/// What of a problem is kept for the log: what was told, and what was not. Of a client's own mistakes, many of which may come, only those
/// with a limit, which is the function's.
fn kept(problem: &Problem) -> Option<Box<str>> {
    let is_kept = problem.code.source() != Source::Client || problem.code.limit().is_some();
    let told = Some(problem.detail.as_str()).filter(|told| is_kept && !told.is_empty());
    match (told, problem.internal.as_deref()) {
        // Both begin with the trap's name.
        (Some(told), Some(internal)) if problem.code != Code::Trap => Some(format!("{told}; {internal}").into()),
        (_, Some(internal)) => Some(internal.into()),
        (told, None) => told.map(Into::into),
    }
}

fn micros(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
