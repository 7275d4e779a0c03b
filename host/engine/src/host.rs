//! What the host holds for one instance: the store's data.
//!
//! Most requests ask for nothing that WASI has, so what costs something to make (random number generators, the
//! environment, standard streams) is made when a guest first asks.

use std::{mem, sync::Arc};

use bytes::Bytes;
use gust_core::{Limits, Problem, limits::Limit};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use wasmtime::{
    ResourceLimiter,
    component::{Resource, ResourceTable, ResourceTableError},
};
use wasmtime_wasi::{
    WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView,
    p2::pipe::{MemoryInputPipe, MemoryOutputPipe},
};
use wasmtime_wasi_config::WasiConfigVariables;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::{
    configuration::Configuration,
    failure,
    invocation::Invocation,
    lane::{Lane, Pace},
    memory::MemoryBudget,
    meter::Meter,
    outgoing::{Hooks, Outbound},
    output::{Output, OutputSink, OutputStream},
    places::Place,
    rewind::Refusal,
    state::State,
    turns::Share,
};

/// The most random bytes that a guest gets in one call.
const RANDOM_BYTES_MAX: u64 = 1 << 20;

/// What one call may copy out of the guest besides a response's body, in bytes: its headers, or a body that is over its
/// limit and shall be told so.
const LIFTED_BESIDES_BODY_BYTES: usize = 64 << 20;

/// What is shown of a name that a guest asks for, in characters.
const SHOWN_CHARS_MAX: usize = 64;

/// What stays the same from one request of a function to the next. It holds secrets, so it has no `Debug`.
#[derive(Clone)]
pub(crate) struct Terms {
    /// The environment that the guest sees.
    pub(crate) env: Vec<(String, String)>,
    /// What `wasi:config` gives it beside that.
    pub(crate) config: Arc<Configuration>,
    /// What one request may use.
    pub(crate) limits: Limits,
    /// What it gets of the processor where others want it too.
    pub(crate) share: Arc<Share>,
    /// Where it goes on if it computes for long.
    pub(crate) lane: Lane,
    /// How long its guests mostly do.
    pub(crate) pace: Arc<Pace>,
    /// Its way to other functions and outside, where it has one.
    pub(crate) outbound: Option<Arc<dyn Outbound>>,
    /// What it keeps, where it may keep anything.
    pub(crate) state: Option<Arc<dyn State>>,
    /// What its init's random numbers come from. Nobody else knows it.
    pub(crate) seed: [u8; 32],
    /// Where its lines go.
    pub(crate) sink: Arc<dyn OutputSink>,
}

impl Terms {
    /// The most that one call lets the host copy out of the guest, in bytes: the whole answer of a typed guest.
    pub(crate) fn lifted_bytes_max(&self) -> usize {
        let body = usize::try_from(self.limits.response_body_bytes()).unwrap_or(usize::MAX);
        body.saturating_add(LIFTED_BESIDES_BODY_BYTES)
    }
}

#[cfg(test)]
impl Terms {
    /// Those of a function whose manifest says nothing, and whose lines nobody reads.
    pub(crate) fn of_test() -> Self {
        struct Silent;
        impl OutputSink for Silent {
            fn line(&self, _: &gust_core::RequestId, _: OutputStream, _: String) {}
        }
        Self {
            env: Vec::new(),
            config: Arc::default(),
            limits: Limits::default(),
            share: Share::new(Share::WEIGHT_DEFAULT),
            lane: Lane::new(true),
            pace: Arc::default(),
            outbound: None,
            state: None,
            seed: [7; 32],
            sink: Arc::new(Silent),
        }
    }
}

/// The data of one store.
pub(crate) struct Host {
    terms: Arc<Terms>,
    table: ResourceTable,
    http: WasiHttpCtx,
    hooks: Hooks,
    wasi: Option<Box<Wasi>>,
    pub(crate) memory: MemoryBudget,
    /// What the instance had when it was made.
    memory_bytes_pristine: u64,
    /// Calls of this request that may have given the guest a handle, one each.
    handles_given_max: u32,
    /// Held while a request is served; given back with the store, or when the instance is put back.
    slot: Option<Place>,
}

struct Wasi {
    ctx: WasiCtx,
    output: Output,
}

impl Host {
    pub(crate) fn new(terms: &Arc<Terms>, invocation: Invocation, meter: &Arc<Meter>, slot: Place) -> Self {
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(terms.limits.headers_bytes());
        Self {
            terms: terms.clone(),
            table: empty_table(&terms.limits),
            http,
            hooks: Hooks::new(terms.clone(), invocation, meter.clone()),
            wasi: None,
            memory: MemoryBudget::new(terms.limits.memory_bytes()),
            memory_bytes_pristine: 0,
            handles_given_max: 0,
            slot: Some(slot),
        }
    }

    /// One whose guest may have tasks of its own.
    pub(crate) fn concurrent(mut self) -> Self {
        self.hooks.waits_in_loop();
        self
    }

    /// Says whether what the guest sends now is handed on, to what comes after it as a middleware.
    pub(crate) fn hands_on(&mut self, hands_on: bool) {
        self.hooks.hands_on(hands_on);
    }

    /// What decides on the requests that its guest sends.
    pub(crate) fn hooks(&mut self) -> &mut Hooks {
        &mut self.hooks
    }

    /// Says that its guest's tasks are all over.
    pub(crate) fn is_over(&mut self) {
        self.hooks.is_over();
    }

    /// The terms that it runs on.
    pub(crate) fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    /// What its request uses.
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.hooks.meter
    }

    /// What it held of the pool.
    pub(crate) fn into_slot(mut self) -> Option<Place> {
        self.slot.take()
    }

    /// Whether the guest holds no handle.
    pub(crate) fn has_no_handles(&self) -> bool {
        self.table.is_empty()
    }

    /// Begins the instance's init.
    pub(crate) fn begin_init(&mut self) {
        self.hooks.is_in_init = true;
    }

    /// Ends one that succeeded: what the host made for it is not its request's.
    pub(crate) fn end_init(&mut self) {
        self.hooks.is_in_init = false;
        self.wasi = None;
        self.memory.forget_refusals();
        if self.table.is_empty() {
            self.table = empty_table(&self.terms.limits);
        }
    }

    /// Notes that the instance is made, and as it is to be put back. What it was refused until then is not its request's: the next one
    /// of the same instance would not know of it.
    pub(crate) fn is_pristine(&mut self) {
        self.memory.forget_refusals();
        self.memory_bytes_pristine = self.memory.bytes_peak();
    }

    /// What an error of its guest means.
    pub(crate) fn failure(&self, error: &wasmtime::Error) -> Problem {
        failure::of_guest(error, &self.memory, self.terms.limits.handles)
    }

    /// At least as many handles as the guest had at once since this was asked last.
    pub(crate) fn take_handles_given(&mut self) -> u32 {
        mem::take(&mut self.handles_given_max).min(self.terms.limits.handles)
    }

    /// Counts a call that may give the guest a handle. None gives more than one that a guest can get at here: those that
    /// do (accepting and connecting sockets) are refused before.
    fn gives_handle(&mut self) {
        self.handles_given_max = self.handles_given_max.saturating_add(1);
    }

    /// Begins another request of an instance that was put back.
    pub(crate) fn begin(&mut self, invocation: Invocation, meter: &Arc<Meter>, slot: Place) {
        self.hooks.invocation = invocation;
        self.hooks.meter = meter.clone();
        meter.has(self.memory.bytes_peak());
        self.slot = Some(slot);
    }

    /// Ends a request: nothing is left of it, or it is said what is.
    pub(crate) fn end(&mut self) -> Result<(), Refusal> {
        self.wasi = None;
        self.slot = None;
        if self.memory.bytes_peak() != self.memory_bytes_pristine {
            return Err(Refusal::Grew);
        }
        if !self.table.is_empty() {
            return Err(Refusal::Handles);
        }
        // A new one counts handles from the beginning again.
        self.table = empty_table(&self.terms.limits);
        self.memory.forget_refusals();
        Ok(())
    }

    /// What the function is configured with.
    pub(crate) fn config(&self) -> &WasiConfigVariables {
        self.terms.config.with(&self.terms.env)
    }

    /// What it keeps, where it may keep anything. Not during its init: what it would read then would be told to all requests.
    pub(crate) fn state(&self) -> Option<&Arc<dyn State>> {
        self.terms.state.as_ref().filter(|_| !self.hooks.is_in_init)
    }

    /// Gives the guest a handle.
    pub(crate) fn give<T: Send + 'static>(&mut self, resource: T) -> Result<Resource<T>, ResourceTableError> {
        self.gives_handle();
        self.table.push(resource)
    }

    /// What the guest has handles of.
    pub(crate) fn resources(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// Adds a line to the guest's log, within its limit.
    pub(crate) fn log_line(&mut self, text: &str) {
        self.wasi().output.line(text);
    }

    /// Tells in the guest's log which key of its manifest would allow what it was refused.
    pub(crate) fn log_refusal(&mut self, key: &str, name: &str) {
        let text = not_allowed(key, name, self.hooks.is_in_init);
        self.log_line(&text);
    }

    /// Why a guest is refused something by a name that its manifest does not have.
    pub(crate) fn refusal(&self, key: &str, name: &str) -> String {
        not_allowed(key, name, self.hooks.is_in_init)
    }

    /// Adds a line of the host's own to the guest's log.
    pub(crate) fn note(&mut self, text: &str) {
        self.wasi().output.note(text);
    }

    /// Begins a program that is run for one request: what is on its standard input, in its environment beside the function's, and where its
    /// standard output goes.
    pub(crate) fn begin_program(&mut self, stdin: Bytes, env: &[(String, String)], stdout: MemoryOutputPipe) {
        self.wasi = Some(Box::new(Wasi::with(&self.terms, &self.hooks, |ctx| {
            ctx.envs(env).stdin(MemoryInputPipe::new(stdin)).stdout(stdout);
        })));
    }

    fn wasi(&mut self) -> &mut Wasi {
        self.wasi.get_or_insert_with(|| Box::new(Wasi::new(&self.terms, &self.hooks)))
    }
}

fn not_allowed(key: &str, name: &str, is_in_init: bool) -> String {
    if is_in_init {
        return "nothing is kept or read during init; do it when a request comes".to_owned();
    }
    let name: String = name.chars().take(SHOWN_CHARS_MAX).collect();
    format!("{name:?} is not allowed; add it to the function's gust.toml: [allow] {key} = [{name:?}]")
}

/// Before anything of it is gone.
impl Drop for Host {
    fn drop(&mut self) {
        self.hooks.is_gone();
    }
}

/// With the cap on fields it bounds what the host keeps for one guest outside of the guest's own memory.
fn empty_table(limits: &Limits) -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits.handles as usize);
    table
}

impl ResourceLimiter for Host {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let grows = self.memory.memory_grows(current, desired, maximum);
        self.note_growth(grows);
        Ok(grows)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let grows = self.memory.table_grows(current, desired, maximum);
        self.note_growth(grows);
        Ok(grows)
    }
}

impl Host {
    fn note_growth(&self, grows: bool) {
        if grows {
            self.meter().has(self.memory.bytes_peak());
        } else {
            self.meter().reaches(Limit::Memory);
        }
    }
}

impl Wasi {
    /// A context that reaches nothing: no files, no sockets, no names. For an init its random numbers are the function's own.
    fn new(terms: &Terms, hooks: &Hooks) -> Self {
        Self::with(terms, hooks, |_| {})
    }

    /// The same, but for what is changed of it.
    fn with(terms: &Terms, hooks: &Hooks, change: impl FnOnce(&mut WasiCtxBuilder)) -> Self {
        let (request_id, meter) = (hooks.invocation.request_id, hooks.meter.clone());
        let output = Output::new(request_id, terms.sink.clone(), terms.limits.log_bytes(), meter);
        let mut ctx = WasiCtx::builder();
        if hooks.is_in_init {
            let mut random = StdRng::from_seed(terms.seed);
            ctx.insecure_random_seed(random.random()).insecure_random(random.fork()).secure_random(random);
        }
        ctx.envs(&terms.env)
            .stdout(output.stream(OutputStream::Stdout))
            .stderr(output.stream(OutputStream::Stderr))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(RANDOM_BYTES_MAX);
        change(&mut ctx);
        Self { ctx: ctx.build(), output }
    }
}

impl wasmtime_wasi_io::IoView for Host {
    fn table(&mut self) -> &mut ResourceTable {
        self.gives_handle();
        &mut self.table
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.gives_handle();
        let new = || Box::new(Wasi::new(&self.terms, &self.hooks));
        let wasi = self.wasi.get_or_insert_with(new);
        WasiCtxView { ctx: &mut wasi.ctx, table: &mut self.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.gives_handle();
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}
