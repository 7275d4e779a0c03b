//! The lease: an instance in exactly the state that instantiation left, used for one request.
//!
//! It is the engine's one promise to everything above it. How the instance came to be is decided here and nowhere else; a
//! caller takes a lease, [calls](Lease::call) it once, and the instance is gone when the answer's last byte is.

use gust_core::{Code, Problem, RequestId};
use tokio::time::{self, Duration, Instant};
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi_http::p2::bindings::Proxy;

use crate::{
    failure::{self, Failure, Usage},
    function::{Callee, Function},
    host::Host,
    interfaces::function::Typed,
    places::Place,
};

/// Ticks of the epoch that a guest runs before it yields.
const TICKS_UNTIL_YIELD: u64 = 1;

/// One request, as far as the engine has to know of it.
#[derive(Debug, Clone, Copy)]
pub struct Invocation {
    /// The request's id, for what the guest prints.
    pub request_id: RequestId,
    /// When it must be over, the last byte of its answer included.
    pub deadline: Instant,
}

/// How long it took to get the instance.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeaseTiming {
    /// Waiting for a free slot.
    pub queue: Duration,
    /// Making the instance.
    pub init: Duration,
}

/// A pristine instance for one request.
pub struct Lease {
    pub(crate) store: Store<Host>,
    pub(crate) callee: Instance,
    pub(crate) deadline: Instant,
    pub(crate) response_bytes_max: u64,
    timing: LeaseTiming,
}

/// An instance by the export that it is called through.
pub(crate) enum Instance {
    Typed(Typed),
    WasiHttp(Proxy),
}

impl Lease {
    /// Waits for a slot, for as long as the engine's settings allow, and makes an instance in it.
    pub async fn take(function: &Function, invocation: Invocation) -> Result<Self, Failure> {
        let began = Instant::now();
        let slot = slot(function).await.map_err(|problem| Failure { problem, usage: Usage::default() })?;
        let got_slot = Instant::now();
        let mut store = store(function, invocation.request_id, slot);
        let made = time::timeout_at(invocation.deadline, instantiate(&function.callee, &mut store)).await;
        let callee = match made {
            Ok(Ok(callee)) => callee,
            Ok(Err(error)) => {
                let memory = &store.data().memory;
                return Err(Failure::new(failure::of_guest(&error, memory), memory));
            }
            Err(_) => return Err(Failure::new(failure::timed_out(), &store.data().memory)),
        };
        let timing = LeaseTiming { queue: got_slot - began, init: got_slot.elapsed() };
        Ok(Self {
            store,
            callee,
            deadline: invocation.deadline,
            response_bytes_max: function.terms.response_bytes_max,
            timing,
        })
    }

    /// Makes a pristine instance and drops it again: a component whose start code fails is found at its deploy.
    pub async fn probe(function: &Function, deadline: Instant) -> Result<LeaseTiming, Problem> {
        let invocation = Invocation { request_id: RequestId::from_random(0), deadline };
        match Self::take(function, invocation).await {
            Ok(lease) => Ok(lease.timing()),
            Err(failure) => {
                let Problem { code, detail, internal } = failure.problem;
                let detail = format!("making an instance failed ({}): {detail}", code.as_str());
                Err(Problem { code: Code::ComponentProbe, detail, internal })
            }
        }
    }

    /// How long it took.
    pub fn timing(&self) -> LeaseTiming {
        self.timing
    }
}

/// A place in the pool. Where one is free this is a single atomic operation.
async fn slot(function: &Function) -> Result<Place, Problem> {
    let slots = function.engine.slots();
    if let Some(slot) = slots.try_take() {
        return Ok(slot);
    }
    let wait = Duration::from_millis(function.engine.settings().queue_ms.into());
    let busy = |_| Problem::new(Code::HostBusy, "all instances are in use; try again in a moment");
    time::timeout(wait, slots.take()).await.map_err(busy)
}

fn store(function: &Function, request_id: RequestId, slot: Place) -> Store<Host> {
    let host = Host::new(&function.terms, request_id, slot);
    let mut store = Store::new(function.engine.wasmtime(), host);
    store.set_hostcall_fuel(function.terms.lifted_bytes_max());
    store.limiter(|host| &mut host.memory);
    store.set_epoch_deadline(TICKS_UNTIL_YIELD);
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Yield(TICKS_UNTIL_YIELD)));
    store
}

async fn instantiate(callee: &Callee, store: &mut Store<Host>) -> wasmtime::Result<Instance> {
    Ok(match callee {
        Callee::Typed(pre) => Instance::Typed(pre.instantiate_async(store).await?),
        Callee::WasiHttp(pre) => Instance::WasiHttp(pre.instantiate_async(store).await?),
    })
}
