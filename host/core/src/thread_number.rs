//! A small number for each thread, so that what many threads use at once can be kept in one part for each.

use std::{
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The calling thread's number, counted from 0 in the order in which threads first ask. A number is not used again.
pub fn get() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<Option<usize>> = const { Cell::new(None) };
    }
    OWN.get().unwrap_or_else(|| {
        let next = NEXT.fetch_add(1, Relaxed);
        OWN.set(Some(next));
        next
    })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn each_thread_has_its_own_and_keeps_it() {
        let first = get();
        let other = thread::spawn(|| (get(), get())).join().unwrap();
        assert_eq!((get(), other.0), (first, other.1));
        assert_ne!(first, other.0);
    }
}
