//! Work that several ask for at the same time, done once.
//!
//! Who asks first begins it, who asks meanwhile waits for the same outcome. It goes on to its end even if nobody waits any
//! more. What was done before is not remembered: work that finds it done has to say so at once.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gust_core::{Code, Problem};
use tokio::sync::watch;

/// What waits for one piece of work: told its outcome when it has one.
type Landing<V> = watch::Receiver<Option<V>>;

type UnderWay<K, V> = Arc<Mutex<HashMap<K, Landing<V>>>>;

/// Work under way, by what it is about.
pub(crate) struct Flights<K, V> {
    under_way: UnderWay<K, V>,
}

impl<K, V> Flights<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// None under way.
    pub(crate) fn new() -> Self {
        Self { under_way: Arc::default() }
    }

    /// Waits for the work on `key`, which `begin` makes where none is under way.
    pub(crate) async fn join<W>(&self, key: K, begin: impl FnOnce() -> W) -> Result<V, Problem>
    where
        W: Future<Output = V> + Send + 'static,
    {
        let mut landing = self.enter(key, begin);
        let landed = landing.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        landed.ok_or_else(|| Problem::new(Code::Internal, "the host failed at this"))
    }

    fn enter<W>(&self, key: K, begin: impl FnOnce() -> W) -> Landing<V>
    where
        W: Future<Output = V> + Send + 'static,
    {
        let mut under_way = lock(&self.under_way);
        if let Some(landing) = under_way.get(&key) {
            return landing.clone();
        }
        let (sender, landing) = watch::channel(None);
        under_way.insert(key.clone(), landing.clone());
        let (work, flight) = (begin(), Flight { under_way: self.under_way.clone(), key });
        tokio::spawn(async move {
            let outcome = work.await;
            // Before it is told, so that whoever comes later does not join what is over.
            drop(flight);
            sender.send_replace(Some(outcome));
        });
        landing
    }
}

/// Taken off the list when it is over, even where the work panics.
struct Flight<K: Eq + Hash, V> {
    under_way: UnderWay<K, V>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Flight<K, V> {
    fn drop(&mut self) {
        lock(&self.under_way).remove(&self.key);
    }
}

fn lock<K, V>(under_way: &UnderWay<K, V>) -> MutexGuard<'_, HashMap<K, Landing<V>>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_many_ask_for_is_done_once_even_if_the_first_goes_away() {
        let (flights, done) = (Flights::<&str, u32>::new(), Arc::new(AtomicU32::new(0)));
        let (go, gone) = oneshot::channel::<()>();
        let work = || {
            let done = done.clone();
            async move {
                let _ = gone.await;
                done.fetch_add(1, Ordering::SeqCst) + 1
            }
        };
        // Begun, and given up at once.
        drop(flights.enter("key", work));
        let waiting: Vec<_> = (0..100).map(|_| flights.enter("key", || async { 0 })).collect();
        go.send(()).unwrap();
        for mut landing in waiting {
            assert_eq!(*landing.wait_for(Option::is_some).await.unwrap(), Some(1));
        }
        assert_eq!(flights.join("key", || async { 7 }).await.unwrap(), 7, "it is over");
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn work_that_panics_is_a_problem_and_can_be_begun_again() {
        let flights = Flights::<(), u32>::new();
        let failed = flights.join((), || async { panic!("on purpose") }).await;
        assert_eq!(failed.unwrap_err().code, Code::Internal);
        assert_eq!(flights.join((), || async { 1 }).await.unwrap(), 1);
    }
}
