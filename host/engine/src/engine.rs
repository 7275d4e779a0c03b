//! The engine: wasmtime set up for serving, with everything that all functions share.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use gust_core::{Code, Problem, RewindPolicy};

use crate::{
    lane::Lane,
    places::Places,
    pool::Pool,
    rewind::Rewinding,
    settings::{Concurrency, Reset, Settings},
};

/// How long an instance stays idle before it is dropped.
const IDLE_SECONDS_MAX: u32 = 30;

/// wasmtime set up for serving. Cheap to clone; all clones share its pools.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Arc<Pool>,
    /// For guests of WASI 0.3: made for the first of their functions, or why it could not be.
    concurrent: OnceLock<Result<Arc<Pool>, Problem>>,
    /// Instances that may serve, in whichever pool.
    slots: Arc<Places>,
    /// Instances that may be kept, serving or idle.
    kept: Arc<Places>,
    /// What is rewound, to let idle instances go.
    rewound: Arc<Mutex<Vec<Weak<Rewinding>>>>,
    /// Where guests go on that compute for long.
    lane: Lane,
    settings: Settings,
    reset: Reset,
}

impl Engine {
    /// Sets up the pool, the interfaces and the epoch ticker. Fails where the machine refuses the address space.
    pub fn new(settings: Settings) -> Result<Self, Problem> {
        Self::resetting(settings, Reset::choose())
    }

    /// One whose slots are made pristine so.
    pub(crate) fn resetting(settings: Settings, reset: Reset) -> Result<Self, Problem> {
        let rewound = Arc::<Mutex<Vec<Weak<Rewinding>>>>::default();
        let idle = rewound.clone();
        let pool = Pool::new(&settings, &reset, Concurrency::Off, move || let_idle_go(&idle)).map_err(not_set_up)?;
        let places = || Places::new(settings.instances_max as usize);
        let (slots, kept) = (places(), places());
        let lane = Lane::new(settings.has_lane);
        let (pool, concurrent) = (Arc::new(pool), OnceLock::new());
        let shared = Shared { pool, concurrent, slots, kept, rewound, lane, settings, reset };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// How slots are made pristine on this machine.
    pub fn reset(&self) -> &Reset {
        &self.shared.reset
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Slots that are free now.
    pub fn slots_free(&self) -> usize {
        self.shared.slots.free()
    }

    /// Drops every idle instance, for a machine that is short of memory. They only save time.
    pub fn drop_idle_instances(&self) {
        for rewinding in living(&self.shared.rewound) {
            rewinding.drop_idle();
        }
    }

    pub(crate) fn lane(&self) -> &Lane {
        &self.shared.lane
    }

    /// The pool for guests that need this.
    pub(crate) fn pool(&self, concurrency: Concurrency) -> Result<&Arc<Pool>, Problem> {
        match concurrency {
            Concurrency::Off => Ok(&self.shared.pool),
            Concurrency::On => self.shared.concurrent.get_or_init(|| self.concurrent()).as_ref().map_err(Clone::clone),
        }
    }

    fn concurrent(&self) -> Result<Arc<Pool>, Problem> {
        let Shared { settings, reset, .. } = &*self.shared;
        Pool::new(settings, reset, Concurrency::On, || {}).map(Arc::new).map_err(not_set_up)
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        self.shared.pool.wasmtime()
    }

    pub(crate) fn slots(&self) -> &Arc<Places> {
        &self.shared.slots
    }

    pub(crate) fn kept(&self) -> &Arc<Places> {
        &self.shared.kept
    }

    /// Whether this machine and this host's settings allow to put instances back.
    pub(crate) fn can_rewind(&self) -> bool {
        self.shared.settings.rewind != RewindPolicy::Off && self.shared.reset == Reset::PageScan
    }

    /// Begins to rewind a function's instances. What is idle for long is dropped, and all of it with the last clone.
    /// `restores_itself` says that its typed handler has put back the globals when it returns.
    pub(crate) fn rewinding(&self, restores_itself: bool) -> Arc<Rewinding> {
        let rewinding = Rewinding::new(restores_itself);
        let mut rewound = self.shared.rewound.lock().unwrap_or_else(PoisonError::into_inner);
        rewound.push(Arc::downgrade(&rewinding));
        rewinding
    }
}

fn not_set_up(error: wasmtime::Error) -> Problem {
    let detail = "the pool of instances could not be set up: lower instances_max";
    Problem::new(Code::Internal, detail).with_internal(format!("{error:#}"))
}

/// Once a second: drops instances that have been idle for long.
fn let_idle_go(rewound: &Mutex<Vec<Weak<Rewinding>>>) {
    for rewinding in living(rewound) {
        rewinding.expire(IDLE_SECONDS_MAX);
    }
}

fn living(rewound: &Mutex<Vec<Weak<Rewinding>>>) -> Vec<Arc<Rewinding>> {
    let mut rewound = rewound.lock().unwrap_or_else(PoisonError::into_inner);
    rewound.retain(|rewinding| rewinding.strong_count() > 0);
    rewound.iter().filter_map(Weak::upgrade).collect()
}
