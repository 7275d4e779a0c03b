//! The example functions, rewritten, do all that they did.

use std::sync::Arc;

use wasmtime::{
    Engine, Store,
    component::{Component, Instance, WasmList},
};

use super::{
    CHECK, MEMORY, RESET, Rewrite, SAVE, rewrite, rewritten,
    unbalanced::{example, rewritten_in_vain, unbalanced},
};
use crate::{
    host::{Host, Terms},
    interfaces::{
        self,
        function::{Request, Typed},
    },
    invocation::Invocation,
    meter::Meter,
    places::Places,
    settings::{self, Concurrency},
};

/// The host's own interface, and that of every other host.
const WORLDS: [&str; 2] = ["gust:function/handler", "wasi:http/incoming-handler"];

fn exports(engine: &Engine, component: &Component) -> Vec<String> {
    component.component_type().exports(engine).map(|(name, _)| name.to_owned()).collect()
}

/// An instance of a component, as the host makes them.
async fn instantiate(component: &Component) -> (Store<Host>, Instance) {
    let slot = Places::new(1).try_take().unwrap();
    let host = Host::new(&Arc::new(Terms::of_test()), Invocation::of_test(0), &Meter::new(), slot);
    let mut store = Store::new(component.engine(), host);
    store.set_epoch_deadline(1);
    let linker = interfaces::linker(component.engine(), Concurrency::Off).unwrap();
    let instance = linker.instantiate_async(&mut store, component).await.unwrap();
    (store, instance)
}

async fn run(store: &mut Store<Host>, instance: &Instance, name: &str) {
    let function = instance.get_typed_func::<(), ()>(&mut *store, name).unwrap();
    function.call_async(store, ()).await.unwrap();
}

/// How many globals are not as they were saved.
async fn changed(store: &mut Store<Host>, instance: &Instance) -> u32 {
    let function = instance.get_typed_func::<(), (u32,)>(&mut *store, CHECK).unwrap();
    function.call_async(store, ()).await.unwrap().0
}

async fn reset(store: &mut Store<Host>, instance: &Instance, handles: u32) {
    let function = instance.get_typed_func::<(u32,), ()>(&mut *store, RESET).unwrap();
    function.call_async(store, (handles,)).await.unwrap();
}

async fn memory_base(store: &mut Store<Host>, instance: &Instance) -> *const u8 {
    let function = instance.get_typed_func::<(), (WasmList<u8>,)>(&mut *store, MEMORY).unwrap();
    let (bytes,) = function.call_async(&mut *store, ()).await.unwrap();
    bytes.as_le_slice(&*store).as_ptr()
}

#[tokio::test]
async fn every_example_is_rewritten_and_instantiates() {
    let engine = Engine::new(&settings::compiling(Concurrency::Off)).unwrap();
    for name in ["hello", "image", "markdown", "auth", "hostile", "raw"] {
        let before = example(name);
        let after = rewritten(&before);
        let added = after.len() - before.len();
        assert!(added < 2048, "{name} grew by {added} bytes");
        let component = Component::from_binary(&engine, &after).unwrap();
        let offered = exports(&engine, &component);
        let expected = if name == "raw" { &WORLDS[1..] } else { &WORLDS[..] };
        for world in expected {
            assert!(offered.iter().any(|export| export.starts_with(world)), "{name}: {offered:?}");
        }
        let (mut store, instance) = instantiate(&component).await;
        run(&mut store, &instance, SAVE).await;
        reset(&mut store, &instance, 20).await;
        assert_eq!(changed(&mut store, &instance).await, 0, "{name}");
        assert!(!memory_base(&mut store, &instance).await.is_null());
    }
}

#[tokio::test]
async fn a_rewritten_function_answers_as_before() {
    let engine = Engine::new(&settings::compiling(Concurrency::Off)).unwrap();
    let component = Component::from_binary(&engine, &rewritten(&example("hello"))).unwrap();
    let (mut store, instance) = instantiate(&component).await;
    run(&mut store, &instance, SAVE).await;
    for name in ["Ada", "Grace"] {
        assert_eq!(answer(&mut store, &instance, name).await, format!("Hello, {name}!"));
        reset(&mut store, &instance, 0).await;
    }
}

#[test]
fn every_typed_example_restores_itself() {
    for name in ["hello", "image", "markdown", "auth", "hostile", "raw"] {
        let Rewrite::Rewindable { restores_itself, .. } = rewrite(&example(name)).unwrap() else { panic!("{name}") };
        assert_eq!(restores_itself, name != "raw", "{name}");
    }
}

#[tokio::test]
async fn a_typed_call_leaves_every_global_as_it_was_saved() {
    let (hello, unbalanced) = (example("hello"), unbalanced("hello"));
    for component in [rewritten(&hello), rewritten(&unbalanced)] {
        assert_eq!(changed_by_calls(&component).await, [0, 0]);
    }
    let in_vain = rewritten_in_vain(&unbalanced);
    assert_eq!(changed_by_calls(&in_vain).await, [1, 1], "if not so, this shows nothing");
}

/// How many globals each of two typed calls leaves other than they were saved.
async fn changed_by_calls(component: &[u8]) -> [u32; 2] {
    let engine = Engine::new(&settings::compiling(Concurrency::Off)).unwrap();
    let (mut store, instance) = instantiate(&Component::from_binary(&engine, component).unwrap()).await;
    run(&mut store, &instance, SAVE).await;
    assert_eq!(changed(&mut store, &instance).await, 0);
    let mut after = [0, 0];
    for (name, changed_by_call) in ["Ada", "Grace"].into_iter().zip(&mut after) {
        assert_eq!(answer(&mut store, &instance, name).await, format!("Hello, {name}!"));
        *changed_by_call = changed(&mut store, &instance).await;
    }
    after
}

/// What the example answers through its typed handler.
async fn answer(store: &mut Store<Host>, instance: &Instance, name: &str) -> String {
    let typed = Typed::new(&mut *store, instance).unwrap();
    let path = format!("/?name={name}");
    let request =
        Request { method: "GET", scheme: "http", authority: "localhost", path: &path, headers: &[], body: &[] };
    let response = typed.gust_function_handler().call_handle(store, request).await.unwrap().unwrap();
    String::from_utf8(response.body).unwrap()
}
