//! Deploys that stand on conditions: watched for a while, and taken back by the host where a condition is broken.
//!
//! Every fifth of a second the requests of the watched version are judged beside those of the version before it: those
//! that it answered meanwhile where it still serves, else all that it ever did.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use gust_core::conditions::Seen;
use tokio::{task, time};

use crate::{
    changes::{self, Changes},
    logbook::unix_ms,
    watches::Watching,
};

/// How often watched versions are judged.
const PERIOD: Duration = Duration::from_millis(200);

/// Judges what is watched, for as long as the host lives.
pub(crate) async fn run(changes: Arc<Changes>) {
    let mut ticks = time::interval(PERIOD);
    loop {
        ticks.tick().await;
        for watching in changes.watches.all() {
            // What one goes back to may take long to load, and the others are judged meanwhile.
            if !watching.is_judged.swap(true, Relaxed) {
                let changes = changes.clone();
                task::spawn(async move {
                    judge(&changes, &watching).await;
                    watching.is_judged.store(false, Relaxed);
                });
            }
        }
    }
}

async fn judge(changes: &Changes, watching: &Watching) {
    let Watching { function, alias, watch, .. } = watching;
    let (new, before) = seen(watching);
    if let Some(why) = watch.conditions.broken(&new, &before) {
        take_back(changes, watching, &why).await;
    } else if unix_ms() >= watch.until_unix_ms && end(changes, watching).await {
        tracing::info!(%function, %alias, version = watch.version, requests = new.requests, "conditions held");
    }
}

/// Watches it no longer. Says whether that could be stored.
async fn end(changes: &Changes, watching: &Watching) -> bool {
    let Watching { function, alias, watch, .. } = watching;
    let ended = changes.end_watch(function, alias, watch).await;
    if let Err(problem) = &ended
        && !watching.has_ended_badly.swap(true, Relaxed)
    {
        tracing::error!(%function, %alias, %problem, "what is watched could not be changed; that is tried again");
    }
    ended.is_ok()
}

/// What was seen of the watched version, and of the one before it.
fn seen(Watching { watch, new, before, .. }: &Watching) -> (Seen, Seen) {
    let beside = before.since();
    let is_enough = beside.requests >= u64::from(watch.conditions.requests_min);
    (new.since(), if is_enough { beside } else { before.earlier() })
}

async fn take_back(changes: &Changes, watching: &Watching, why: &str) {
    let Watching { function, alias, watch, .. } = watching;
    let version = watch.version;
    let told = format!("rolled back from version {version}: {why}");
    let change = changes::change(Some(watch.before.clone()), None, &*told);
    match changes.take_back(function, alias, change, watch).await {
        Ok(true) => {
            tracing::warn!(%function, %alias, version, why, "a deploy was rolled back");
            let condition = if why.starts_with("errors") { "errors" } else { "p99" };
            changes.assembler.metrics.rolled_back(function, alias, condition);
            if let Ok(binding) = changes.function(function) {
                binding.log.note(version, format!("{alias} {told}"));
            }
        }
        // Somebody was quicker.
        Ok(false) => {}
        Err(problem) => {
            let internal = problem.internal.as_deref();
            // Said once, and tried until the window is over.
            if !watching.has_failed.swap(true, Relaxed) {
                tracing::error!(%function, %alias, version, why, %problem, internal, "a deploy cannot be rolled back");
            }
            if unix_ms() >= watch.until_unix_ms {
                end(changes, watching).await;
            }
        }
    }
}
