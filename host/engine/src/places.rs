//! A bounded number of things at the same time, without a lock.
//!
//! Taking a place and giving it back is one atomic operation each while nobody waits. (tokio's semaphore takes a mutex
//! whenever a permit comes back, and this one is shared by all requests.) Who waits is woken one by one; a newcomer may be
//! quicker, so the order is not kept.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::sync::Notify;

/// Some places.
#[derive(Debug)]
pub struct Places {
    count: AtomicUsize,
    taken: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
}

/// One of them, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    of: Arc<Places>,
}

impl Places {
    /// This many.
    pub fn new(count: usize) -> Arc<Self> {
        let (count, taken, waiting) = (AtomicUsize::new(count), AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { count, taken, waiting, freed: Notify::new() })
    }

    /// Those that are free now.
    pub fn free(&self) -> usize {
        self.count.load(SeqCst).saturating_sub(self.taken.load(SeqCst))
    }

    /// From now on there are this many. Where more are taken, those stay taken until they are given back.
    pub fn resize(&self, count: usize) {
        self.count.store(count, SeqCst);
        self.freed.notify_waiters();
    }

    /// Takes one if one is free.
    pub fn try_take(self: &Arc<Self>) -> Option<Place> {
        let count = self.count.load(SeqCst);
        let taken = self.taken.fetch_update(SeqCst, SeqCst, |taken| (taken < count).then_some(taken + 1));
        taken.is_ok().then(|| Place { of: self.clone() })
    }

    /// Takes one as soon as one is free.
    pub async fn take(self: &Arc<Self>) -> Place {
        self.waiting.fetch_add(1, SeqCst);
        Awaited { of: self.clone() }.taken().await
    }

    /// Begins to wait for one, unless so many wait already.
    pub fn queue(self: &Arc<Self>, waiting_max: usize) -> Option<Awaited> {
        let waits = |waiting: usize| (waiting < waiting_max).then_some(waiting + 1);
        self.waiting.fetch_update(SeqCst, SeqCst, waits).is_ok().then(|| Awaited { of: self.clone() })
    }
}

/// A place that is waited for, until this is dropped for whatever reason.
#[derive(Debug)]
pub struct Awaited {
    of: Arc<Places>,
}

impl Awaited {
    /// Takes it as soon as there is one.
    pub async fn taken(self) -> Place {
        loop {
            let mut freed = pin!(self.of.freed.notified());
            // Listening begins before looking, and a place is free before it is told of: one of the two sees the other.
            freed.as_mut().enable();
            if let Some(place) = self.of.try_take() {
                return place;
            }
            freed.await;
        }
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.of.waiting.fetch_sub(1, SeqCst);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.taken.fetch_sub(1, SeqCst);
        if self.of.waiting.load(SeqCst) > 0 {
            self.of.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{runtime, task::JoinSet, time};

    use super::*;

    #[test]
    fn there_are_as_many_as_said() {
        let places = Places::new(2);
        let (first, second) = (places.try_take().unwrap(), places.try_take().unwrap());
        assert!(places.try_take().is_none());
        drop(first);
        assert_eq!(places.free(), 1);
        drop(second);
        assert_eq!(places.free(), 2);
    }

    #[test]
    fn those_that_are_taken_count_where_there_are_more_or_fewer() {
        let places = Places::new(2);
        let (first, second) = (places.try_take().unwrap(), places.try_take().unwrap());
        places.resize(1);
        drop(first);
        assert!(places.try_take().is_none(), "one is taken, and there is one");
        places.resize(2);
        let third = places.try_take().unwrap();
        assert!(places.try_take().is_none());
        drop((second, third));
        assert_eq!(places.free(), 2);
    }

    #[test]
    fn no_more_wait_than_may() {
        let places = Places::new(1);
        let held = places.try_take().unwrap();
        assert!(places.queue(0).is_none());
        let (first, second) = (places.queue(2).unwrap(), places.queue(2).unwrap());
        assert!(places.queue(2).is_none());
        drop(first);
        let third = places.queue(2).unwrap();
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        drop(held);
        let taken = runtime.block_on(second.taken());
        drop((taken, third));
        assert_eq!((places.free(), places.waiting.load(SeqCst)), (1, 0));
    }

    #[test]
    fn nobody_waits_for_ever_and_nobody_is_one_too_many() {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
        let (places, busy) = (Places::new(3), Arc::new(AtomicUsize::new(0)));
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for task in 0..16_u32 {
                let (places, busy) = (places.clone(), busy.clone());
                tasks.spawn(async move {
                    for turn in 0..2_000_u32 {
                        // Some give up while they wait, as requests do.
                        let patience = Duration::from_micros(u64::from((task + turn) % 7) * 20 + 1);
                        let taken = match (task + turn) % 3 {
                            0 => time::timeout(patience, places.take()).await.ok(),
                            1 => places.try_take(),
                            _ => Some(places.take().await),
                        };
                        if taken.is_some() {
                            assert!(busy.fetch_add(1, SeqCst) < 3);
                            tokio::task::yield_now().await;
                            busy.fetch_sub(1, SeqCst);
                        }
                    }
                });
            }
            let all = time::timeout(Duration::from_secs(60), tasks.join_all()).await;
            assert!(all.is_ok(), "somebody waits for ever");
        });
        assert_eq!((places.free(), places.waiting.load(SeqCst)), (3, 0));
    }
}
