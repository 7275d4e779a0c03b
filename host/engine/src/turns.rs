//! Turns on the processor for guests that go on for long, shared among apps by their weights.
//!
//! There are as many turns as threads. Whoever has had one pays for it with the time that it took, divided by its app's weight; the
//! next one goes to the app that has paid least so far. So an app with a hundred guests gets no more than one with a single guest,
//! as long as both want to run. An app that was idle begins with about what the last one to get a turn had paid, so that little is
//! saved up. (Start-time fair queueing: Goyal, Vin and Cheng, SIGCOMM 1996.)

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

/// What an app may have paid less than the last one to get a turn, in nanoseconds: as much as passes while a guest that had its
/// turn comes to wait for the next one.
const CREDIT_NS: u64 = 20_000_000;

/// An app's share of the processor.
#[derive(Debug)]
pub struct Share {
    weight: AtomicU32,
    /// What its guests have paid so far: nanoseconds by weight. Changed under the lock of [`Turns`].
    paid: AtomicU64,
}

impl Share {
    /// The weight of an app whose owner says nothing.
    pub const WEIGHT_DEFAULT: u32 = 100;

    /// Of an app of this weight, at least 1.
    pub fn new(weight: u32) -> Arc<Self> {
        Arc::new(Self { weight: AtomicU32::new(weight.max(1)), paid: AtomicU64::new(0) })
    }

    /// Gives it another weight, from now on.
    pub fn set_weight(&self, weight: u32) {
        self.weight.store(weight.max(1), Relaxed);
    }
}

/// All turns.
pub(crate) struct Turns {
    state: Mutex<State>,
}

struct State {
    free: usize,
    /// What the last one to get a turn had paid.
    now: u64,
    tickets: u64,
    waiting: Vec<Waiting>,
    /// Tickets of those that have got one and do not know it yet.
    given: Vec<u64>,
}

struct Waiting {
    ticket: u64,
    share: Arc<Share>,
    waker: Waker,
}

/// One that takes turns. Dropped, it waits for none and holds none.
pub(crate) struct Turn {
    turns: Arc<Turns>,
    share: Arc<Share>,
    ticket: u64,
    is_held: bool,
}

impl Turns {
    /// So many at the same time.
    pub(crate) fn new(count: usize) -> Arc<Self> {
        let state = State { free: count, now: 0, tickets: 0, waiting: Vec::new(), given: Vec::new() };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Begins to take turns on behalf of an app.
    pub(crate) fn begin(self: &Arc<Self>, share: &Arc<Share>) -> Turn {
        let mut state = self.lock();
        state.tickets += 1;
        let ticket = state.tickets;
        drop(state);
        Turn { turns: self.clone(), share: share.clone(), ticket, is_held: false }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives what is free to those that wait, which are to be woken when the state is no longer held.
    fn give(&mut self) -> Vec<Waiting> {
        let mut given = Vec::new();
        while self.free > 0 {
            let paid = |at: &usize| self.waiting.get(*at).map_or(u64::MAX, |one| one.share.paid.load(Relaxed));
            let Some(next) = (0..self.waiting.len()).min_by_key(paid) else { break };
            let one = self.waiting.remove(next);
            self.takes(&one.share);
            self.given.push(one.ticket);
            given.push(one);
        }
        given
    }

    /// Whether this one has got a turn, and did not know it yet.
    fn fetches(&mut self, ticket: u64) -> bool {
        let given = self.given.iter().position(|given| *given == ticket);
        given.map(|at| self.given.swap_remove(at)).is_some()
    }

    fn takes(&mut self, share: &Share) {
        self.free -= 1;
        let paid = share.paid.load(Relaxed).max(self.now.saturating_sub(CREDIT_NS));
        share.paid.store(paid, Relaxed);
        self.now = self.now.max(paid);
    }
}

impl Turn {
    /// Waits for the next one. Whoever gets it gives it back with [`Turn::end`].
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.turns.lock();
        self.is_held = state.fetches(self.ticket);
        let mut given = Vec::new();
        if !self.is_held {
            self.waits(&mut state, cx.waker());
            given = state.give();
            self.is_held = state.fetches(self.ticket);
        }
        drop(state);
        wake(given.into_iter().filter(|one| one.ticket != self.ticket));
        if self.is_held { Poll::Ready(()) } else { Poll::Pending }
    }

    fn waits(&self, state: &mut State, waker: &Waker) {
        match state.waiting.iter_mut().find(|waiting| waiting.ticket == self.ticket) {
            Some(waiting) => waiting.waker.clone_from(waker),
            None => {
                let (ticket, share, waker) = (self.ticket, self.share.clone(), waker.clone());
                state.waiting.push(Waiting { ticket, share, waker });
            }
        }
    }

    /// Ends one that took so long. Whoever wants another one at once says what to wake, and is among those that the turn may go to:
    /// one that came back for it later would find that it went to the next in line, whatever that one has paid.
    pub(crate) fn end(&mut self, ran: Duration, goes_on: Option<&Waker>) {
        self.is_held = false;
        let mut state = self.turns.lock();
        let ns = u64::try_from(ran.as_nanos()).unwrap_or(u64::MAX);
        let price = ns.saturating_mul(u64::from(Share::WEIGHT_DEFAULT)) / u64::from(self.share.weight.load(Relaxed));
        self.share.paid.fetch_add(price, Relaxed);
        if let Some(waker) = goes_on {
            self.waits(&mut state, waker);
        }
        state.free += 1;
        let given = state.give();
        drop(state);
        wake(given);
    }
}

fn wake(given: impl IntoIterator<Item = Waiting>) {
    given.into_iter().for_each(|one| one.waker.wake());
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        state.waiting.retain(|waiting| waiting.ticket != self.ticket);
        if state.fetches(self.ticket) || self.is_held {
            state.free += 1;
        }
        let given = state.give();
        drop(state);
        wake(given);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gets(turn: &mut Turn) -> bool {
        turn.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn ends(turn: &mut Turn, ms: u64) {
        turn.end(Duration::from_millis(ms), Some(Waker::noop()));
    }

    /// How often each of these gets the only turn, each for a millisecond, where they are asked one after the other.
    fn shared(guests: &mut [Turn], rounds: usize) -> Vec<usize> {
        let mut got = vec![0; guests.len()];
        // All are there before it begins.
        for guest in &mut *guests {
            if gets(guest) {
                ends(guest, 0);
            }
        }
        while got.iter().sum::<usize>() < rounds {
            for (guest, got) in guests.iter_mut().zip(&mut got) {
                if gets(guest) {
                    *got += 1;
                    ends(guest, 1);
                }
            }
        }
        got
    }

    #[test]
    fn apps_share_by_weight_and_not_by_how_many_guests_they_have() {
        let turns = Turns::new(1);
        let (many, one, heavy) = (Share::new(100), Share::new(100), Share::new(200));
        let mut guests: Vec<Turn> = (0..10).map(|_| turns.begin(&many)).collect();
        guests.extend([turns.begin(&one), turns.begin(&heavy)]);
        let got = shared(&mut guests, 400);
        let of_many: usize = got[..10].iter().sum();
        assert!(of_many.abs_diff(100) <= 12 && got[10].abs_diff(100) <= 12 && got[11].abs_diff(200) <= 12, "{got:?}");
        assert!(got[..10].iter().all(|count| *count > 0), "{got:?}");
    }

    #[test]
    fn who_goes_away_keeps_nobody_waiting() {
        let turns = Turns::new(1);
        let share = Share::new(100);
        let [mut first, mut second, mut third] = [(); 3].map(|()| turns.begin(&share));
        assert!(gets(&mut first) && !gets(&mut second) && !gets(&mut third));
        first.end(Duration::ZERO, None);
        // It was given to the second, which does not come for it.
        drop(second);
        assert!(gets(&mut third));
        // Nor does one that ends in the middle of its turn.
        drop(third);
        assert_eq!(turns.lock().free, 1);
    }

    #[test]
    fn little_is_saved_up() {
        let turns = Turns::new(1);
        let (busy, idle) = (Share::new(100), Share::new(100));
        let mut guest = turns.begin(&busy);
        for _ in 0..1000 {
            assert!(gets(&mut guest));
            ends(&mut guest, 1);
        }
        let mut guests = [guest, turns.begin(&idle)];
        let got = shared(&mut guests, 100);
        assert!(got[0].abs_diff(got[1]) <= 22, "{got:?}");
    }
}
