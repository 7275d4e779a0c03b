//! No lock-in: a component of the SDK also answers under plain wasmtime with nothing but `wasi:http` 0.2, as it does under
//! `wasmtime serve`, Spin or wasmCloud.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tokio::{sync::oneshot, time};
use wasmtime::{
    Config, Engine, Store,
    component::{Component, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
    p2::bindings::{ProxyPre, http::types::Scheme},
};

/// The longest that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: NothingOut,
    config: WasiConfigVariables,
}

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
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

/// Another host: wasmtime as it comes.
struct OtherHost {
    engine: Engine,
    proxy: ProxyPre<State>,
}

/// What came back, piece by piece.
struct Answer {
    head: http::response::Parts,
    pieces: Vec<Bytes>,
}

impl OtherHost {
    fn load(function: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/functions/{function}.wasm"));
        assert!(path.exists(), "{} is missing; build it with: cargo xtask functions", path.display());
        let engine = Engine::new(&Config::new()).unwrap();
        let component = Component::from_file(&engine, path).unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
        // As `wasmtime serve -S config` does: one of the functions asks for its configuration.
        wasmtime_wasi_config::add_to_linker(&mut linker, |state: &mut State| WasiConfig::new(&state.config)).unwrap();
        let proxy = ProxyPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        Self { engine, proxy }
    }

    async fn call(&self, request: Request<&'static str>) -> Answer {
        let (table, wasi, http) = (ResourceTable::new(), WasiCtx::builder().build(), WasiHttpCtx::new());
        let mut store = Store::new(
            &self.engine,
            State { table, wasi, http, hooks: NothingOut, config: WasiConfigVariables::default() },
        );
        let (sender, receiver) = oneshot::channel();
        let body = |text: &'static str| Full::new(Bytes::from(text)).map_err(|never| -> Error { match never {} });
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request.map(body)).unwrap();
        let out = store.data_mut().http().new_response_outparam(sender).unwrap();
        let proxy = self.proxy.instantiate_async(&mut store).await.unwrap();
        let guest = tokio::spawn(async move {
            proxy.wasi_http_incoming_handler().call_handle(&mut store, request, out).await.unwrap();
        });
        let (head, mut body) = receiver.await.unwrap().unwrap().into_parts();
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            pieces.extend(frame.unwrap().into_data());
        }
        guest.await.unwrap();
        Answer { head, pieces }
    }
}

#[tokio::test]
async fn hello_answers_on_any_host_of_wasi_http() {
    let host = OtherHost::load("hello");
    let answer = host.call(Request::get("http://localhost/?name=Ada").body("").unwrap()).await;
    assert_eq!((answer.head.status.as_u16(), answer.pieces.concat().as_slice()), (200, b"Hello, Ada!".as_slice()));
}

#[tokio::test]
async fn bodies_go_both_ways() {
    let host = OtherHost::load("markdown");
    let request =
        Request::post("http://localhost/").header("content-type", "text/markdown").body("# Hi *you*").unwrap();
    let answer = host.call(request).await;
    assert_eq!(answer.head.status.as_u16(), 200);
    assert_eq!(answer.pieces.concat().trim_ascii(), b"<h1>Hi <em>you</em></h1>");
}

#[tokio::test]
async fn an_init_runs_though_nobody_asks_for_it() {
    let host = OtherHost::load("ready");
    let answer = host.call(Request::get("http://localhost/").body("").unwrap()).await;
    assert_eq!(answer.pieces.concat(), b"made, 1 inits, 1 requests");
}

#[tokio::test]
async fn a_large_answer_comes_in_pieces_that_the_host_permits() {
    let host = OtherHost::load("hostile");
    let request = Request::get("http://localhost/big?n=8388608").body("").unwrap();
    let answer = time::timeout(PATIENCE, host.call(request)).await.unwrap();
    let bytes: usize = answer.pieces.iter().map(Bytes::len).sum();
    let largest = answer.pieces.iter().map(Bytes::len).max().unwrap();
    assert_eq!(bytes, 8 << 20);
    assert!(largest <= 1 << 20, "a piece of {largest} bytes stood in the host's memory");
}
