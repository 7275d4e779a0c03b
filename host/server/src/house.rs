//! What has to be looked after while a host serves.

use std::{sync::Arc, time::Duration};

use tokio::{task, time};

use crate::{
    changes::Changes,
    loader::Loader,
    pressure::Pressure,
    shedding::{self, Shedding},
    tls::Renewal,
};

/// Looks every second.
pub(crate) async fn keep(changes: Arc<Changes>, mut renewals: Vec<Renewal>) {
    let mut seconds = time::interval(Duration::from_secs(1));
    let mut pressure = Pressure::here();
    loop {
        seconds.tick().await;
        pressure.relieve(changes.loader.engine());
        changes.loader.residents.every_second();
        changes.trim_logs();
        changes.note_usage().await;
        renewals.iter_mut().for_each(Renewal::every_second);
    }
}

/// Looks often at the memory in use, for it may grow fast. What is idle is given up when it becomes too much.
pub(crate) async fn watch_memory(shedding: Arc<Shedding>, loader: Arc<Loader>, give_back: fn()) {
    let mut ticks = time::interval(shedding::PERIOD);
    loop {
        ticks.tick().await;
        if shedding.look() {
            let engine = loader.engine().clone();
            // While requests are refused little is freed and allocated, and what is free would stay.
            let _ = task::spawn_blocking(move || {
                engine.drop_idle_instances();
                give_back();
            })
            .await;
        }
    }
}
