//! Which deployments' code waits to be optimised.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;

use crate::deployment::Deployment;

/// Deployments whose code is to be optimised, in the order in which they came, each once. Those that are gone meanwhile are
/// passed over.
pub(crate) struct Wanted {
    waiting: Mutex<Waiting>,
    more: Notify,
    count: Gauge,
}

#[derive(Default)]
struct Waiting {
    order: VecDeque<(u64, Weak<Deployment>)>,
    /// By serial.
    known: HashSet<u64>,
}

impl Wanted {
    /// None. `count` tells how many wait.
    pub(crate) fn new(count: Gauge) -> Self {
        Self { waiting: Mutex::default(), more: Notify::new(), count }
    }

    /// Remembers one.
    pub(crate) fn push(&self, deployment: &Arc<Deployment>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.known.insert(deployment.serial) {
            waiting.order.push_back((deployment.serial, Arc::downgrade(deployment)));
            self.count.set(waiting.order.len() as i64);
            self.more.notify_one();
        }
    }

    /// The next one, as soon as there is one.
    pub(crate) async fn next(&self) -> Arc<Deployment> {
        loop {
            if let Some(deployment) = self.pop() {
                return deployment;
            }
            self.more.notified().await;
        }
    }

    fn pop(&self) -> Option<Arc<Deployment>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((serial, deployment)) = waiting.order.pop_front() {
            waiting.known.remove(&serial);
            self.count.set(waiting.order.len() as i64);
            if let Some(deployment) = deployment.upgrade() {
                return Some(deployment);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::testing::deployment;

    #[tokio::test]
    async fn each_comes_once_in_order_and_those_that_are_gone_do_not() {
        let wanted = Wanted::new(Gauge::default());
        let (a, b, gone) = (deployment("a"), deployment("b"), deployment("gone"));
        for one in [&gone, &b, &a, &b] {
            wanted.push(one);
        }
        assert_eq!(wanted.count.get(), 3);
        drop(gone);
        assert_eq!((wanted.next().await.serial, wanted.next().await.serial), (b.serial, a.serial));
        wanted.push(&b);
        assert_eq!((wanted.next().await.serial, wanted.count.get()), (b.serial, 0));
    }
}
