//! An engine outside of any server, and what it takes to have a component go the way of a deploy and of a request.

use std::{path::Path, sync::Arc, time::Duration};

use ::http::{Request, Response, header};
use bytes::Bytes;
use gust_core::{Code, Digest, InstanceMode, Limits, Problem, RequestId, RewindPolicy, Source, Tier};
use gust_engine::{
    ArtifactCache, ArtifactKey, Engine, Function, FunctionConfig, Invocation, Lease, Meter, OutputSink, OutputStream,
    Scheme, Settings, Share,
};
use http_body_util::{BodyExt as _, Full};
use tempfile::TempDir;
use tokio::{runtime, time::Instant};

/// Instances alive at the same time.
const INSTANCES_MAX: u32 = 4;

/// The most memory of an instance, in MiB.
pub(crate) const MEMORY_MIB_MAX: u32 = 4;

/// How long an instance may take to be made at a deploy.
const PROBE_WALL: Duration = Duration::from_secs(2);

/// An engine, and a thread that calls.
pub(crate) struct Bench {
    runtime: runtime::Runtime,
    engine: Engine,
}

impl Bench {
    /// One that compares each instance that it puts back with what it was.
    pub(crate) fn new() -> Self {
        Self { runtime: runtime(), engine: engine() }
    }

    /// Compiles, loads and tries a component, as a deploy does.
    pub(crate) fn deploy(&self, component: &[u8], limits: &Limits) -> Result<Function, Problem> {
        let dir = scratch();
        let artifacts = ArtifactCache::open(&self.engine, dir.path(), b"a key").unwrap();
        let mode = artifacts.mode(&self.engine, InstanceMode::Rewind);
        let key = ArtifactKey { digest: Digest::of(component), mode };
        let code = gust_engine::compile(component, mode, Tier::Quick)?;
        artifacts.insert(&key, Tier::Quick, &code).unwrap();
        // What is loaded stays when the directory is gone.
        let function = artifacts.load(&self.engine, &key, &config(limits))?.expect("it was made just now");
        self.runtime.block_on(Lease::probe(&function, PROBE_WALL))?;
        Ok(function)
    }

    /// Sends a request with this body and reads the answer.
    pub(crate) fn call(&self, function: &Function, body: &[u8]) -> Result<Response<Bytes>, Problem> {
        self.runtime.block_on(call(function, body))
    }
}

/// A small engine.
pub(crate) fn engine() -> Engine {
    let memory_bytes_max = u64::from(MEMORY_MIB_MAX) << 20;
    let (rewind, queue_ms) = (RewindPolicy::Checked, 1000);
    Engine::new(Settings { instances_max: INSTANCES_MAX, memory_bytes_max, queue_ms, rewind, has_lane: true }).unwrap()
}

/// What calls functions.
pub(crate) fn runtime() -> runtime::Runtime {
    runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// What a function is loaded with that has these limits and nothing else.
pub(crate) fn config(limits: &Limits) -> FunctionConfig {
    FunctionConfig {
        limits: limits.clone(),
        env: Vec::new(),
        config: Vec::new(),
        sink: Arc::new(Nowhere),
        outbound: None,
        state: None,
        instance: InstanceMode::Rewind,
        is_cgi: false,
        share: Share::new(Share::WEIGHT_DEFAULT),
    }
}

/// Sends a request with this body and reads the answer.
pub(crate) async fn call(function: &Function, body: &[u8]) -> Result<Response<Bytes>, Problem> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let invocation = Invocation { request_id: RequestId::from_random(0), deadline, depth: 0, along: None };
    let lease = Lease::take(function, &invocation, &Meter::new()).await?;
    let body = Full::new(Bytes::copy_from_slice(body)).map_err(|never| match never {});
    let request = Request::post("/").header(header::HOST, "fuzz.test").body(body).unwrap();
    let (parts, body) = lease.call(Box::new(request), Scheme::Http).await?.into_parts();
    Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
}

/// A directory for what is made and thrown away many times a second: in memory, where there is such a place.
pub(crate) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// Panics where a guest's failure is told as anybody else's.
pub(crate) fn must_be_the_guests(problem: &Problem) {
    let is_verdict = problem.code == Code::GuestBadRequest;
    assert!(is_verdict || problem.code.source() == Source::Guest, "{problem}: {:?}", problem.internal);
}

/// Panics where an instance was not put back exactly, or not for a reason that lies with the guest.
pub(crate) fn must_be_exact(function: &Function) {
    let reason = function.instance_state().reason.unwrap_or_default();
    for fault in ["please report this", "the host's log has the cause", "do not all begin in the same state"] {
        assert!(!reason.contains(fault), "{reason}");
    }
}

/// Where what guests print goes.
struct Nowhere;

impl OutputSink for Nowhere {
    fn line(&self, _: &RequestId, _: OutputStream, _: String) {}
}
