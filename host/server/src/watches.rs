//! Which aliases are watched, on what conditions, and what their versions had answered when that began.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool};

use gust_core::{AliasName, FunctionName};
use gust_store::{StoredFunction, Watch};

use crate::{binding::Binding, health::Counted};

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
    /// What the watched version had answered when that began.
    pub(crate) new_began: Counted,
    /// The same of the version before it.
    pub(crate) before_began: Counted,
    /// Whether going back has failed.
    pub(crate) has_failed: AtomicBool,
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
                    has_failed: AtomicBool::new(false),
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

/// What a version answered, in all apps together.
pub(crate) fn counted<'a>(bindings: impl Iterator<Item = &'a Arc<Binding>>, version: u64) -> Counted {
    let mut together = Counted::default();
    for binding in bindings {
        if let Some(deployment) = binding.deployments().find(|deployment| deployment.version == version) {
            together.add(&deployment.health.now());
        }
    }
    together
}
