//! Requests answered by the engine of gust, as its server does it: lease, call, body, and the instance is gone.

use std::{convert::Infallible, fs, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use gust_core::{Digest, InstanceMode, Limits, Problem, RequestId, RewindPolicy, Tier};
use gust_engine::{
    ArtifactCache, ArtifactKey, Engine, Function, FunctionConfig, Invocation, Lease, Meter, OutputSink, OutputStream,
    Scheme, Settings, Share, compile,
};
use http::Request;
use http_body_util::{BodyExt as _, Empty, combinators::MapErr};
use tokio::{runtime::Runtime, time::Instant};

use crate::{Side, component, runtime};

/// Requests answered by gust's engine.
pub struct Hosted {
    name: &'static str,
    path: String,
    runtime: Runtime,
    function: Function,
    is_answered: bool,
}

struct NoOutput;

impl OutputSink for NoOutput {
    fn line(&self, _: &RequestId, _: OutputStream, text: String) {
        std::hint::black_box(text);
    }
}

impl Hosted {
    /// Compiles and loads an example. `path` is what is asked of it.
    pub fn new(name: &'static str, function: &str, path: &str, instance: InstanceMode) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::open(name, function, path, instance, &Pool { instances_max: 100, artifacts: dir.path() })
    }

    /// The same, with requests that are answered or that all fail.
    pub fn answered(self, is_answered: bool) -> Self {
        Self { is_answered, ..self }
    }

    /// The same in a pool of some size, with what was compiled before.
    pub fn open(name: &'static str, function: &str, path: &str, instance: InstanceMode, pool: &Pool) -> Self {
        let bytes = fs::read(component(function)).expect("cargo xtask functions builds it");
        let Pool { instances_max, artifacts } = *pool;
        let settings = Settings {
            instances_max,
            memory_bytes_max: 512 << 20,
            queue_ms: 1000,
            rewind: RewindPolicy::On,
            has_lane: false,
        };
        let engine = Engine::new(settings).unwrap();
        let artifacts = ArtifactCache::open(&engine, artifacts, &[7; 32]).unwrap();
        let (key, tier) = (ArtifactKey { digest: Digest::of(&bytes), mode: instance }, Tier::Optimised);
        let load = || {
            let sink = Arc::new(NoOutput);
            let (limits, env, config) = (Limits::default(), Vec::new(), Vec::new());
            let config = FunctionConfig {
                limits,
                env,
                config,
                sink,
                outbound: None,
                state: None,
                instance,
                is_cgi: false,
                share: Share::new(Share::WEIGHT_DEFAULT),
            };
            artifacts.load(&engine, &key, &config).unwrap()
        };
        let function = load().unwrap_or_else(|| {
            artifacts.insert(&key, tier, &compile(&bytes, instance, tier).unwrap()).unwrap();
            load().unwrap()
        });
        Self { name, path: path.to_owned(), runtime: runtime(), function, is_answered: true }
    }

    /// Whether instances are put back, as the host has decided by now.
    pub fn is_rewound(&self) -> bool {
        self.function.instance_state().mode == InstanceMode::Rewind
    }
}

/// How large an engine is, and where what it compiles is kept.
pub struct Pool<'a> {
    /// Instances alive at the same time.
    pub instances_max: u32,
    /// A directory.
    pub artifacts: &'a Path,
}

impl Side for Hosted {
    fn name(&self) -> &str {
        self.name
    }

    fn answer(&mut self, requests: u64) {
        self.runtime.block_on(async {
            for request in 0..requests {
                let answered = answer(&self.function, &self.path, request).await;
                assert_eq!(answered, self.is_answered);
            }
        });
    }
}

fn nothing(never: Infallible) -> Problem {
    match never {}
}

type NoBody = MapErr<Empty<Bytes>, fn(Infallible) -> Problem>;

/// Whether the guest answered.
async fn answer(function: &Function, path: &str, number: u64) -> bool {
    let invocation = Invocation {
        request_id: RequestId::from_random(number.into()),
        deadline: Instant::now() + Duration::from_secs(30),
        depth: 0,
        along: None,
    };
    let lease = Lease::take(function, &invocation, &Meter::new()).await.unwrap();
    let body: NoBody = Empty::new().map_err(nothing as fn(Infallible) -> Problem);
    let request = Request::builder().uri(path).header("host", "localhost").body(body).unwrap();
    let Ok(response) = lease.call(Box::new(request), Scheme::Http).await else { return false };
    assert_eq!(response.status(), 200);
    !response.into_body().collect().await.unwrap().to_bytes().is_empty()
}
