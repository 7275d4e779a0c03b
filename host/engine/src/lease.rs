//! The lease: an instance in exactly the state that instantiation left, used for one request.
//!
//! It is the engine's one promise to everything above it. How the instance came to be is decided here and nowhere else: it
//! served before and was put back ([`rewind`](crate::rewind)), or it is made now in a slot of the pool. A caller takes a
//! lease, [calls](Lease::call) it once, and cannot tell.

use std::sync::Arc;

use gust_core::{Code, Limits, Problem, RequestId, RewindPolicy};
use tokio::time::{self, Duration, Instant};
use wasmtime::{Store, UpdateDeadline, component::Instance as Component};

use crate::{
    allowed::Allowed,
    callee::Instance,
    function::Function,
    host::{Host, Terms},
    invocation::Invocation,
    lane,
    last_lines::LastLines,
    meter::Meter,
    places::Place,
    rewind::{Kept, Refusal, Rewinding, WayBack},
    settings::Concurrency,
    unmade::{AtomicStage, Unmade},
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
    /// Waits for a slot, for as long as the engine's settings allow, and makes an instance pristine or a pristine one. `meter` counts
    /// what that takes, and what the instance uses then.
    pub async fn take(function: &Function, invocation: &Invocation, meter: &Arc<Meter>) -> Result<Self, Problem> {
        let began = Instant::now();
        let (slot, queue) = slot(function, invocation.deadline).await?;
        let instance = match function.rewinding.as_ref().and_then(|rewinding| Some((rewinding.take()?, rewinding))) {
            Some((kept, rewinding)) => Leased::of_kept(kept, rewinding.clone(), invocation, meter, slot),
            // What is seldom done is done elsewhere: it would make the future of every request larger, which is moved.
            None => {
                let made = Box::pin(Leased::make(function, invocation, meter, slot)).await;
                made.map_err(|unmade| unmade.problem)?
            }
        };
        let ready_at = Instant::now();
        let timing = LeaseTiming { queue, init: ready_at - began - queue };
        Ok(Self { instance, deadline: invocation.deadline, timing, ready_at })
    }

    /// Makes a new instance and drops it again, within `wall`: a component whose start code or init fails is found at its
    /// deploy.
    pub async fn probe(function: &Function, wall: Duration) -> Result<(), Problem> {
        let printed = Arc::new(LastLines::before(function.terms.sink.clone()));
        let mut probed = function.clone();
        let limits = Limits { wall_ms: millis(wall), ..function.terms.limits.clone() };
        probed.terms = Arc::new(Terms { sink: printed.clone(), limits, ..(*function.terms).clone() });
        let (request_id, deadline) = (RequestId::from_random(0), Instant::now() + wall);
        let invocation = Invocation { request_id, deadline, depth: 0, along: None };
        let (slot, _) = slot(function, deadline).await?;
        match Leased::make(&probed, &invocation, &Meter::new(), slot).await {
            Ok(made) => {
                // Not lost, but dropped unused.
                drop(made.way_back.and_then(WayBack::begin));
                Ok(())
            }
            Err(unmade) => Err(unmade.found_at_deploy(millis(wall), &printed)),
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
    fn of_kept(
        kept: Kept,
        rewinding: Arc<Rewinding>,
        invocation: &Invocation,
        meter: &Arc<Meter>,
        slot: Place,
    ) -> Self {
        let Kept { mut store, callee, home } = kept;
        store.data_mut().begin(invocation.clone(), meter, slot);
        store.set_epoch_deadline(TICKS_UNTIL_YIELD);
        Self { store, callee, way_back: Some(WayBack::new(home, rewinding)) }
    }

    async fn make(
        function: &Function,
        invocation: &Invocation,
        meter: &Arc<Meter>,
        mut slot: Place,
    ) -> Result<Self, Unmade> {
        loop {
            let store = store(function, invocation, meter, slot);
            let stage = Arc::<AtomicStage>::default();
            let guest = Box::pin(instantiate(function.clone(), store, stage.clone()));
            let made = Allowed::new(guest, &function.terms, meter, invocation.deadline).await;
            let (mut store, callee, component) = made.map_err(|problem| Unmade { problem, stage: stage.get() })?;
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

    /// What its request uses.
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        self.store.data().meter()
    }

    /// The terms that it runs on.
    pub(crate) fn terms(&self) -> &Arc<Terms> {
        self.store.data().terms()
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
    function: Function,
    mut store: Store<Host>,
    stage: Arc<AtomicStage>,
) -> Result<(Store<Host>, Instance, Component), Problem> {
    let instantiated = function.callee.instantiate(&mut store).await;
    let (callee, component) = instantiated.map_err(|error| store.data().failure(&error))?;
    if let Some(init) = &function.init {
        stage.is_init();
        init.run(&mut store, &component).await?;
    }
    Ok((store, callee, component))
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
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

fn store(function: &Function, invocation: &Invocation, meter: &Arc<Meter>, slot: Place) -> Store<Host> {
    let mut host = Host::new(&function.terms, invocation.clone(), meter, slot);
    if function.pool.concurrency() == Concurrency::On {
        host = host.concurrent();
    }
    let mut store = Store::new(function.pool.wasmtime(), host);
    store.set_hostcall_fuel(function.terms.lifted_bytes_max());
    store.set_max_component_handles(function.terms.limits.handles as usize);
    store.limiter(|host| host);
    store.set_epoch_deadline(TICKS_UNTIL_YIELD);
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(TICKS_UNTIL_YIELD, Box::pin(lane::pause()))));
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
