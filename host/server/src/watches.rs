//! Which aliases are watched, on what conditions, and what their versions have answered since that began.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool};

use gust_core::{AliasName, FunctionName, conditions::Seen};
use gust_store::{StoredFunction, Watch};

use crate::{
    binding::Binding,
    health::{Counted, Health},
};

/// What is watched now.
#[derive(Default)]
pub(crate) struct Watches {
    here: Mutex<Vec<Arc<Watching>>>,
}

/// An alias that is watched.
pub(crate) struct Watching {
    pub(crate) function: FunctionName,
    pub(crate) alias: AliasName,
    pub(crate) watch: Watch,
    /// What the watched version answers.
    pub(crate) new: Followed,
    /// What the version before it answers.
    pub(crate) before: Followed,
    /// Whether it is being judged.
    pub(crate) is_judged: AtomicBool,
    /// Whether going back has failed.
    pub(crate) has_failed: AtomicBool,
    /// Whether ending to watch it has failed.
    pub(crate) has_ended_badly: AtomicBool,
}

/// What a version answers in all apps together, also in those that it is no longer in.
pub(crate) struct Followed {
    version: u64,
    /// What it had answered when that began.
    began: Counted,
    in_apps: Mutex<Vec<Arc<Health>>>,
}

impl Followed {
    fn begin(version: u64, bindings: &[Arc<Binding>]) -> Self {
        let mut followed = Self { version, began: Counted::default(), in_apps: Mutex::default() };
        followed.follow(bindings);
        followed.began = followed.now();
        followed
    }

    /// Counts what it answers in these apps too.
    fn follow(&self, bindings: &[Arc<Binding>]) {
        let mut in_apps = self.lock();
        let deployments = bindings.iter().flat_map(|binding| binding.deployments());
        for deployment in deployments.filter(|deployment| deployment.version == self.version) {
            if !in_apps.iter().any(|health| Arc::ptr_eq(health, &deployment.health)) {
                in_apps.push(deployment.health.clone());
            }
        }
    }

    fn now(&self) -> Counted {
        let mut together = Counted::default();
        self.lock().iter().for_each(|health| together.add(&health.now()));
        together
    }

    /// What it answered since that began.
    pub(crate) fn since(&self) -> Seen {
        self.now().since(&self.began)
    }

    /// What it had answered before.
    pub(crate) fn earlier(&self) -> Seen {
        self.began.all()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Health>>> {
        self.in_apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watches {
    /// Watches what is to be watched of a function, in the place of what was. `bindings` are those that serve, and those that will.
    pub(crate) fn set(&self, stored: &StoredFunction, bindings: &[Arc<Binding>]) {
        let mut here = self.lock();
        let (mut same, mut others): (Vec<_>, Vec<_>) =
            here.drain(..).partition(|watching| watching.function == stored.name);
        for alias in &stored.aliases {
            let Some(watch) = &alias.watch else { continue };
            let is_same = |present: &mut Arc<Watching>| present.alias == alias.alias && present.watch == *watch;
            let watching = same.extract_if(.., is_same).next().unwrap_or_else(|| {
                Arc::new(Watching {
                    function: stored.name.clone(),
                    alias: alias.alias.clone(),
                    watch: watch.clone(),
                    new: Followed::begin(watch.version, bindings),
                    before: Followed::begin(watch.before.first(), bindings),
                    is_judged: AtomicBool::new(false),
                    has_failed: AtomicBool::new(false),
                    has_ended_badly: AtomicBool::new(false),
                })
            });
            watching.new.follow(bindings);
            watching.before.follow(bindings);
            others.push(watching);
        }
        *here = others;
    }

    /// On what conditions an alias stays where it is, if on any.
    pub(crate) fn of(&self, function: &FunctionName, alias: &AliasName) -> Option<Watch> {
        let here = self.lock();
        let found = here.iter().find(|watching| watching.function == *function && watching.alias == *alias);
        found.map(|watching| watching.watch.clone())
    }

    /// The versions of a function that an alias may go back to by itself.
    pub(crate) fn before(&self, function: &FunctionName) -> Vec<u64> {
        let here = self.lock();
        let watched = here.iter().filter(|watching| watching.function == *function);
        watched.flat_map(|watching| watching.watch.before.versions()).collect()
    }

    /// Forgets a function's.
    pub(crate) fn forget(&self, function: &FunctionName) {
        self.lock().retain(|watching| watching.function != *function);
    }

    /// All that are.
    pub(crate) fn all(&self) -> Vec<Arc<Watching>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Watching>>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
