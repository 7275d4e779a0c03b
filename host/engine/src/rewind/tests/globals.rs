//! Globals are put back once after each request: by the component's own handler at its end, else by the host.
//!
//! Each function here leaves a global other than it was, and each host compares the whole instance after each request. So a
//! function stays rewound only where its globals were put back.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use gust_core::{Digest, InstanceMode, InstanceState, Limits, Problem, RequestId, RewindPolicy, Tier};
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use wasmtime::component::Component;

use crate::rewind::Refusal;
use crate::{
    ArtifactCache, ArtifactKey, Engine, Function, FunctionConfig, Invocation, Lease, Meter, OutputSink, OutputStream,
    Scheme, Settings, Share, compile,
    rewrite::tests::unbalanced::{rewritten_in_vain, unbalanced},
    settings::{self, Concurrency},
    verdict::Verdict,
};

/// So many that a function whose instances were all dropped, for whatever reason, would no longer be rewound.
const REQUESTS: u128 = 20;

struct Silent;

impl OutputSink for Silent {
    fn line(&self, _: &RequestId, _: OutputStream, _: String) {}
}

/// Loads an artifact as a function of a host that compares.
pub(super) fn loaded(artifact: &[u8]) -> Function {
    let rewind = RewindPolicy::Checked;
    let settings = Settings { instances_max: 2, memory_bytes_max: 64 << 20, queue_ms: 1000, rewind, has_lane: true };
    let engine = Engine::new(settings).unwrap();
    let (dir, instance) = (tempfile::tempdir().unwrap(), InstanceMode::Rewind);
    let artifacts = ArtifactCache::open(&engine, dir.path(), &[7; 32]).unwrap();
    let key = ArtifactKey { digest: Digest::of(artifact), mode: instance };
    artifacts.insert(&key, Tier::Quick, artifact).unwrap();
    let (env, config) = (Vec::new(), Vec::new());
    let sink = Arc::new(Silent);
    let config = FunctionConfig {
        limits: Limits::default(),
        env,
        config,
        sink,
        outbound: None,
        state: None,
        instance,
        is_cgi: false,
        share: Share::new(Share::WEIGHT_DEFAULT),
    };
    artifacts.load(&engine, &key, &config).unwrap().unwrap()
}

/// An artifact of a component that does not restore itself, and of which this is said.
fn said_to_restore_itself(unbalanced: &[u8], restores_itself: bool) -> Vec<u8> {
    let engine = wasmtime::Engine::new(&settings::compiling(Concurrency::Off)).unwrap();
    let component = Component::from_binary(&engine, &rewritten_in_vain(unbalanced)).unwrap();
    let mut artifact = component.serialize().unwrap();
    Verdict::Rewindable { restores_itself }.append(&mut artifact);
    artifact
}

/// What is made of a function's instances after some requests.
async fn state_after_requests(artifact: &[u8], path: &str) -> InstanceState {
    let function = loaded(artifact);
    for number in 0..REQUESTS {
        call(&function, number, path).await;
    }
    function.instance_state()
}

/// One request, answered in full.
pub(super) async fn call(function: &Function, number: u128, path: &str) {
    let lease = Lease::take(function, &Invocation::of_test(number), &Meter::new()).await.unwrap();
    let body = Empty::<Bytes>::new().map_err(|never: Infallible| -> Problem { match never {} });
    let request = Request::builder().uri(path).header("host", "localhost").body(body).unwrap();
    let response = lease.call(Box::new(request), Scheme::Http).await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.into_body().collect().await.unwrap();
}

#[tokio::test]
async fn a_handler_that_restores_globals_at_its_end_is_enough() {
    let artifact = compile(&unbalanced("hello"), InstanceMode::Rewind, Tier::Quick).unwrap();
    assert_eq!(Verdict::of(&artifact), Some(Verdict::Rewindable { restores_itself: true }));
    assert_eq!(state_after_requests(&artifact, "/?name=Ada").await, InstanceState::rewound());
}

#[tokio::test]
async fn the_host_restores_globals_where_the_handler_does_not() {
    let artifact = said_to_restore_itself(&unbalanced("hello"), false);
    assert_eq!(state_after_requests(&artifact, "/?name=Ada").await, InstanceState::rewound());
}

#[tokio::test]
async fn the_host_does_not_do_it_once_more() {
    let artifact = said_to_restore_itself(&unbalanced("hello"), true);
    let refused = InstanceState::fresh(Refusal::Inexact.to_string());
    assert_eq!(state_after_requests(&artifact, "/?name=Ada").await, refused, "nobody put the globals back");
}

#[tokio::test]
async fn handles_are_put_in_order_by_the_host_all_the_same() {
    let artifact = said_to_restore_itself(&unbalanced("hostile"), true);
    let refused = InstanceState::fresh(Refusal::Inexact.to_string());
    assert_eq!(state_after_requests(&artifact, "/state").await, refused, "no handle, and nobody put the globals back");
    // To sleep takes a handle, and what puts the handles in order restores the globals too.
    assert_eq!(state_after_requests(&artifact, "/sleep?n=1").await, InstanceState::rewound());
}
