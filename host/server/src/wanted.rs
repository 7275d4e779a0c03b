//! Which functions' code waits to be optimised.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, PoisonError},
};

use gust_core::FunctionName;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;

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
    pub(crate) async fn next(&self) -> FunctionName {
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
