//! Idle instances of one function, ready to serve.
//!
//! The one that was used last is taken first, for its pages are in the caches; what stays at the other end for long is
//! dropped. Each thread has a list of its own, so that in the steady state nobody waits for a lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gust_core::thread_number;

/// Lists of a shelf. Threads beyond share them.
const LISTS: usize = 16;

/// Things that wait to be used again.
pub(crate) struct Shelf<T> {
    lists: [Mutex<Vec<Idle<T>>>; LISTS],
}

struct Idle<T> {
    thing: T,
    /// When it was put here, in the shelf's owner's time.
    since: u32,
}

impl<T> Shelf<T> {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { lists: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Takes the one that this thread put here last; where there is none, one of another thread.
    pub(crate) fn take(&self) -> Option<T> {
        let own = own_list();
        let (before, from_own) = self.lists.split_at(own);
        let idle = from_own.iter().chain(before).find_map(|list| lock(list).pop())?;
        Some(idle.thing)
    }

    /// Puts one here.
    pub(crate) fn put(&self, thing: T, now: u32) {
        if let Some(list) = self.lists.get(own_list()) {
            lock(list).push(Idle { thing, since: now });
        }
    }

    /// Makes the one that this thread put here last into what `renew` makes of it, or takes it away, if that `is_due`.
    pub(crate) fn renew_newest(&self, is_due: impl FnOnce(&T) -> bool, renew: impl FnOnce(T) -> Option<T>) {
        let Some(list) = self.lists.get(own_list()) else { return };
        let due = lock(list).pop_if(|idle| is_due(&idle.thing));
        // Without the lock: it takes a while.
        let Some(Idle { thing, since }) = due else { return };
        if let Some(thing) = renew(thing) {
            lock(list).push(Idle { thing, since });
        }
    }

    /// Drops those that have been here since before `since`.
    pub(crate) fn expire(&self, since: u32) {
        for list in &self.lists {
            let mut idle = lock(list);
            // The oldest are in front.
            let old = idle.iter().take_while(|idle| idle.since < since).count();
            let expired: Vec<_> = idle.drain(..old).collect();
            drop(idle);
            // Dropped without the lock: it takes a while.
            drop(expired);
        }
    }

    /// Those that are here.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.lists.iter().map(|list| lock(list).len()).sum()
    }
}

fn lock<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The list of this thread.
fn own_list() -> usize {
    thread_number::get() % LISTS
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    #[test]
    fn the_last_one_comes_first_and_the_oldest_go() {
        let shelf = Shelf::new();
        for n in 0..5 {
            shelf.put(n, n);
        }
        assert_eq!((shelf.take(), shelf.len()), (Some(4), 4));
        shelf.expire(2);
        assert_eq!((shelf.take(), shelf.take(), shelf.take()), (Some(3), Some(2), None));
    }

    #[test]
    fn the_newest_is_renewed_where_it_is_due() {
        let shelf = Shelf::new();
        shelf.renew_newest(|_| true, Some);
        for n in [1, 2] {
            shelf.put(n, 0);
        }
        shelf.renew_newest(|n| *n == 2, |n| Some(n + 10));
        shelf.renew_newest(|n| *n == 2, |_| None);
        assert_eq!((shelf.take(), shelf.len()), (Some(12), 1));
        shelf.renew_newest(|n| *n == 1, |_| None);
        assert_eq!(shelf.len(), 0);
    }

    #[test]
    fn another_threads_are_found() {
        let shelf = Arc::new(Shelf::new());
        let other = shelf.clone();
        thread::spawn(move || other.put("there", 0)).join().unwrap();
        assert_eq!((shelf.take(), shelf.take()), (Some("there"), None));
    }
}
