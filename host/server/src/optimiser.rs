//! Optimising in the background what was compiled quickly.
//!
//! One component at a time, by a process that the kernel lets work where nothing else wants to. The optimised code takes the
//! quick code's place on the disk, and in memory if it is loaded: requests that have begun finish on the quick code, those that
//! come find the other, and no request waits. A function that is replaced or removed meanwhile is given up.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gust_core::{Code, FunctionName, Problem, Tier};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{sync::Notify, task, time};

use crate::{
    catalog::{Catalog, Deployment},
    loader::Loader,
};

/// When a function is tried again for which the machine had no room.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Functions whose code is to be optimised, in the order in which they came, each once: at most as many as there are.
pub(crate) struct Wanted {
    names: Mutex<Names>,
    more: Notify,
    count: Gauge,
}

#[derive(Default)]
struct Names {
    order: VecDeque<FunctionName>,
    known: HashSet<FunctionName>,
}

impl Wanted {
    /// None. `count` tells how many wait.
    pub(crate) fn new(count: Gauge) -> Self {
        Self { names: Mutex::default(), more: Notify::new(), count }
    }

    /// Remembers one.
    pub(crate) fn push(&self, name: &FunctionName) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.known.insert(name.clone()) {
            names.order.push_back(name.clone());
            self.count.set(names.order.len() as i64);
            self.more.notify_one();
        }
    }

    /// The next one, as soon as there is one.
    async fn next(&self) -> FunctionName {
        loop {
            if let Some(name) = self.pop() {
                return name;
            }
            self.more.notified().await;
        }
    }

    fn pop(&self) -> Option<FunctionName> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let name = names.order.pop_front()?;
        names.known.remove(&name);
        self.count.set(names.order.len() as i64);
        Some(name)
    }
}

/// Optimises one after the other, for as long as the host lives.
pub(crate) async fn run(loader: Arc<Loader>, catalog: Arc<Catalog>) {
    loop {
        let name = loader.wanted.next().await;
        let Some(deployment) = catalog.load().get(name.as_str()).cloned() else { continue };
        tokio::select! {
            optimised = optimise(&loader, &deployment) => {
                if let Err(problem) = optimised {
                    let internal = problem.internal.as_deref();
                    tracing::warn!(function = %name, %problem, internal, "it goes on with quickly compiled code");
                    if problem.code == Code::HostBusy {
                        try_again(loader.clone(), name);
                    }
                }
            }
            // The compiler is killed.
            () = catalog.until_replaced(&deployment) => {}
        }
    }
}

/// Remembers a function once more when a while has passed.
fn try_again(loader: Arc<Loader>, name: FunctionName) {
    task::spawn(async move {
        time::sleep(AGAIN_AFTER).await;
        loader.wanted.push(&name);
    });
}

async fn optimise(loader: &Arc<Loader>, deployment: &Arc<Deployment>) -> Result<(), Problem> {
    let source = loader.source(deployment);
    if !loader.artifacts().holds(&source.key, Tier::Optimised) {
        loader.compile(source.key, source.component.clone(), Tier::Optimised).await?;
    }
    if deployment.tier() != Some(Tier::Quick) {
        return Ok(());
    }
    let function = loader.function(source).await?;
    if function.tier() == Tier::Optimised {
        loader.probe(&function, deployment.limits().wall_ms).await?;
        loader.residents.replace(deployment, loader.counted(function));
        tracing::info!(function = %deployment.name, version = deployment.version, "optimised");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_comes_once_in_order() {
        let wanted = Wanted::new(Gauge::default());
        let name = |text: &str| -> FunctionName { text.parse().unwrap() };
        for text in ["b", "a", "b"] {
            wanted.push(&name(text));
        }
        assert_eq!(wanted.count.get(), 2);
        assert_eq!((wanted.next().await, wanted.next().await), (name("b"), name("a")));
        wanted.push(&name("b"));
        assert_eq!((wanted.next().await, wanted.count.get()), (name("b"), 0));
    }
}
