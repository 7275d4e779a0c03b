//! Instances outside of any server, to be spoilt and put back.

use std::sync::{Arc, OnceLock};

use gust_core::{Limits, RewindPolicy};
use wasmtime::{
    Store,
    component::{Component, Instance},
};

use crate::{
    Engine, Invocation, Settings,
    host::{Host, Terms},
    meter::Meter,
    places::Places,
    rewind::{kept::Home, pages::Image, refusal::Unfit},
    rewrite::{self, Rewrite},
    settings::Concurrency,
};

/// What an instance may have.
pub(super) const MEMORY_BYTES_MAX: u64 = 2 << 20;

thread_local! {
    /// Each test has its own, with two slots: small enough for valgrind, which reserves no more than some 32 GiB.
    static ENGINE: Engine = {
        let rewind = RewindPolicy::Checked;
        Engine::new(Settings { instances_max: 1, memory_bytes_max: MEMORY_BYTES_MAX, queue_ms: 0, rewind, has_lane: true }).unwrap()
    };
}

fn engine() -> Engine {
    ENGINE.with(Engine::clone)
}

/// Changes what a call can change: a global and memory in several pages, of which start code has written to one.
pub(super) const CHANGES: &str = r#"(component
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

/// A component, ready to be instantiated. None on a machine where nothing is rewound.
pub(super) struct Bench {
    engine: Engine,
    component: Component,
    pub(super) image: OnceLock<Arc<Image>>,
}

/// An instance of it.
pub(super) struct Made {
    pub(super) store: Store<Host>,
    pub(super) instance: Instance,
}

impl Bench {
    /// Of a component that can be rewound, in the text format.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        let rewritten = rewrite::rewrite(&wat::parse_str(text).unwrap()).unwrap();
        let Rewrite::Rewindable { component, .. } = rewritten else { panic!("it can be rewound") };
        Self::of_rewritten(&component)
    }

    /// Of a component that is rewritten.
    pub(super) fn of_rewritten(component: &[u8]) -> Option<Self> {
        if !engine().can_rewind() {
            eprintln!("nothing is rewound on this machine: {:?}", engine().reset());
            return None;
        }
        Some(Self::on(engine(), component))
    }

    /// Of a component as it is, on an engine of its own.
    pub(super) fn on(engine: Engine, component: &[u8]) -> Self {
        let component = Component::from_binary(engine.wasmtime(), component).unwrap();
        Self { engine, component, image: OnceLock::new() }
    }

    pub(super) async fn make(&self) -> Made {
        self.try_make().await.unwrap()
    }

    /// Makes one whose start code may trap.
    pub(super) async fn try_make(&self) -> wasmtime::Result<Made> {
        let terms = Terms {
            limits: Limits { memory_mib: (MEMORY_BYTES_MAX >> 20) as u32, ..Limits::default() },
            ..Terms::of_test()
        };
        let place = Places::new(1).try_take().unwrap();
        let host = Host::new(&Arc::new(terms), Invocation::of_test(1), &Meter::new(), place);
        let mut store = Store::new(self.engine.wasmtime(), host);
        store.limiter(|host| host);
        store.set_epoch_deadline(1 << 40);
        let pre = self.engine.pool(Concurrency::Off).unwrap().linker().instantiate_pre(&self.component).unwrap();
        let instance = pre.instantiate_async(&mut store).await?;
        Ok(Made { store, instance })
    }

    /// Makes one fit to be put back, and to be compared each time.
    pub(super) async fn prepare(&self, made: &mut Made) -> Home {
        self.prepare_as(made, true).await
    }

    /// Makes one fit to be put back.
    pub(super) async fn prepare_unchecked(&self, made: &mut Made) -> Home {
        self.prepare_as(made, false).await
    }

    async fn prepare_as(&self, made: &mut Made, must_check: bool) -> Home {
        let place = Places::new(1).try_take().unwrap();
        Home::prepare(&self.image, &mut made.store, &made.instance, place, must_check).await.unwrap()
    }
}

impl Made {
    pub(super) async fn call(&mut self, name: &str) {
        self.try_call(name).await.unwrap();
    }

    /// Calls what may trap.
    pub(super) async fn try_call(&mut self, name: &str) -> wasmtime::Result<()> {
        let function = self.instance.get_typed_func::<(), ()>(&mut self.store, name).unwrap();
        function.call_async(&mut self.store, ()).await
    }

    pub(super) async fn sum(&mut self) -> u32 {
        let function = self.instance.get_typed_func::<(), (u32,)>(&mut self.store, "sum").unwrap();
        function.call_async(&mut self.store, ()).await.unwrap().0
    }
}

/// Ends a call that was over at once.
pub(super) async fn put_back(home: &mut Home, made: &mut Made, has_restored: bool) -> Result<(), Unfit> {
    home.end(&mut made.store, has_restored, true).await?;
    home.put_back_memory()
}
