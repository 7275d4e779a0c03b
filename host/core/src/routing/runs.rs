//! Runs of literals, each with what follows it in a [tree](super::tree).
//!
//! Most nodes have a few, which are compared one by one: the parts of a table are far apart in memory. However many
//! there are, none is looked for in more than a table or eight comparisons.

use std::{collections::HashMap, mem};

use foldhash::fast::RandomState;

/// Runs that are compared one by one.
const FEW_MAX: usize = 8;

/// What follows each run, by what the run means.
pub(super) enum Runs<N> {
    Few(Vec<(Box<[u8]>, N)>),
    Many(HashMap<Box<[u8]>, N, RandomState>),
}

impl<N> Default for Runs<N> {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<N> Runs<N> {
    /// What follows a run, if it is there.
    pub(super) fn after(&self, run: &[u8]) -> Option<&N> {
        match self {
            Self::Few(runs) => runs.iter().find(|(present, _)| **present == *run).map(|(_, after)| after),
            Self::Many(runs) => runs.get(run),
        }
    }
}

impl<N: Default> Runs<N> {
    /// What follows a run, which is added where it is not there.
    pub(super) fn add(&mut self, run: Box<[u8]>) -> &mut N {
        if let Self::Few(runs) = self
            && runs.len() == FEW_MAX
        {
            *self = Self::Many(mem::take(runs).into_iter().collect());
        }
        match self {
            Self::Many(runs) => runs.entry(run).or_default(),
            Self::Few(runs) => {
                let known = runs.iter().position(|(present, _)| *present == run);
                let entry = known.map_or_else(|| (run, N::default()), |at| runs.swap_remove(at));
                &mut runs.push_mut(entry).1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_are_found_alike() {
        let mut runs = Runs::<usize>::default();
        let run = |n: usize| format!("run-{n}").into_bytes();
        for n in 0..4 * FEW_MAX {
            *runs.add(run(n).into()) += n;
            *runs.add(run(n).into()) += 1;
            assert!((0..=n).all(|n| runs.after(&run(n)) == Some(&(n + 1))), "{n}");
            assert!(runs.after(&run(n + 1)).is_none() && runs.after(b"").is_none());
        }
    }
}
