//! The end of a host that is told to: nothing that was begun is lost, if it ends in time.

use std::{pin::pin, time::Duration};

use futures_util::future;
use tokio::{
    signal::unix::{SignalKind, signal},
    time,
};

use crate::{
    draining::Draining,
    ledger::Ledger,
    serve_error::{ServeError, system},
    under_way::UnderWay,
};

/// How long the admin listener's last answers may take to leave.
pub(crate) const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn signalled() -> Result<(), ServeError> {
    let listen = |kind| signal(kind).map_err(system("listening for signals"));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
        _ = interrupt.recv() => tracing::info!("SIGINT: draining"),
    }
    Ok(())
}

/// Lets finish for a limited time what is in flight: requests, what guests do after their answers, and changes. Idle connections end.
pub(crate) async fn drain(data: Draining, asked: &UnderWay, ledger: &Ledger, drain_ms: u32) {
    let answered = async {
        data.end().await;
        ledger.outlived().await;
    };
    let limit = Duration::from_millis(drain_ms.into());
    // Connections are given up when this is dropped, and what is broken off then has to know why.
    let mut finished = pin!(future::join(answered, asked.ended()));
    match time::timeout(limit, finished.as_mut()).await {
        Ok(_) => tracing::info!("drained"),
        Err(_) => {
            ledger.breaks_off();
            tracing::warn!(drain_ms, "what did not finish in time is broken off");
        }
    }
}
