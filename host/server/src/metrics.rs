//! The metrics, as Prometheus reads them. All are made from receipts, off the requests' way.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use gust_core::{Code, FunctionName, Receipt};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    function: String,
    status: u16,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Which {
    function: String,
}

type Histograms = Family<Which, Histogram, fn() -> Histogram>;

/// The metrics of one host.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Outcome, Counter>,
    duration: Histograms,
    init: Histograms,
    run: Histograms,
    request_bytes: Family<Which, Counter>,
    response_bytes: Family<Which, Counter>,
    memory_peak: Family<Which, Gauge<u64, AtomicU64>>,
    /// Those of each function, for all its versions.
    functions_counted: Mutex<HashMap<FunctionName, Arc<FunctionMetrics>>>,
    /// Receipts that were not counted, because the ledger could not keep up.
    pub(crate) receipts_dropped: Counter,
    /// Functions deployed.
    pub(crate) functions: Gauge,
    /// Instances that could be made now.
    pub(crate) slots_free: Gauge,
    /// Connections open on the data listener.
    pub(crate) connections: Gauge,
}

/// From 1 us to about 4 s by factors of 4, then 16 s and 67 s.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(1e-6, 4.0, 14))
}

impl Metrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let histograms = || Histograms::new_with_constructor(histogram as fn() -> Histogram);
        let mut metrics = Self {
            registry: Registry::with_prefix("gust"),
            requests: Family::default(),
            duration: histograms(),
            init: histograms(),
            run: histograms(),
            request_bytes: Family::default(),
            response_bytes: Family::default(),
            memory_peak: Family::default(),
            functions_counted: Mutex::default(),
            receipts_dropped: Counter::default(),
            functions: Gauge::default(),
            slots_free: Gauge::default(),
            connections: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("build", "The running version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        r.register("requests", "Requests that are over, by status and error code", self.requests.clone());
        let seconds = || Unit::Seconds;
        r.register_with_unit("request_duration", "From head to last byte", seconds(), self.duration.clone());
        r.register_with_unit("instance_init", "Getting a pristine instance", seconds(), self.init.clone());
        r.register_with_unit("guest_run", "In the guest, up to the head", seconds(), self.run.clone());
        r.register_with_unit("request_body", "Bodies read", Unit::Bytes, self.request_bytes.clone());
        r.register_with_unit("response_body", "Bodies sent", Unit::Bytes, self.response_bytes.clone());
        r.register_with_unit("memory_peak", "The most that an instance had", Unit::Bytes, self.memory_peak.clone());
        r.register("receipts_dropped", "Requests that are in no other metric", self.receipts_dropped.clone());
        r.register("functions", "Functions deployed", self.functions.clone());
        r.register("instances_free", "Instances that could be made now", self.slots_free.clone());
        r.register("connections", "Connections of the data listener", self.connections.clone());
    }

    /// The metrics of one function, resolved once so that counting looks nothing up.
    pub(crate) fn of(&self, function: &FunctionName) -> Arc<FunctionMetrics> {
        let mut counted = self.functions_counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.entry(function.clone()).or_insert_with(|| Arc::new(self.begin(function))).clone()
    }

    fn begin(&self, function: &FunctionName) -> FunctionMetrics {
        let which = Which { function: function.to_string() };
        FunctionMetrics {
            requests: self.requests.clone(),
            outcomes: Mutex::default(),
            duration: self.duration.get_or_create(&which).clone(),
            init: self.init.get_or_create(&which).clone(),
            run: self.run.get_or_create(&which).clone(),
            request_bytes: self.request_bytes.get_or_create(&which).clone(),
            response_bytes: self.response_bytes.get_or_create(&which).clone(),
            memory_peak: self.memory_peak.get_or_create(&which).clone(),
            function: which.function,
            is_forgotten: AtomicBool::new(false),
        }
    }

    /// Takes a deleted function's metrics away.
    pub(crate) fn forget(&self, function: &FunctionName) {
        let removed = self.functions_counted.lock().unwrap_or_else(PoisonError::into_inner).remove(function);
        let Some(function) = removed else { return };
        // Requests that are still served are not counted.
        function.is_forgotten.store(true, Ordering::Relaxed);
        let which = Which { function: function.function.clone() };
        for histograms in [&self.duration, &self.init, &self.run] {
            histograms.remove(&which);
        }
        for counters in [&self.request_bytes, &self.response_bytes] {
            counters.remove(&which);
        }
        self.memory_peak.remove(&which);
        for (status, code, _) in &*function.outcomes() {
            self.requests.remove(&function.outcome(*status, *code));
        }
    }

    /// Counts a request that no function served.
    pub(crate) fn count_unrouted(&self, receipt: &Receipt) {
        let code = receipt.ending.code().map_or("", Code::as_str);
        let outcome = Outcome { function: String::new(), status: receipt.status, code };
        self.requests.get_or_create(&outcome).inc();
    }

    /// All of them in the text format.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

/// The metrics of one function.
pub(crate) struct FunctionMetrics {
    function: String,
    /// The function is deleted.
    is_forgotten: AtomicBool,
    requests: Family<Outcome, Counter>,
    /// Those of `requests` that this function has had. Few, so they are searched and not hashed.
    outcomes: Mutex<Vec<(u16, Option<Code>, Counter)>>,
    duration: Histogram,
    init: Histogram,
    run: Histogram,
    request_bytes: Counter,
    response_bytes: Counter,
    memory_peak: Gauge<u64, AtomicU64>,
}

impl FunctionMetrics {
    /// Counts one request.
    pub(crate) fn count(&self, receipt: &Receipt) {
        self.count_outcome(receipt.status, receipt.ending.code());
        let seconds = |us: u64| us as f64 / 1e6;
        self.duration.observe(seconds(receipt.timing.total_us));
        self.init.observe(seconds(receipt.timing.init_us.into()));
        self.run.observe(seconds(receipt.timing.run_us.into()));
        self.request_bytes.inc_by(receipt.request_bytes);
        self.response_bytes.inc_by(receipt.response_bytes);
        self.memory_peak.inner().fetch_max(receipt.memory_bytes_peak, Ordering::Relaxed);
    }

    fn count_outcome(&self, status: u16, code: Option<Code>) {
        let mut outcomes = self.outcomes();
        if self.is_forgotten.load(Ordering::Relaxed) {
            return;
        }
        if let Some((.., counter)) = outcomes.iter().find(|outcome| (outcome.0, outcome.1) == (status, code)) {
            counter.inc();
            return;
        }
        let counter = self.requests.get_or_create(&self.outcome(status, code)).clone();
        counter.inc();
        outcomes.push((status, code, counter));
    }

    fn outcome(&self, status: u16, code: Option<Code>) -> Outcome {
        Outcome { function: self.function.clone(), status, code: code.map_or("", Code::as_str) }
    }

    fn outcomes(&self) -> MutexGuard<'_, Vec<(u16, Option<Code>, Counter)>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
