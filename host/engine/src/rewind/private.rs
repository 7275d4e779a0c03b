//! The pages of one memory that are private to it, and putting them back.
//!
//! The kernel lists them, which takes longer than all the rest; so the list is kept for as long as no page was written for the
//! first time ([`faults`](super::faults)).

use std::{io, mem, ops::Range};

use super::pages::{Image, Memory, PAGE_BYTES};

/// Private pages up to which nobody looks whether all of them still need to be.
const PAGES_FEW: usize = 16;

/// How often many private pages are put back before it is looked which of them are still written.
const LOOK_EVERY: u32 = 64;

/// The private pages of one memory.
#[derive(Debug, Default)]
pub(crate) struct PrivatePages {
    /// In runs of offsets, as listed last.
    runs: Vec<Range<usize>>,
    /// Whether that is all of them, as long as no page is written for the first time.
    is_listed: bool,
    /// How often more than a few were put back.
    turns: u32,
}

impl PrivatePages {
    /// Makes `memory` what `image` is. `none_new` says that no page was written for the first time since this was done last.
    /// Says how many pages are private; more than `pages_max` are not put back.
    pub(super) fn put_back(
        &mut self,
        memory: &mut Memory,
        image: &Image,
        pages_max: usize,
        none_new: bool,
    ) -> io::Result<usize> {
        if !(none_new && self.is_listed) {
            self.list(memory)?;
        }
        let pages = self.runs.iter().map(|run| run.len() / PAGE_BYTES).sum();
        if pages > pages_max {
            return Ok(pages);
        }
        let spare = pages.saturating_sub(image.private_pages());
        let are_too_many = spare > PAGES_FEW && self.are_too_many(memory, image, spare);
        for run in &self.runs {
            memory.put_back(image, run);
        }
        if are_too_many {
            self.is_listed = false;
            memory.trim(image)?;
        }
        Ok(pages)
    }

    fn list(&mut self, memory: &Memory) -> io::Result<()> {
        let mut runs = mem::take(&mut self.runs);
        runs.clear();
        self.is_listed = false;
        memory.scan(|run| runs.push(run))?;
        self.runs = runs;
        self.is_listed = memory.has_small_pages();
        Ok(())
    }

    /// Now and then: whether most of the `spare` pages, which are private though their image is not, were not changed, for then
    /// it is better that they are private no more. One large request would otherwise make all small ones dearer that come after
    /// it.
    fn are_too_many(&mut self, memory: &Memory, image: &Image, spare: usize) -> bool {
        self.turns = self.turns.wrapping_add(1);
        if !self.turns.is_multiple_of(LOOK_EVERY) {
            return false;
        }
        let private = self.runs.iter().flat_map(|run| run.clone().step_by(PAGE_BYTES));
        let unchanged = private.filter(|at| memory.holds(image, &(*at..at + PAGE_BYTES))).count();
        2 * unchanged.saturating_sub(image.private_pages()) > spare
    }
}
