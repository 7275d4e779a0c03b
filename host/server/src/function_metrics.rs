//! What is counted of one function's requests. A function that nobody has called has no counters yet.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use gust_core::{AppName, Code, FunctionName, Receipt, limits::Limit};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Outcome {
    pub(crate) app: String,
    pub(crate) function: String,
    pub(crate) status: u16,
    pub(crate) code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Which {
    app: String,
    function: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLimit {
    app: String,
    function: String,
    limit: &'static str,
}

type Seconds = Counter<f64, AtomicU64>;

type Histograms = Family<Which, Histogram, fn() -> Histogram>;

/// The metrics of all functions.
pub(crate) struct Families {
    pub(crate) requests: Family<Outcome, Counter>,
    duration: Histograms,
    init: Histograms,
    run: Histograms,
    cpu: Family<Which, Seconds>,
    request_bytes: Family<Which, Counter>,
    response_bytes: Family<Which, Counter>,
    memory_peak: Family<Which, Gauge<u64, AtomicU64>>,
    limits_reached: Family<OfLimit, Counter>,
}

/// From 1 us to about 4 s by factors of 4, then 16 s and 67 s.
pub(crate) fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(1e-6, 4.0, 14))
}

impl Families {
    /// Of no function yet.
    pub(crate) fn new() -> Arc<Self> {
        let histograms = || Histograms::new_with_constructor(histogram as fn() -> Histogram);
        Arc::new(Self {
            requests: Family::default(),
            duration: histograms(),
            init: histograms(),
            run: histograms(),
            cpu: Family::default(),
            request_bytes: Family::default(),
            response_bytes: Family::default(),
            memory_peak: Family::default(),
            limits_reached: Family::default(),
        })
    }

    /// Says how they are called.
    pub(crate) fn register(&self, r: &mut Registry) {
        r.register("requests", "Requests that are over, by status and error code", self.requests.clone());
        let seconds = || Unit::Seconds;
        r.register_with_unit("request_duration", "From head to last byte", seconds(), self.duration.clone());
        r.register_with_unit("instance_init", "Getting a pristine instance", seconds(), self.init.clone());
        r.register_with_unit("guest_run", "In the guest, up to the head", seconds(), self.run.clone());
        r.register_with_unit("cpu", "Threads running guests", seconds(), self.cpu.clone());
        r.register_with_unit("request_body", "Bodies read", Unit::Bytes, self.request_bytes.clone());
        r.register_with_unit("response_body", "Bodies sent", Unit::Bytes, self.response_bytes.clone());
        r.register("limits_reached", "Requests that ran into a limit", self.limits_reached.clone());
        r.register_with_unit("memory_peak", "The most that an instance had", Unit::Bytes, self.memory_peak.clone());
    }

    fn remove(&self, which: &Which) {
        for histograms in [&self.duration, &self.init, &self.run] {
            histograms.remove(which);
        }
        for counters in [&self.request_bytes, &self.response_bytes] {
            counters.remove(which);
        }
        self.cpu.remove(which);
        self.memory_peak.remove(which);
    }
}

/// The metrics of one function in one app.
pub(crate) struct FunctionMetrics {
    app: AppName,
    function: FunctionName,
    families: Arc<Families>,
    state: Mutex<State>,
}

enum State {
    /// Nobody has called it.
    Unused,
    Counting(Box<Counters>),
    /// It is deleted: requests that are still served are not counted.
    Forgotten,
}

/// Found once, so that counting looks nothing up.
struct Counters {
    /// Requests by outcome. Few, so they are searched and not hashed.
    outcomes: Vec<(u16, Option<Code>, Counter)>,
    duration: Histogram,
    init: Histogram,
    run: Histogram,
    cpu: Seconds,
    request_bytes: Counter,
    response_bytes: Counter,
    memory_peak: Gauge<u64, AtomicU64>,
    /// Few, and few functions run into any.
    limits_reached: Vec<(Limit, Counter)>,
}

impl FunctionMetrics {
    /// Of a function that nobody has called.
    pub(crate) fn new(app: AppName, function: FunctionName, families: Arc<Families>) -> Self {
        Self { app, function, families, state: Mutex::new(State::Unused) }
    }

    /// Counts one request.
    pub(crate) fn count(&self, receipt: &Receipt) {
        let mut state = self.state();
        if matches!(*state, State::Unused) {
            *state = State::Counting(Box::new(Counters::begin(&self.which(), &self.families)));
        }
        let State::Counting(counters) = &mut *state else { return };
        let (status, code) = (receipt.status, receipt.ending.code());
        counters
            .count_outcome(status, code, || self.families.requests.get_or_create(&self.outcome(status, code)).clone());
        counters.count(receipt);
        for limit in receipt.limits_reached().iter() {
            counters.count_limit(limit, || self.families.limits_reached.get_or_create(&self.of_limit(limit)).clone());
        }
    }

    /// Takes it all away.
    pub(crate) fn forget(&self) {
        let mut state = self.state();
        if let State::Counting(counters) = &*state {
            self.families.remove(&self.which());
            for (status, code, _) in &counters.outcomes {
                self.families.requests.remove(&self.outcome(*status, *code));
            }
            for (limit, _) in &counters.limits_reached {
                self.families.limits_reached.remove(&self.of_limit(*limit));
            }
        }
        *state = State::Forgotten;
    }

    fn which(&self) -> Which {
        Which { app: self.app.to_string(), function: self.function.to_string() }
    }

    fn of_limit(&self, limit: Limit) -> OfLimit {
        OfLimit { app: self.app.to_string(), function: self.function.to_string(), limit: limit.key() }
    }

    fn outcome(&self, status: u16, code: Option<Code>) -> Outcome {
        let (app, function) = (self.app.to_string(), self.function.to_string());
        Outcome { app, function, status, code: code.map_or("", Code::as_str) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    fn begin(which: &Which, families: &Families) -> Self {
        Self {
            outcomes: Vec::new(),
            duration: families.duration.get_or_create(which).clone(),
            init: families.init.get_or_create(which).clone(),
            run: families.run.get_or_create(which).clone(),
            cpu: families.cpu.get_or_create(which).clone(),
            request_bytes: families.request_bytes.get_or_create(which).clone(),
            response_bytes: families.response_bytes.get_or_create(which).clone(),
            memory_peak: families.memory_peak.get_or_create(which).clone(),
            limits_reached: Vec::new(),
        }
    }

    fn count(&self, receipt: &Receipt) {
        let seconds = |us: u64| us as f64 / 1e6;
        self.duration.observe(seconds(receipt.timing.total_us));
        self.init.observe(seconds(receipt.timing.init_us.into()));
        self.run.observe(seconds(receipt.timing.run_us.into()));
        self.cpu.inc_by(seconds(receipt.cpu_us));
        self.request_bytes.inc_by(receipt.request_bytes);
        self.response_bytes.inc_by(receipt.response_bytes);
        self.memory_peak.inner().fetch_max(receipt.memory_bytes_peak, Ordering::Relaxed);
    }

    fn count_limit(&mut self, limit: Limit, find: impl FnOnce() -> Counter) {
        if let Some((_, counter)) = self.limits_reached.iter().find(|(known, _)| *known == limit) {
            counter.inc();
            return;
        }
        let counter = find();
        counter.inc();
        self.limits_reached.push((limit, counter));
    }

    fn count_outcome(&mut self, status: u16, code: Option<Code>, find: impl FnOnce() -> Counter) {
        if let Some((.., counter)) = self.outcomes.iter().find(|outcome| (outcome.0, outcome.1) == (status, code)) {
            counter.inc();
            return;
        }
        let counter = find();
        counter.inc();
        self.outcomes.push((status, code, counter));
    }
}
