//! What is left behind on purpose is found, and what is put back is put back.

use std::sync::{Arc, OnceLock};

use gust_core::{RequestId, RewindPolicy};
use wasmtime::{
    Store,
    component::{Component, Instance},
};

use crate::{
    Engine, OutputSink, OutputStream, Settings,
    host::{Host, Terms},
    places::Places,
    rewind::{
        kept::Home,
        pages::Image,
        refusal::{Refusal, Unfit},
    },
    rewrite::{self, Rewrite},
};

/// Changes what a call can change: a global and memory in several pages, of which start code has written to one.
const CHANGES: &str = r#"(component
    (core module $m
        (memory (export "memory") 4)
        (global $g (mut i32) (i32.const 7))
        (data (i32.const 66000) "the component's own")
        (func $start (i32.store (i32.const 1024) (i32.const 5)) (global.set $g (i32.const 9)))
        (start $start)
        (func (export "change")
            (global.set $g (i32.add (global.get $g) (i32.const 1)))
            (i32.store (i32.const 1024) (i32.const 0))
            (i32.store (i32.const 66000) (i32.const 1))
            (memory.fill (i32.const 131072) (i32.const 0xaa) (i32.const 65536)))
        (func (export "grow") (drop (memory.grow (i32.const 1))))
        (func (export "sum") (result i32)
            (i32.add (global.get $g) (i32.add (i32.load (i32.const 1024))
                (i32.add (i32.load (i32.const 66000)) (i32.load (i32.const 150000)))))))
    (core instance $i (instantiate $m))
    (func (export "change") (canon lift (core func $i "change")))
    (func (export "grow") (canon lift (core func $i "grow")))
    (func (export "sum") (result u32) (canon lift (core func $i "sum"))))"#;

struct Silent;

impl OutputSink for Silent {
    fn line(&self, _: &RequestId, _: OutputStream, _: String) {}
}

/// An engine with the component on it. None on a machine where nothing is rewound.
struct Bench {
    engine: Engine,
    component: Component,
    image: OnceLock<Arc<Image>>,
}

struct Made {
    store: Store<Host>,
    instance: Instance,
}

impl Bench {
    fn new() -> Option<Self> {
        let settings =
            Settings { instances_max: 4, memory_bytes_max: 1 << 20, queue_ms: 0, rewind: RewindPolicy::Checked };
        let engine = Engine::new(settings).unwrap();
        if !engine.can_rewind() {
            eprintln!("nothing is rewound on this machine: {:?}", engine.reset());
            return None;
        }
        let Rewrite::Rewindable { component, .. } = rewrite::rewrite(&wat::parse_str(CHANGES).unwrap()).unwrap() else {
            panic!("it can be rewound");
        };
        let component = Component::from_binary(engine.wasmtime(), &component).unwrap();
        Some(Self { engine, component, image: OnceLock::new() })
    }

    async fn make(&self) -> Made {
        let terms = Terms {
            env: Vec::new(),
            log_bytes_max: 0,
            memory_bytes_max: 1 << 20,
            response_bytes_max: 0,
            seed: [7; 32],
            sink: Arc::new(Silent),
        };
        let place = Places::new(1).try_take().unwrap();
        let host = Host::new(&Arc::new(terms), RequestId::from_random(1), place);
        let mut store = Store::new(self.engine.wasmtime(), host);
        store.limiter(|host| &mut host.memory);
        store.set_epoch_deadline(1 << 40);
        let pre = self.engine.linker().instantiate_pre(&self.component).unwrap();
        let instance = pre.instantiate_async(&mut store).await.unwrap();
        Made { store, instance }
    }

    async fn prepare(&self, made: &mut Made) -> Home {
        let place = Places::new(1).try_take().unwrap();
        Home::prepare(&self.image, &mut made.store, &made.instance, place, true).await.unwrap()
    }
}

impl Made {
    async fn call(&mut self, name: &str) {
        let function = self.instance.get_typed_func::<(), ()>(&mut self.store, name).unwrap();
        function.call_async(&mut self.store, ()).await.unwrap();
    }

    async fn sum(&mut self) -> u32 {
        let function = self.instance.get_typed_func::<(), (u32,)>(&mut self.store, "sum").unwrap();
        function.call_async(&mut self.store, ()).await.unwrap().0
    }
}

/// Ends a call that was over at once.
async fn put_back(home: &mut Home, made: &mut Made, has_restored: bool) -> Result<(), Unfit> {
    home.end(&mut made.store, has_restored, true).await?;
    home.put_back_memory()
}

fn refusal(unfit: Unfit) -> Refusal {
    unfit.told("in a test")
}

#[tokio::test]
async fn a_used_instance_is_as_it_began() {
    let Some(bench) = Bench::new() else { return };
    let (mut first, mut second) = (bench.make().await, bench.make().await);
    let expected = first.sum().await;
    for made in [&mut first, &mut second] {
        let mut home = bench.prepare(made).await;
        for _ in 0..20 {
            assert_eq!(made.sum().await, expected);
            made.call("change").await;
            assert_ne!(made.sum().await, expected);
            put_back(&mut home, made, false).await.unwrap();
        }
        assert_eq!(made.sum().await, expected);
    }
}

#[tokio::test]
async fn a_page_that_is_written_late_is_put_back_too() {
    let Some(bench) = Bench::new() else { return };
    let mut made = bench.make().await;
    let mut home = bench.prepare(&mut made).await;
    for _ in 0..3 {
        made.sum().await;
        put_back(&mut home, &mut made, false).await.unwrap();
    }
    let few = home.private_pages();
    // By now the pages that are written are known, and these are others.
    made.call("change").await;
    put_back(&mut home, &mut made, false).await.unwrap();
    assert!(few < 4 && home.private_pages() >= 17, "{few}");
}

#[tokio::test]
async fn pages_that_are_not_written_any_more_are_given_up() {
    let Some(bench) = Bench::new() else { return };
    let mut made = bench.make().await;
    let mut home = bench.prepare(&mut made).await;
    made.call("change").await;
    for _ in 0..200 {
        put_back(&mut home, &mut made, false).await.unwrap();
        made.sum().await;
    }
    assert!(home.private_pages() < 4);
    // Those that are written each time stay.
    for _ in 0..200 {
        made.call("change").await;
        put_back(&mut home, &mut made, false).await.unwrap();
    }
    assert!(home.private_pages() >= 17);
}

#[tokio::test]
async fn a_page_that_is_left_behind_is_found() {
    let Some(bench) = Bench::new() else { return };
    let mut made = bench.make().await;
    let mut home = bench.prepare(&mut made).await;
    made.call("change").await;
    put_back(&mut home, &mut made, false).await.unwrap();
    home.check_memory().unwrap();
    for at in [0, 1024, 66_000, 4 * 65_536 - 1] {
        home.plant(at);
        assert_eq!(refusal(home.check_memory().unwrap_err()), Refusal::Inexact, "at {at}");
        put_back(&mut home, &mut made, false).await.unwrap();
    }
}

#[tokio::test]
async fn a_global_that_is_left_behind_is_found() {
    let Some(bench) = Bench::new() else { return };
    let mut made = bench.make().await;
    let mut home = bench.prepare(&mut made).await;
    made.call("change").await;
    // As if the call had put it back itself, which it has not.
    let unfit = put_back(&mut home, &mut made, true).await.unwrap_err();
    assert_eq!(refusal(unfit), Refusal::Inexact);
}

#[tokio::test]
async fn a_handle_that_is_left_behind_is_found() {
    let Some(bench) = Bench::new() else { return };
    let mut made = bench.make().await;
    let mut home = bench.prepare(&mut made).await;
    let handle = wasmtime_wasi_io::IoView::table(made.store.data_mut()).push(()).unwrap();
    assert_eq!(refusal(put_back(&mut home, &mut made, false).await.unwrap_err()), Refusal::Handles);
    wasmtime_wasi_io::IoView::table(made.store.data_mut()).delete(handle).unwrap();
    put_back(&mut home, &mut made, false).await.unwrap();
}

#[tokio::test]
async fn a_memory_that_grew_is_not_put_back() {
    let Some(bench) = Bench::new() else { return };
    let mut made = bench.make().await;
    let mut home = bench.prepare(&mut made).await;
    made.call("grow").await;
    assert_eq!(refusal(put_back(&mut home, &mut made, false).await.unwrap_err()), Refusal::Grew);
}

#[tokio::test]
async fn an_instance_that_begins_otherwise_is_not_kept() {
    let Some(bench) = Bench::new() else { return };
    bench.prepare(&mut bench.make().await).await;
    let mut other = bench.make().await;
    other.call("change").await;
    let place = Places::new(1).try_take().unwrap();
    let prepared = Home::prepare(&bench.image, &mut other.store, &other.instance, place, true).await;
    assert_eq!(refusal(prepared.err().unwrap()), Refusal::StatesDiffer);
}
