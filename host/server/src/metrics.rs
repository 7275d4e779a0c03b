//! The metrics, as Prometheus reads them. All are made from receipts, off the requests' way.

use std::sync::{Arc, Mutex, PoisonError};

use gust_core::{AliasName, AppName, Code, FunctionName, Receipt, Tier};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use crate::function_metrics::{Families, FunctionMetrics, Outcome, histogram};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InTier {
    tier: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RolledBack {
    function: String,
    alias: String,
    condition: &'static str,
}

impl From<Tier> for InTier {
    fn from(tier: Tier) -> Self {
        Self { tier: tier.as_str() }
    }
}

/// The metrics of one host.
pub(crate) struct Metrics {
    registry: Registry,
    of_functions: Arc<Families>,
    /// Receipts that were not counted, because the ledger could not keep up.
    pub(crate) receipts_dropped: Counter,
    /// Functions deployed.
    pub(crate) functions: Gauge,
    loaded: Family<InTier, Gauge>,
    /// Loading functions when they were called.
    pub(crate) loads: Histogram,
    /// Functions that had to go for others.
    pub(crate) unloads: Counter,
    compilations: Family<InTier, Counter>,
    rollbacks: Family<RolledBack, Counter>,
    /// What is counted there, to be forgotten some day.
    rolled_back: Mutex<Vec<RolledBack>>,
    /// Panics of the host's own.
    pub(crate) panics: Counter,
    /// Functions whose code waits to be optimised.
    pub(crate) to_optimise: Gauge,
    /// Instances that could be made now.
    pub(crate) slots_free: Gauge,
    /// Connections open on the data listener.
    pub(crate) connections: Gauge,
}

impl Metrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("gust"),
            of_functions: Families::new(),
            receipts_dropped: Counter::default(),
            functions: Gauge::default(),
            loaded: Family::default(),
            loads: histogram(),
            unloads: Counter::default(),
            compilations: Family::default(),
            rollbacks: Family::default(),
            rolled_back: Mutex::default(),
            panics: Counter::default(),
            to_optimise: Gauge::default(),
            slots_free: Gauge::default(),
            connections: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("build", "The running version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        self.of_functions.register(r);
        r.register("receipts_dropped", "Requests that are in no other metric", self.receipts_dropped.clone());
        r.register("functions", "Functions deployed", self.functions.clone());
        r.register("functions_loaded", "Functions loaded now, by how well they are compiled", self.loaded.clone());
        r.register_with_unit("function_load", "Loading functions that were called", Unit::Seconds, self.loads.clone());
        r.register("function_unloads", "Functions unloaded for others", self.unloads.clone());
        r.register("compilations", "Components compiled", self.compilations.clone());
        r.register("alias_rollbacks", "Aliases that went back by themselves", self.rollbacks.clone());
        r.register("panics", "Panics of the host's own", self.panics.clone());
        r.register("functions_to_optimise", "Functions whose code waits for it", self.to_optimise.clone());
        r.register("instances_free", "Instances that could be made now", self.slots_free.clone());
        r.register("connections", "Connections of the data listener", self.connections.clone());
    }

    /// Begins the metrics of a function in an app.
    pub(crate) fn of(&self, app: &AppName, function: &FunctionName) -> Arc<FunctionMetrics> {
        Arc::new(FunctionMetrics::new(app.clone(), function.clone(), self.of_functions.clone()))
    }

    /// Counts an alias that went back by itself.
    pub(crate) fn rolled_back(&self, function: &FunctionName, alias: &AliasName, condition: &'static str) {
        let which = RolledBack { function: function.to_string(), alias: alias.to_string(), condition };
        self.rollbacks.get_or_create(&which).inc();
        let mut counted = self.rolled_back.lock().unwrap_or_else(PoisonError::into_inner);
        if !counted.contains(&which) {
            counted.push(which);
        }
    }

    /// Forgets those of a function that is gone.
    pub(crate) fn forget_rollbacks(&self, function: &FunctionName) {
        let mut counted = self.rolled_back.lock().unwrap_or_else(PoisonError::into_inner);
        for which in counted.extract_if(.., |which| which.function == function.as_str()) {
            self.rollbacks.remove(&which);
        }
    }

    /// Counts a function as loaded, until what is returned is dropped.
    pub(crate) fn loaded(&self, tier: Tier) -> CountedLoad {
        let gauge = self.loaded.get_or_create(&tier.into()).clone();
        gauge.inc();
        CountedLoad(gauge)
    }

    /// Counts a component that was compiled.
    pub(crate) fn compiled(&self, tier: Tier) {
        self.compilations.get_or_create(&tier.into()).inc();
    }

    /// Counts a request that no function served.
    pub(crate) fn count_unrouted(&self, receipt: &Receipt) {
        let code = receipt.ending.code().map_or("", Code::as_str);
        let outcome = Outcome { app: String::new(), function: String::new(), status: receipt.status, code };
        self.of_functions.requests.get_or_create(&outcome).inc();
    }

    /// All of them in the text format.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

/// A function that is loaded.
pub(crate) struct CountedLoad(Gauge);

impl Drop for CountedLoad {
    fn drop(&mut self) {
        self.0.dec();
    }
}
