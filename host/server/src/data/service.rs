//! The way of a request, from its head to the head of its response.

use std::{mem, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use gust_core::{Code, Problem, RequestId};
use gust_engine::{Awaited, Function, GuestBody, Invocation, Lease, Place, Scheme, SentBody};
use http::{HeaderMap, Method, Request, Response, Version, header, request::Parts};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time;

use super::{
    access,
    admit::{self, Admitted},
    answers,
    caller::{CALLER, Caller},
    found::{Found, Mount, Serving},
    incoming::{Limited, Source},
    onward,
    outgoing::Outgoing,
    visit::Visit,
};
use crate::{
    binding::Binding, calls::Call, catalog::Catalog, coalescing, deployment::Deployment, ledger::Ledger,
    loader::Loader, panics, patience::Activity, pinned::Pinned, residence::InUse, shedding::Shedding,
};

/// What every request of the data listener needs.
pub(crate) struct Data {
    /// What is deployed.
    pub(crate) catalog: Arc<Catalog>,
    /// What is loaded.
    pub(crate) loader: Arc<Loader>,
    /// Versions that are called by their number.
    pub(crate) pinned: Arc<Pinned>,
    /// Whether requests are refused for want of memory.
    pub(crate) shedding: Arc<Shedding>,
    /// Where receipts go.
    pub(crate) ledger: Ledger,
}

/// Answers one request of a client. The response's body holds the instance, the function's place and the receipt until its end.
pub(crate) fn answer(
    data: &Data,
    activity: &Arc<Activity>,
    request: Request<Incoming>,
    scheme: Scheme,
) -> impl Future<Output = Response<Outgoing>> {
    let visit = visit(data, request_id(request.headers()), request.method());
    activity.is_used();
    let alone = request.version() < Version::HTTP_2;
    respond(data, Caller::Client { activity, scheme, alone }, request.map(Source::Wire), visit)
}

/// Answers one of another function, under the id of the request that waits for it.
pub(super) fn answer_call(
    data: &Data,
    call: &Call,
    request: Request<SentBody>,
) -> impl Future<Output = Response<Outgoing>> {
    let visit = visit(data, call.invocation.request_id, request.method());
    respond(data, Caller::Function(call), request.map(Source::Function), visit)
}

/// In a box, for it travels with the request through every step, and into the response.
fn visit(data: &Data, request_id: RequestId, method: &Method) -> Box<Visit> {
    Box::new(Visit::begin(data.ledger.clone(), request_id, admit::told_method(method)))
}

async fn respond(
    data: &Data,
    caller: Caller<'_>,
    request: Request<Source>,
    mut visit: Box<Visit>,
) -> Response<Outgoing> {
    let has_body = !request.body().is_end_stream();
    let served = panics::caught(pin!(serve(data, &caller, request, &mut visit))).await;
    if has_body && !matches!(served, Ok(Served::Guest(_))) {
        coalescing::note_unread();
    }
    match served {
        Ok(Served::Guest(response)) => answers::of_guest(response, visit, caller.way()),
        Ok(Served::Route(response)) => answers::of_route(response, visit, caller.way()),
        Err(problem) => answers::of_problem(&problem, visit, caller.way()),
    }
}

/// An answer.
enum Served {
    /// Of the function.
    Guest(Response<GuestBody>),
    /// Of its route, without it.
    Route(Response<Bytes>),
}

/// A request that was found its way.
enum Begun {
    /// It is its function's.
    Entered(Box<Request<Limited>>, Arc<Deployment>),
    /// It waits for one of its function's places.
    Queued(Box<Queued>),
    /// It is for a version that is not at hand.
    Kept(Box<Kept>),
    /// It is answered already.
    Answered(Response<Bytes>),
}

/// A request that waits for one of its function's places.
struct Queued {
    head: Parts,
    body: Source,
    found: Found,
    deployment: Arc<Deployment>,
    place: Awaited,
}

/// A request for a version that is kept, but that no alias points to.
struct Kept {
    head: Parts,
    body: Source,
    found: Found,
    binding: Arc<Binding>,
    version: u64,
}

async fn serve(
    data: &Data,
    caller: &Caller<'_>,
    request: Request<Source>,
    visit: &mut Visit,
) -> Result<Served, Problem> {
    match begin(data, caller, request, visit)? {
        Begun::Entered(request, deployment) => run(data, caller, request, deployment, visit).await.map(Served::Guest),
        // Seldom, so not part of every request's future.
        Begun::Queued(queued) => Box::pin(serve_queued(data, caller, queued, visit)).await.map(Served::Guest),
        Begun::Kept(kept) => Box::pin(serve_kept(data, caller, kept, visit)).await.map(Served::Guest),
        Begun::Answered(response) => Ok(Served::Route(response)),
    }
}

/// Finds the request's way. Not part of `serve`, whose future would hold on to all that is looked at here.
fn begin(data: &Data, caller: &Caller<'_>, request: Request<Source>, visit: &mut Visit) -> Result<Begun, Problem> {
    admit::method(request.method())?;
    let (head, body) = request.into_parts();
    admit::unambiguous(&head)?;
    let mut found = caller.find(&data.catalog.load(), &head).map_err(|refused| visit.is_refused(refused))?;
    match &mut found.serving {
        Serving::Deployment(deployment) => {
            let deployment = deployment.clone();
            visit.goes_to(deployment.clone());
            match admit::place(&deployment)? {
                Admitted::Now(place) => {
                    let request = enter(caller, (head, body), found, &deployment, place, visit)?;
                    Ok(Begun::Entered(request, deployment))
                }
                Admitted::Later(place) => Ok(Begun::Queued(Box::new(Queued { head, body, found, deployment, place }))),
            }
        }
        Serving::Kept(binding, version) => {
            let (binding, version) = (binding.clone(), *version);
            Ok(Begun::Kept(Box::new(Kept { head, body, found, binding, version })))
        }
        Serving::Route(deployment, response) => {
            visit.goes_to(deployment.clone());
            visit.is_answered_by_route();
            visit.gives(found.cookie);
            Ok(Begun::Answered(mem::take(response)))
        }
    }
}

async fn serve_queued(
    data: &Data,
    caller: &Caller<'_>,
    queued: Box<Queued>,
    visit: &mut Visit,
) -> Result<Response<GuestBody>, Problem> {
    let Queued { head, body, found, deployment, place } = *queued;
    works(caller, &deployment, visit);
    let place = admit::awaited(&deployment, place, visit).await?;
    let request = enter(caller, (head, body), found, &deployment, place, visit)?;
    run(data, caller, request, deployment, visit).await
}

async fn serve_kept(
    data: &Data,
    caller: &Caller<'_>,
    kept: Box<Kept>,
    visit: &mut Visit,
) -> Result<Response<GuestBody>, Problem> {
    let Kept { head, body, mut found, binding, version } = *kept;
    let deployment = data.pinned.get(&binding, version).await?;
    let deployment = {
        let snapshot = data.catalog.load();
        let called = binding.function.as_str();
        // Only now it is known who may call it.
        access::check(&binding, called, deployment.terms.access, true, &head.headers, &snapshot.tokens)?;
        visit.goes_to(deployment.clone());
        onward::first(&snapshot, caller, deployment, &mut found)?
    };
    visit.goes_to(deployment.clone());
    let place = match admit::place(&deployment)? {
        Admitted::Now(place) => place,
        Admitted::Later(place) => {
            works(caller, &deployment, visit);
            admit::awaited(&deployment, place, visit).await?
        }
    };
    let request = enter(caller, (head, body), found, &deployment, place, visit)?;
    run(data, caller, request, deployment, visit).await
}

/// From the request as its function shall see it to the head of the answer.
async fn run(
    data: &Data,
    caller: &Caller<'_>,
    mut request: Box<Request<Limited>>,
    deployment: Arc<Deployment>,
    visit: &mut Visit,
) -> Result<Response<GuestBody>, Problem> {
    data.shedding.check()?;
    caller.has_time()?;
    let depth = caller.depth()?;
    let deadline = works(caller, &deployment, visit);
    let mut in_use = loaded(data, &deployment, deadline).await?;
    // Some take the body whole, as typed ones. For a client that sends it slowly no instance waits, and nothing is held.
    let is_streamed = !function(&in_use)?.world().takes_whole();
    if !is_streamed && !request.body().is_end_stream() {
        drop(in_use);
        request = Box::pin(gathered(request, deadline, deployment.limits().wall_ms)).await?;
        in_use = loaded(data, &deployment, deadline).await?;
    }
    let along = data.loader.exchange.along(&deployment, request.headers(), visit.take_next());
    let invocation = Invocation { request_id: visit.request_id(), deadline, depth, along };
    let lease = Lease::take(function(&in_use)?, &invocation, visit.meter()).await?;
    visit.leased(lease.timing());
    let (began, may_be_unread) = (lease.ready_at(), is_streamed && !request.body().is_end_stream());
    let called = lease.call(request, caller.scheme()).await;
    visit.ran(began.elapsed());
    coalescing::note_call(visit.meter().cpu());
    if may_be_unread {
        coalescing::note_unread();
    }
    called
}

/// Says on its connection that the request is at work, or waits for a place, and until when.
fn works(caller: &Caller<'_>, deployment: &Deployment, visit: &mut Visit) -> time::Instant {
    let wall = Duration::from_millis(deployment.limits().wall_ms.into());
    let deadline = caller.deadline((visit.began() + wall).into());
    visit.works(caller.works(deadline));
    deadline
}

/// The client's own id, or a new one.
fn request_id(headers: &HeaderMap) -> RequestId {
    let given = headers.get(answers::REQUEST_ID).and_then(|value| RequestId::from_client(value.as_bytes()));
    given.unwrap_or_else(|| RequestId::from_random(fastrand::u128(..)))
}

/// The request as the guest shall see it, its body under its limit.
fn enter(
    caller: &Caller<'_>,
    (mut head, body): (Parts, Source),
    found: Found,
    deployment: &Arc<Deployment>,
    place: Place,
    visit: &mut Visit,
) -> Result<Box<Request<Limited>>, Problem> {
    visit.holds(place);
    visit.is_of_app(found.app_place);
    visit.gives(found.cookie);
    visit.hands_on_to(found.next);
    admit::stated_length(&head.headers, deployment)?;
    let prefix = match found.mount {
        Mount::Name => Some(deployment.prefix.clone()),
        Mount::At(prefix) => Some(prefix),
        Mount::Route => None,
    };
    admit::prepare(&mut head, found.target, prefix);
    if let Some(told) = caller.told() {
        head.headers.insert(CALLER, told);
    }
    head.headers.extend(found.params);
    head.headers.remove(header::EXPECT);
    let has_body = !body.is_end_stream();
    let counter = has_body.then(|| visit.counts_request_bytes());
    let connection = caller.connection().filter(|_| has_body).cloned();
    let body = Limited::new(body, deployment.limits().request_body_bytes(), counter, connection);
    Ok(Box::new(Request::from_parts(head, body)))
}

/// The function, held until its instance is there. One load where it is loaded.
async fn loaded(data: &Data, deployment: &Arc<Deployment>, deadline: time::Instant) -> Result<InUse, Problem> {
    match data.loader.residents.take(deployment) {
        Some(loaded) => Ok(loaded),
        None => Box::pin(data.loader.load(deployment, deadline)).await,
    }
}

fn function(in_use: &InUse) -> Result<&Function, Problem> {
    // Never: what is in use is there.
    let unloaded = || Problem::new(Code::Internal, "a function was unloaded while it was in use");
    in_use.as_ref().map(|loaded| &loaded.function).ok_or_else(unloaded)
}

async fn gathered(
    request: Box<Request<Limited>>,
    deadline: time::Instant,
    wall_ms: u32,
) -> Result<Box<Request<Limited>>, Problem> {
    let (head, body) = (*request).into_parts();
    Ok(Box::new(Request::from_parts(head, body.gather(deadline, wall_ms).await?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Futures are moved where they are made, so the size of a request's is a good part of what it costs.
    #[test]
    fn the_future_of_a_request_is_small() {
        fn bytes<A, B, C, D, F>(_: impl FnOnce(A, B, C, D) -> F) -> usize {
            size_of::<F>()
        }
        let answering = |data: &'static Data, activity: &'static Arc<Activity>, request, scheme| {
            answer(data, activity, request, scheme)
        };
        let bytes = bytes(answering);
        assert!(bytes <= 3000, "{bytes} bytes");
    }
}
