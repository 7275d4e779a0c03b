//! Requests answered by the engine of gust, as its server does it: lease, call, body, and the instance is gone.

use std::{convert::Infallible, fs, sync::Arc, time::Duration};

use bytes::Bytes;
use gust_core::{Digest, InstanceMode, Limits, Problem, RequestId, RewindPolicy};
use gust_engine::{
    ArtifactCache, Engine, Function, FunctionConfig, Invocation, Lease, OutputSink, OutputStream, Scheme, Settings,
    compile,
};
use http::Request;
use http_body_util::{BodyExt as _, Empty, combinators::MapErr};
use tokio::{runtime::Runtime, time::Instant};

use crate::{Side, component, runtime};

/// Requests answered by gust's engine.
pub struct Hosted {
    name: &'static str,
    path: &'static str,
    runtime: Runtime,
    function: Function,
}

struct NoOutput;

impl OutputSink for NoOutput {
    fn line(&self, _: &RequestId, _: OutputStream, text: String) {
        eprintln!("the guest prints: {text}");
    }
}

impl Hosted {
    /// Compiles and loads an example. `path` is what is asked of it.
    pub fn new(name: &'static str, function: &str, path: &'static str, instance: InstanceMode) -> Self {
        let bytes = fs::read(component(function)).expect("cargo xtask functions builds it");
        let rewind = RewindPolicy::On;
        let settings = Settings { instances_max: 100, memory_bytes_max: 512 << 20, queue_ms: 1000, rewind };
        let engine = Engine::new(settings).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let artifacts = ArtifactCache::open(&engine, dir.path(), &[7; 32]).unwrap();
        let digest = Digest::of(&bytes);
        artifacts.insert(&digest, instance, &compile(&bytes, instance).unwrap()).unwrap();
        let config = FunctionConfig { limits: Limits::default(), env: Vec::new(), sink: Arc::new(NoOutput), instance };
        let function = artifacts.load(&engine, &digest, config).unwrap().unwrap();
        Self { name, path, runtime: runtime(), function }
    }
}

impl Side for Hosted {
    fn name(&self) -> &str {
        self.name
    }

    fn answer(&mut self, requests: u64) {
        self.runtime.block_on(async {
            for request in 0..requests {
                answer(&self.function, self.path, request).await;
            }
        });
    }
}

fn nothing(never: Infallible) -> Problem {
    match never {}
}

type NoBody = MapErr<Empty<Bytes>, fn(Infallible) -> Problem>;

async fn answer(function: &Function, path: &'static str, number: u64) {
    let invocation = Invocation {
        request_id: RequestId::from_random(number.into()),
        deadline: Instant::now() + Duration::from_secs(30),
    };
    let lease = Lease::take(function, invocation).await.unwrap();
    let body: NoBody = Empty::new().map_err(nothing as fn(Infallible) -> Problem);
    let request = Request::builder().uri(path).header("host", "localhost").body(body).unwrap();
    let response = lease.call(Box::new(request), Scheme::Http).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.into_body().collect().await.unwrap().to_bytes().is_empty());
}
