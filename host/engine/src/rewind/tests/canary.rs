//! A canary: each request plants a secret wherever an instance can keep something, and looks for those of all before it.
//!
//! In instances that are put back, and in instances that are made anew in slots that others used, with the kernel's list of written pages and
//! without. `cargo xtask test --long` does each ten million times.

use std::env;

use gust_core::RewindPolicy;

use super::bench::{Bench, MEMORY_BYTES_MAX, Made, put_back};
use crate::{Engine, Reset, Settings};

/// How many requests, where nothing else is said.
const REQUESTS: u64 = 50_000;

/// Says how many.
const VARIABLE: &str = "GUST_CANARY_REQUESTS";

/// Instances that take turns.
const INSTANCES: u64 = 2;

/// A step that goes from one secret to the next, and never comes back to one.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Keeps something in four globals, in data, in what start code wrote, at both ends of its memory and at places that the secret
/// chooses. `visit` counts what is not as it began, then plants the secret; `before` was planted last, for its places are where
/// to look.
const CANARY: &str = r#"(component
    (core module $m
        (memory 8)
        (data (i32.const 70000) "the component's own")
        (global $a (mut i32) (i32.const 7))
        (global $b (mut i64) (i64.const 7))
        (global $c (mut f64) (f64.const 7))
        (global $d (mut v128) (v128.const i64x2 7 7))
        (func $start (i64.store (i32.const 1024) (i64.const 5)) (global.set $a (i32.const 9)))
        (start $start)
        ;; A place among the pages that begin as zeroes, at a multiple of 8.
        (func $place (param $secret i64) (param $turn i32) (result i32)
            (i32.add (i32.const 131072) (i32.shl (i32.wrap_i64 (i64.rem_u
                (i64.rotl (local.get $secret) (i64.extend_i32_u (i32.mul (local.get $turn) (i32.const 7))))
                (i64.const 49000))) (i32.const 3))))
        (func $differs (param $at i32) (param $pristine i64) (result i32)
            (i64.ne (i64.load (local.get $at)) (local.get $pristine)))
        (func (export "visit") (param $secret i64) (param $before i64) (result i32)
            (local $left i32) (local $turn i32)
            (local.set $left (i32.ne (global.get $a) (i32.const 9)))
            (local.set $left (i32.add (local.get $left) (i64.ne (global.get $b) (i64.const 7))))
            (local.set $left (i32.add (local.get $left) (f64.ne (global.get $c) (f64.const 7))))
            (local.set $left (i32.add (local.get $left)
                (v128.any_true (v128.xor (global.get $d) (v128.const i64x2 7 7)))))
            (local.set $left (i32.add (local.get $left) (call $differs (i32.const 0) (i64.const 0))))
            (local.set $left (i32.add (local.get $left) (call $differs (i32.const 1024) (i64.const 5))))
            ;; "the comp"
            (local.set $left (i32.add (local.get $left)
                (call $differs (i32.const 70000) (i64.const 0x706d6f6320656874))))
            (local.set $left (i32.add (local.get $left) (call $differs (i32.const 524280) (i64.const 0))))
            (loop $more
                (local.set $left (i32.add (local.get $left)
                    (call $differs (call $place (local.get $before) (local.get $turn)) (i64.const 0))))
                (local.set $turn (i32.add (local.get $turn) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $turn) (i32.const 8))))
            (local.set $turn (i32.const 0))
            (loop $more
                (i64.store (call $place (local.get $secret) (local.get $turn)) (local.get $secret))
                (local.set $turn (i32.add (local.get $turn) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $turn) (i32.const 8))))
            (global.set $a (i32.wrap_i64 (local.get $secret)))
            (global.set $b (local.get $secret))
            (global.set $c (f64.reinterpret_i64 (local.get $secret)))
            (global.set $d (i64x2.splat (local.get $secret)))
            (i64.store (i32.const 0) (local.get $secret))
            (i64.store (i32.const 1024) (local.get $secret))
            (i64.store (i32.const 70000) (local.get $secret))
            (i64.store (i32.const 524280) (local.get $secret))
            (local.get $left)))
    (core instance $i (instantiate $m))
    (func (export "visit") (param "secret" u64) (param "before" u64) (result u32)
        (canon lift (core func $i "visit"))))"#;

async fn visit(made: &mut Made, secret: u64, before: u64) -> u32 {
    let visit = made.instance.get_typed_func::<(u64, u64), (u32,)>(&mut made.store, "visit").unwrap();
    made.store.set_epoch_deadline(1 << 40);
    visit.call_async(&mut made.store, (secret, before)).await.unwrap().0
}

#[tokio::test]
async fn no_request_sees_what_another_left() {
    let Some(bench) = Bench::of_text(CANARY) else { return };
    let requests = requests();
    let mut instances = Vec::new();
    for _ in 0..INSTANCES {
        let mut made = bench.make().await;
        // Without looking at all of the memory each time: the guest looks.
        let home = bench.prepare_unchecked(&mut made).await;
        instances.push((made, home, 0));
    }
    let mut seen = 0_u64;
    for (number, at) in (1..=requests).zip((0..instances.len()).cycle()) {
        let (made, home, before) = &mut instances[at];
        let secret = number.wrapping_mul(STEP);
        seen += u64::from(visit(made, secret, *before).await);
        put_back(home, made, false).await.unwrap();
        *before = secret;
    }
    eprintln!("{requests} requests, {seen} secrets seen");
    assert_eq!(seen, 0);
}

#[tokio::test]
async fn no_new_instance_sees_what_was_left_in_its_slot() {
    if Reset::choose() == Reset::PageScan {
        made_anew(Reset::PageScan).await;
    }
}

#[tokio::test]
async fn nor_where_all_pages_are_given_back() {
    made_anew(Reset::Discard { why: "to be tested" }).await;
}

/// Instances of two components take turns in one slot: each component twice, so that a slot goes to the same one and to another.
async fn made_anew(reset: Reset) {
    let settings = Settings {
        instances_max: 1,
        memory_bytes_max: MEMORY_BYTES_MAX,
        queue_ms: 0,
        rewind: RewindPolicy::Off,
        has_lane: false,
    };
    let engine = Engine::resetting(settings, reset.clone()).unwrap();
    let component = wat::parse_str(CANARY).unwrap();
    let tenants = [(); 2].map(|()| Bench::on(engine.clone(), &component));
    let (requests, mut before, mut seen) = (requests(), 0, 0_u64);
    for (number, tenant) in (1..=requests).zip([0, 0, 1, 1].into_iter().cycle()) {
        let secret = number.wrapping_mul(STEP);
        seen += u64::from(visit(&mut tenants[tenant].make().await, secret, before).await);
        before = secret;
    }
    eprintln!("{requests} new instances, {reset:?}: {seen} secrets seen");
    assert_eq!(seen, 0);
}

fn requests() -> u64 {
    env::var(VARIABLE).map_or(REQUESTS, |text| text.parse().unwrap())
}

#[tokio::test]
async fn it_sees_what_is_left() {
    let Some(bench) = Bench::of_text(CANARY) else { return };
    let mut made = bench.make().await;
    assert_eq!(visit(&mut made, STEP, 0).await, 0);
    let kinds = 4 + 4 + 8;
    assert_eq!(visit(&mut made, STEP.wrapping_mul(2), STEP).await, kinds);
}
