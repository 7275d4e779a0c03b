//! The metrics, as Prometheus reads them. All are made from receipts, off the requests' way.

use std::sync::atomic::AtomicU64;

use gust_core::Receipt;
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

    /// Counts one request.
    pub(crate) fn count(&self, receipt: &Receipt) {
        let function = receipt.function.as_ref().map(|(name, _)| name.to_string()).unwrap_or_default();
        let code = receipt.ending.code().map_or("", gust_core::Code::as_str);
        self.requests.get_or_create(&Outcome { function: function.clone(), status: receipt.status, code }).inc();
        if receipt.function.is_none() {
            return;
        }
        let which = Which { function };
        let timing = receipt.timing;
        let seconds = |us: u64| us as f64 / 1e6;
        self.duration.get_or_create(&which).observe(seconds(timing.total_us));
        self.init.get_or_create(&which).observe(seconds(timing.init_us.into()));
        self.run.get_or_create(&which).observe(seconds(timing.run_us.into()));
        self.request_bytes.get_or_create(&which).inc_by(receipt.request_bytes);
        self.response_bytes.get_or_create(&which).inc_by(receipt.response_bytes);
        let peak = self.memory_peak.get_or_create(&which);
        if receipt.memory_bytes_peak > peak.get() {
            peak.set(receipt.memory_bytes_peak);
        }
    }

    /// All of them in the text format.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}
