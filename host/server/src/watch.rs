//! Deploys that stand on conditions: watched for a while, and taken back by the host where a condition is broken.
//!
//! Every fifth of a second the requests of the watched version are judged beside those of the version before it: those
//! that it answered meanwhile where it still serves, else all that it ever did.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gust_core::{AliasName, FunctionName, conditions::Seen};
use gust_store::{StoredFunction, Watch};
use tokio::time;

use crate::{
    binding::Binding,
    changes::{self, Changes},
    health::Counted,
    logbook::unix_ms,
};

/// How often watched versions are judged.
const PERIOD: Duration = Duration::from_millis(200);

/// What is watched now.
#[derive(Default)]
pub(crate) struct Watches {
    here: Mutex<Vec<Arc<Watching>>>,
}

/// An alias that is watched.
struct Watching {
    function: FunctionName,
    alias: AliasName,
    watch: Watch,
    /// What the watched version had answered when that began.
    new_began: Counted,
    /// The same of the version before it.
    before_began: Counted,
}

impl Watches {
    /// Watches what is to be watched of a function, in the place of what was. `before` are its bindings as they still serve.
    pub(crate) fn set(&self, stored: &StoredFunction, before: &[Arc<Binding>]) {
        let mut here = self.lock();
        let (mut same, mut others): (Vec<_>, Vec<_>) =
            here.drain(..).partition(|watching| watching.function == stored.name);
        for alias in &stored.aliases {
            let Some(watch) = &alias.watch else { continue };
            let is_same = |present: &mut Arc<Watching>| present.alias == alias.alias && present.watch == *watch;
            others.push(same.extract_if(.., is_same).next().unwrap_or_else(|| {
                let counted = |version| counted(before.iter(), version);
                Arc::new(Watching {
                    function: stored.name.clone(),
                    alias: alias.alias.clone(),
                    watch: watch.clone(),
                    new_began: counted(watch.version),
                    before_began: counted(watch.before.first()),
                })
            }));
        }
        *here = others;
    }

    /// On what conditions an alias stays where it is, if on any.
    pub(crate) fn of(&self, function: &FunctionName, alias: &AliasName) -> Option<Watch> {
        let here = self.lock();
        let found = here.iter().find(|watching| watching.function == *function && watching.alias == *alias);
        found.map(|watching| watching.watch.clone())
    }

    /// Forgets a function's.
    pub(crate) fn forget(&self, function: &FunctionName) {
        self.lock().retain(|watching| watching.function != *function);
    }

    fn all(&self) -> Vec<Arc<Watching>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Watching>>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a version answered, in all apps together.
fn counted<'a>(bindings: impl Iterator<Item = &'a Arc<Binding>>, version: u64) -> Counted {
    let mut together = Counted::default();
    for binding in bindings {
        if let Some(deployment) = binding.deployments().find(|deployment| deployment.version == version) {
            together.add(&deployment.health.now());
        }
    }
    together
}

/// Judges what is watched, for as long as the host lives.
pub(crate) async fn run(changes: Arc<Changes>) {
    let mut ticks = time::interval(PERIOD);
    loop {
        ticks.tick().await;
        for watching in changes.watches.all() {
            judge(&changes, &watching).await;
        }
    }
}

async fn judge(changes: &Changes, watching: &Watching) {
    let Watching { function, alias, watch, .. } = watching;
    let (new, before) = seen(changes, watching);
    if let Some(why) = watch.conditions.broken(&new, &before) {
        take_back(changes, watching, &why).await;
    } else if unix_ms() >= watch.until_unix_ms {
        match changes.end_watch(function, alias, watch).await {
            Ok(()) => {
                tracing::info!(%function, %alias, version = watch.version, requests = new.requests, "conditions held")
            }
            Err(problem) => tracing::error!(%function, %alias, %problem, "what is watched could not be changed"),
        }
    }
}

/// What was seen of the watched version, and of the one before it.
fn seen(changes: &Changes, watching: &Watching) -> (Seen, Seen) {
    let snapshot = changes.catalog.load();
    let now = |version| counted(snapshot.bindings(watching.function.as_str()), version);
    let watch = &watching.watch;
    let new = now(watch.version).since(&watching.new_began);
    let beside = now(watch.before.first()).since(&watching.before_began);
    let is_enough = beside.requests >= u64::from(watch.conditions.requests_min);
    (new, if is_enough { beside } else { watching.before_began.all() })
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
            tracing::error!(%function, %alias, %problem, internal, "a deploy could not be rolled back; trying again");
        }
    }
}
