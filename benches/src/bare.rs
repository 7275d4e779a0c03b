//! The same requests on bare wasmtime: a store, an instance, a call, and both are dropped. No limits, no deadline, no
//! accounting; the WASI context is made only when a guest asks for it, as gust does it.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use tokio::{runtime::Runtime, sync::oneshot};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    component::{Component, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
    p2::bindings::{ProxyPre, http::types::Scheme},
};

use crate::{Side, component, runtime};

mod typed {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "function",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

use typed::{FunctionPre, exports::gust::function::handler};

/// How wasmtime is set up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Settings {
    /// As gust sets it up.
    SameAsGust,
    /// The pooling allocator and nothing else.
    PoolingDefaults,
}

/// Requests on bare wasmtime.
pub struct Bare {
    name: &'static str,
    path: &'static str,
    runtime: Runtime,
    engine: Engine,
    callee: Callee,
    /// Ends the epoch's thread.
    over: Arc<AtomicBool>,
}

enum Callee {
    Typed(FunctionPre<State>),
    WasiHttp(ProxyPre<State>),
}

/// Which export is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// `gust:function/handler`.
    Typed,
    /// `wasi:http/incoming-handler`.
    WasiHttp,
}

#[derive(Default)]
struct State {
    table: ResourceTable,
    wasi: Option<Box<WasiCtx>>,
    http: WasiHttpCtx,
    hooks: NothingOut,
}

/// Refuses requests to elsewhere.
#[derive(Default)]
struct NothingOut;

type Done = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for NothingOut {
    fn send_request(
        &mut self,
        _: Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Done,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Done), Error>> + Send> {
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(|| Box::new(WasiCtx::builder().build()));
        WasiCtxView { ctx: wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

fn config(settings: Settings) -> Config {
    let mut pool = PoolingAllocationConfig::default();
    let mut config = Config::new();
    if settings == Settings::SameAsGust {
        pool.total_component_instances(100)
            .total_core_instances(500)
            .total_memories(100)
            .total_tables(300)
            .total_stacks(100)
            .max_memory_size(512 << 20)
            .max_unused_warm_slots(100)
            .table_elements(100_000);
        if PoolingAllocationConfig::is_pagemap_scan_available() {
            pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(1 << 20).table_keep_resident(64 << 10);
        }
        config.concurrency_support(false).epoch_interruption(true).native_unwind_info(false);
    }
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

impl Bare {
    /// Compiles an example. `path` is what is asked of it.
    pub fn new(name: &'static str, function: &str, path: &'static str, world: World, settings: Settings) -> Self {
        let engine = Engine::new(&config(settings)).unwrap();
        let bytes = fs::read(component(function)).expect("cargo xtask functions builds it");
        let compiled = Component::new(&engine, bytes).unwrap();
        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
        let pre = linker.instantiate_pre(&compiled).unwrap();
        let callee = match world {
            World::Typed => Callee::Typed(FunctionPre::new(pre).unwrap()),
            World::WasiHttp => Callee::WasiHttp(ProxyPre::new(pre).unwrap()),
        };
        let over = Arc::new(AtomicBool::new(false));
        if settings == Settings::SameAsGust {
            tick(engine.clone(), over.clone());
        }
        Self { name, path, runtime: runtime(), engine, callee, over }
    }

    fn store(&self) -> Store<State> {
        let mut store = Store::new(&self.engine, State::default());
        store.epoch_deadline_async_yield_and_update(1);
        store.set_epoch_deadline(1);
        store
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn tick(engine: Engine, over: Arc<AtomicBool>) {
    thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(5));
            engine.increment_epoch();
        }
    });
}

impl Side for Bare {
    fn name(&self) -> &str {
        self.name
    }

    fn answer(&mut self, requests: u64) {
        self.runtime.block_on(async {
            for _ in 0..requests {
                match &self.callee {
                    Callee::Typed(pre) => answer_typed(self.store(), pre, self.path).await,
                    Callee::WasiHttp(pre) => answer_wasi_http(self.store(), pre, self.path).await,
                }
            }
        });
    }
}

async fn answer_typed(mut store: Store<State>, pre: &FunctionPre<State>, path: &str) {
    let instance = pre.instantiate_async(&mut store).await.unwrap();
    let headers: [(&str, &[u8]); 1] = [("host", b"localhost")];
    let request =
        handler::Request { method: "GET", scheme: "http", authority: "localhost", path, headers: &headers, body: &[] };
    let response = instance.gust_function_handler().call_handle(&mut store, request).await.unwrap().unwrap();
    assert_eq!(response.status, 200);
    assert!(!response.body.is_empty());
}

async fn answer_wasi_http(mut store: Store<State>, pre: &ProxyPre<State>, path: &'static str) {
    let (sender, mut receiver) = oneshot::channel();
    let body = Empty::<Bytes>::new().map_err(|never| -> Error { match never {} });
    let request = Request::builder().uri(path).header("host", "localhost").body(body).unwrap();
    let request = store.data_mut().http().new_incoming_request(Scheme::Http, request).unwrap();
    let out = store.data_mut().http().new_response_outparam(sender).unwrap();
    let instance = pre.instantiate_async(&mut store).await.unwrap();
    instance.wasi_http_incoming_handler().call_handle(&mut store, request, out).await.unwrap();
    let response = receiver.try_recv().unwrap().unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.into_body().collect().await.unwrap().to_bytes().is_empty());
}
