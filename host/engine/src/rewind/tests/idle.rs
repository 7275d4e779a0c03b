//! Idle instances are given up when memory is short.

use gust_core::{InstanceMode, Tier};

use super::globals::{call, loaded};
use crate::{compile, rewrite::tests::unbalanced::unbalanced};

#[tokio::test]
async fn what_is_idle_is_dropped_when_it_is_asked_for() {
    let function = loaded(&compile(&unbalanced("hello"), InstanceMode::Rewind, Tier::Quick).unwrap());
    let engine = &function.engine;
    let free = engine.kept().free();
    call(&function, 1, "/?name=Ada").await;
    assert_eq!(engine.kept().free(), free - usize::from(engine.can_rewind()), "one is kept");
    engine.drop_idle_instances();
    assert_eq!(engine.kept().free(), free);
    call(&function, 2, "/?name=Ada").await;
}
