//! What is left behind on purpose is found, and what is put back is put back.

use super::bench::{Bench, CHANGES, put_back};
use crate::{
    places::Places,
    rewind::{
        kept::Home,
        refusal::{Refusal, Unfit},
    },
};

fn refusal(unfit: Unfit) -> Refusal {
    unfit.told("in a test")
}

#[tokio::test]
async fn a_used_instance_is_as_it_began() {
    let Some(bench) = Bench::of_text(CHANGES) else { return };
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
    let Some(bench) = Bench::of_text(CHANGES) else { return };
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
    let Some(bench) = Bench::of_text(CHANGES) else { return };
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
    let Some(bench) = Bench::of_text(CHANGES) else { return };
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
    let Some(bench) = Bench::of_text(CHANGES) else { return };
    let mut made = bench.make().await;
    let mut home = bench.prepare(&mut made).await;
    made.call("change").await;
    // As if the call had put it back itself, which it has not.
    let unfit = put_back(&mut home, &mut made, true).await.unwrap_err();
    assert_eq!(refusal(unfit), Refusal::Inexact);
}

#[tokio::test]
async fn a_handle_that_is_left_behind_is_found() {
    let Some(bench) = Bench::of_text(CHANGES) else { return };
    let mut made = bench.make().await;
    let mut home = bench.prepare(&mut made).await;
    let handle = wasmtime_wasi_io::IoView::table(made.store.data_mut()).push(()).unwrap();
    assert_eq!(refusal(put_back(&mut home, &mut made, false).await.unwrap_err()), Refusal::Handles);
    wasmtime_wasi_io::IoView::table(made.store.data_mut()).delete(handle).unwrap();
    put_back(&mut home, &mut made, false).await.unwrap();
}

#[tokio::test]
async fn a_memory_that_grew_is_not_put_back() {
    let Some(bench) = Bench::of_text(CHANGES) else { return };
    let mut made = bench.make().await;
    let mut home = bench.prepare(&mut made).await;
    made.call("grow").await;
    assert_eq!(refusal(put_back(&mut home, &mut made, false).await.unwrap_err()), Refusal::Grew);
}

#[tokio::test]
async fn an_instance_that_begins_otherwise_is_not_kept() {
    let Some(bench) = Bench::of_text(CHANGES) else { return };
    bench.prepare(&mut bench.make().await).await;
    let mut other = bench.make().await;
    other.call("change").await;
    let place = Places::new(1).try_take().unwrap();
    let prepared = Home::prepare(&bench.image, &mut other.store, &other.instance, place, true).await;
    assert_eq!(refusal(prepared.err().unwrap()), Refusal::StatesDiffer);
}

#[tokio::test]
async fn a_system_call_that_fails_ends_it() {
    let Some(bench) = Bench::of_text(CHANGES) else { return };
    let mut made = bench.make().await;
    let mut home = bench.prepare(&mut made).await;
    home.displace();
    assert_eq!(refusal(put_back(&mut home, &mut made, false).await.unwrap_err()), Refusal::Failed);
}
