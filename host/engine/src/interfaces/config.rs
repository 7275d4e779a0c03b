//! `wasi:config`: what the [function was configured](crate::configuration) with.

use wasmtime::component::Linker;
use wasmtime_wasi_config::WasiConfig;

use crate::host::Host;

/// The interfaces of this module.
pub(super) const INTERFACES: &[&str] = &["wasi:config/store"];

/// The only release of `wasi:config` that is spoken. It is not one of WASI's own, and its releases are not compatible yet.
pub(super) const VERSION: &str = "0.2.0-rc.1";

/// Adds them.
pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    wasmtime_wasi_config::add_to_linker(linker, |host| WasiConfig::new(host.config()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gust_core::RewindPolicy;
    use wasmtime::{
        Store,
        component::{Component, Instance, Val},
    };

    use super::*;
    use crate::{
        Engine, Invocation, Meter, Settings, configuration::Configuration, host::Terms, places::Places,
        settings::Concurrency,
    };

    /// Passes on what it is asked.
    const ASKS: &str = r#"(component
        (import "wasi:config/store@0.2.0-rc.1" (instance $store
            (type $error (variant (case "upstream" string) (case "io" string)))
            (export "error" (type $e (eq $error)))
            (export "get" (func (param "key" string) (result (result (option string) (error $e)))))))
        (core module $memory
            (memory (export "memory") 1)
            (global $free (mut i32) (i32.const 1024))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $free)
                (global.set $free (i32.add (global.get $free) (local.get 3)))))
        (core instance $m (instantiate $memory))
        (core func $get (canon lower (func $store "get") (memory $m "memory") (realloc (func $m "realloc"))))
        (core module $asking
            (import "" "get" (func $get (param i32 i32 i32)))
            (func (export "get") (param i32 i32) (result i32)
                (call $get (local.get 0) (local.get 1) (i32.const 16))
                (i32.const 16)))
        (core instance $asks (instantiate $asking (with "" (instance (export "get" (func $get))))))
        (alias export $store "error" (type $e))
        (func (export "get") (param "key" string) (result (result (option string) (error $e)))
            (canon lift (core func $asks "get") (memory $m "memory") (realloc (func $m "realloc")))))"#;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    async fn instance(store: &mut Store<Host>, engine: &Engine) -> Instance {
        let component = Component::new(engine.wasmtime(), wat::parse_str(ASKS).unwrap()).unwrap();
        store.set_epoch_deadline(1 << 40);
        let pre = engine.pool(Concurrency::Off).unwrap().linker().instantiate_pre(&component).unwrap();
        pre.instantiate_async(store).await.unwrap()
    }

    /// What a guest is told.
    async fn told(store: &mut Store<Host>, instance: &Instance, name: &str) -> Option<String> {
        let get = instance.get_func(&mut *store, "get").unwrap();
        let mut told = [Val::Bool(false)];
        get.call_async(&mut *store, &[Val::String(name.to_owned())], &mut told).await.unwrap();
        match told {
            [Val::Result(Ok(Some(told)))] => match *told {
                Val::Option(Some(value)) => match *value {
                    Val::String(value) => Some(value),
                    other => panic!("{other:?}"),
                },
                Val::Option(None) => None,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_guest_is_told_the_environment_and_the_configuration() {
        let rewind = RewindPolicy::Off;
        let settings = Settings { instances_max: 1, memory_bytes_max: 1 << 20, queue_ms: 0, rewind, has_lane: true };
        let engine = Engine::new(settings).unwrap();
        let terms = Terms {
            env: pairs(&[("GREETING", "hi"), ("LEVEL", "low")]),
            config: Arc::new(Configuration::new(pairs(&[("LEVEL", "high"), ("key", "s3cret")]))),
            ..Terms::of_test()
        };
        let place = Places::new(1).try_take().unwrap();
        let host = Host::new(&Arc::new(terms), Invocation::of_test(1), &Meter::new(), place);
        let mut store = Store::new(engine.wasmtime(), host);
        let instance = instance(&mut store, &engine).await;
        for (name, value) in [("GREETING", Some("hi")), ("LEVEL", Some("high")), ("key", Some("s3cret")), ("x", None)] {
            assert_eq!(told(&mut store, &instance, name).await.as_deref(), value, "{name}");
        }
    }
}
