//! The lease: an instance in exactly the state that instantiation left, used for one request.
//!
//! It is the engine's one promise to everything above it. How the instance came to be is decided here and nowhere else: it
//! served before and was put back ([`rewind`](crate::rewind)), or it is made now in a slot of the pool. A caller takes a
//! lease, [calls](Lease::call) it once, and cannot tell.

use std::{pin::pin, sync::Arc};

use gust_core::{Code, Problem, RequestId, RewindPolicy};
use tokio::{
    task,
    time::{self, Duration, Instant},
};
use wasmtime::{Store, UpdateDeadline, component::Instance as Component};

use crate::{
    callee::Instance,
    failure,
    function::Function,
    host::{Host, RESOURCES_MAX, Terms},
    invocation::Invocation,
    last_lines::LastLines,
    places::Place,
    rewind::{self, Kept, Refusal, Rewinding, WayBack},
    unmade::{Stage, Unmade},
    usage::{Usage, metered},
};

/// Ticks of the epoch that a guest runs before it yields.
const TICKS_UNTIL_YIELD: u64 = 1;

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
    pub(crate) instance: Leased,
    pub(crate) deadline: Instant,
    pub(crate) response_bytes_max: u64,
    timing: LeaseTiming,
    ready_at: Instant,
}

/// The instance of a lease. Dropping it ends the instance.
pub(crate) struct Leased {
    pub(crate) store: Store<Host>,
    pub(crate) callee: Instance,
    /// Where it goes when it was put back; none where it is dropped.
    way_back: Option<WayBack>,
}

impl Lease {
    /// Waits for a slot, for as long as the engine's settings allow, and makes an instance pristine or a pristine one. Adds to
    /// `usage` what that takes, however it ends.
    pub async fn take(function: &Function, invocation: &Invocation, usage: &mut Usage) -> Result<Self, Problem> {
        let began = Instant::now();
        let (slot, queue) = slot(function, invocation.deadline).await?;
        let instance = match function.rewinding.as_ref().and_then(|rewinding| Some((rewinding.take()?, rewinding))) {
            Some((kept, rewinding)) => Leased::of_kept(kept, rewinding.clone(), invocation, slot),
            // What is seldom done is done elsewhere: it would make the future of every request larger, which is moved.
            None => {
                let made = Box::pin(Leased::make(function, invocation, slot, usage)).await;
                made.map_err(|unmade| unmade.problem)?
            }
        };
        let ready_at = Instant::now();
        let timing = LeaseTiming { queue, init: ready_at - began - queue };
        let response_bytes_max = function.terms.response_bytes_max;
        Ok(Self { instance, deadline: invocation.deadline, response_bytes_max, timing, ready_at })
    }

    /// Makes a new instance and drops it again, within `wall`: a component whose start code or init fails is found at its
    /// deploy.
    pub async fn probe(function: &Function, wall: Duration) -> Result<(), Problem> {
        let printed = Arc::new(LastLines::before(function.terms.sink.clone()));
        let mut probed = function.clone();
        probed.terms = Arc::new(Terms { sink: printed.clone(), ..(*function.terms).clone() });
        let (request_id, deadline) = (RequestId::from_random(0), Instant::now() + wall);
        let invocation = Invocation { request_id, deadline, depth: 0 };
        let (slot, _) = slot(function, deadline).await?;
        match Leased::make(&probed, &invocation, slot, &mut Usage::default()).await {
            Ok(made) => {
                // Not lost, but dropped unused.
                drop(made.way_back.and_then(WayBack::begin));
                Ok(())
            }
            Err(unmade) => Err(unmade.found_at_deploy(wall, &printed)),
        }
    }

    /// How long it took.
    pub fn timing(&self) -> LeaseTiming {
        self.timing
    }

    /// When it was there.
    pub fn ready_at(&self) -> Instant {
        self.ready_at
    }
}

impl Leased {
    fn of_kept(kept: Kept, rewinding: Arc<Rewinding>, invocation: &Invocation, slot: Place) -> Self {
        let Kept { mut store, callee, home } = kept;
        store.data_mut().begin(*invocation, slot);
        store.set_epoch_deadline(TICKS_UNTIL_YIELD);
        Self { store, callee, way_back: Some(WayBack::new(home, rewinding)) }
    }

    async fn make(
        function: &Function,
        invocation: &Invocation,
        mut slot: Place,
        usage: &mut Usage,
    ) -> Result<Self, Unmade> {
        loop {
            let mut store = store(function, invocation, slot);
            let mut stage = Stage::Instantiation;
            let count = |ran| usage.cpu += ran;
            let (made, _) = rewind::within(
                Some(invocation.deadline),
                pin!(metered(pin!(instantiate(function, &mut store, &mut stage)), count)),
            )
            .await;
            let (callee, component) = match made.unwrap_or_else(|| Err(failure::timed_out())) {
                Ok(made) => made,
                Err(problem) => {
                    usage.memory_bytes_peak = store.data().memory.bytes_peak();
                    return Err(Unmade { problem, stage });
                }
            };
            let way_back = match way_back(function, &mut store, &component).await {
                Prepared::ToBeKept(way_back) => Some(way_back),
                Prepared::ToBeDropped => None,
                Prepared::Spoilt => {
                    // It is not tried again: the next one is used as it is.
                    slot = store.into_data().into_slot().ok_or_else(spoilt)?;
                    continue;
                }
            };
            return Ok(Self { store, callee, way_back });
        }
    }

    /// The most that its memories and tables had together, in bytes.
    pub(crate) fn memory_bytes_peak(&self) -> u64 {
        self.store.data().memory.bytes_peak()
    }

    /// Ends a call that returned, in the same poll: the instance is put back and kept, or dropped. `at_once` says that the
    /// call was over the first time it was polled.
    pub(crate) async fn give_back(self, at_once: bool) {
        let Self { store, callee, way_back } = self;
        if let Some((home, rewinding)) = way_back.and_then(WayBack::begin) {
            rewinding.give_back(store, callee, home, at_once).await;
        }
    }
}

/// Makes an instance and gets it ready. `stage` says how far it came.
async fn instantiate(
    function: &Function,
    store: &mut Store<Host>,
    stage: &mut Stage,
) -> Result<(Instance, Component), Problem> {
    let instantiated = function.callee.instantiate(store).await;
    let (callee, component) = instantiated.map_err(|error| failure::of_guest(&error, &store.data().memory))?;
    if let Some(init) = &function.init {
        *stage = Stage::Init;
        init.run(store, &component).await?;
    }
    Ok((callee, component))
}

/// A place in the pool, and how long it took to get. Where one is free this is a single atomic operation. None is waited for
/// beyond the deadline, so that functions that wait for others, and hold a place each, do not keep the last one waiting.
async fn slot(function: &Function, deadline: Instant) -> Result<(Place, Duration), Problem> {
    let slots = function.engine.slots();
    if let Some(slot) = slots.try_take() {
        return Ok((slot, Duration::ZERO));
    }
    let began = Instant::now();
    let wait = Duration::from_millis(function.engine.settings().queue_ms.into());
    let busy = |_| Problem::new(Code::HostBusy, "all instances are in use; try again in a moment");
    let until = deadline.min(Instant::now() + wait);
    let slot = Box::pin(time::timeout_at(until, slots.take())).await.map_err(busy)?;
    Ok((slot, began.elapsed()))
}

fn store(function: &Function, invocation: &Invocation, slot: Place) -> Store<Host> {
    let host = Host::new(&function.terms, *invocation, slot);
    let mut store = Store::new(function.engine.wasmtime(), host);
    store.set_hostcall_fuel(function.terms.lifted_bytes_max());
    store.set_max_component_handles(RESOURCES_MAX as usize);
    store.limiter(|host| &mut host.memory);
    store.set_epoch_deadline(TICKS_UNTIL_YIELD);
    // tokio's own yielding, and not waking oneself: the thread looks for I/O before it goes on with the guest.
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(TICKS_UNTIL_YIELD, Box::pin(task::yield_now()))));
    store
}

fn spoilt() -> Unmade {
    Problem::new(Code::Internal, "an instance was lost while it was made").into()
}

/// What came of making an instance fit to be put back.
enum Prepared {
    ToBeKept(WayBack),
    /// It is pristine, and is used once.
    ToBeDropped,
    /// It may not be pristine any more.
    Spoilt,
}

/// Makes a new instance fit to be put back, where its function's are and there is room for one more.
async fn way_back(function: &Function, store: &mut Store<Host>, component: &Component) -> Prepared {
    let Some(rewinding) = function.rewinding.as_ref().filter(|rewinding| rewinding.goes_on()) else {
        return Prepared::ToBeDropped;
    };
    let Some(place) = function.engine.kept().try_take() else { return Prepared::ToBeDropped };
    let must_check = function.engine.settings().rewind == RewindPolicy::Checked;
    let home = rewinding.prepare(store, component, place, must_check).await;
    store.set_epoch_deadline(TICKS_UNTIL_YIELD);
    match home {
        Ok(home) => Prepared::ToBeKept(WayBack::new(Box::new(home), rewinding.clone())),
        Err(Refusal::Failed) => Prepared::Spoilt,
        Err(_) => Prepared::ToBeDropped,
    }
}
