//! The patterns of one host's routes, as a tree: a node is a beginning that patterns have in common, up to a parameter or the end.
//!
//! From node to node a pattern goes by a parameter, or by a run of literals, which is found in one step: a node knows how
//! many segments its runs have. A path is matched by going on by the longest run, then by shorter ones, by the parameter, by
//! the rest, and back where that led nowhere. A longer run has a literal where a shorter one is followed by something else, so
//! the pattern that is found first is the most specific one.
//!
//! However patterns are chosen, no node is come to twice for one path, for there is one way from the root to each. So a match
//! takes no more steps than the patterns have segments, and none looks at more of a path than a pattern has bytes.

use std::iter;

use arrayvec::ArrayVec;
use percent_encoding::percent_decode_str;

use super::{
    end::End,
    pattern::{PARAMS_MAX, SEGMENTS_MAX, Segment},
    runs::Runs,
    sent::{self, PATTERN_BYTES_MAX},
};

/// What a path has in the place of a pattern's parameters, from left to right.
pub(super) type Values<'p> = ArrayVec<&'p str, PARAMS_MAX>;

/// A beginning of patterns.
#[derive(Default)]
pub(super) struct Node {
    /// What follows each run of literals, by what it means.
    runs: Runs<Node>,
    /// A bit for each number of segments that runs have.
    run_lengths: u64,
    /// What follows a parameter.
    param: Option<Box<Node>>,
    /// The pattern that goes on with a parameter for the rest.
    rest: Option<Box<End>>,
    /// The pattern that ends here.
    end: Option<End>,
}

impl Node {
    /// Where a pattern ends that goes on from here with these segments.
    pub(super) fn end_of(&mut self, segments: &[Segment]) -> &mut End {
        match segments {
            [] => self.end.get_or_insert_default(),
            [Segment::Rest, ..] => self.rest.get_or_insert_default(),
            [Segment::Param, below @ ..] => self.param.get_or_insert_default().end_of(below),
            [Segment::Literal(_), ..] => {
                let run: Vec<&str> = segments.iter().map_while(Segment::literal).collect();
                let below = segments.get(run.len()..).unwrap_or_default();
                self.run_lengths |= 1 << run.len();
                self.runs.add(percent_decode_str(&run.join("/")).collect()).end_of(below)
            }
        }
    }

    /// The most specific pattern that goes on from here as a path does from this segment on.
    pub(super) fn find<'n>(&'n self, at: usize, path: &mut Path<'_>) -> Option<&'n End> {
        if path.is_over(at) {
            return self.end.as_ref().or_else(|| self.rest(at, path));
        }
        self.run(at, path).or_else(|| self.param(at, path)).or_else(|| self.rest(at, path))
    }

    fn run<'n>(&'n self, at: usize, path: &mut Path<'_>) -> Option<&'n End> {
        self.run_lengths().find_map(|length| {
            let run = path.run(at, length)?;
            let end = self.after(run, path.is_plain)?.find(at + length, path)?;
            path.is_well_written &= path.is_plain || sent::is_well_written(run);
            Some(end)
        })
    }

    fn after(&self, run: &str, is_plain: bool) -> Option<&Self> {
        if run.len() <= PATTERN_BYTES_MAX && (is_plain || !run.contains('%')) {
            return self.runs.after(run.as_bytes());
        }
        self.runs.after(&sent::meant(run)?)
    }

    /// The longest first.
    fn run_lengths(&self) -> impl Iterator<Item = usize> + use<> {
        let mut left = self.run_lengths;
        iter::from_fn(move || {
            let longest = left.checked_ilog2()?;
            left &= !(1 << longest);
            Some(longest as usize)
        })
    }

    fn param<'n>(&'n self, at: usize, path: &mut Path<'_>) -> Option<&'n End> {
        let node = self.param.as_deref()?;
        let value = path.run(at, 1).filter(|value| !value.is_empty())?;
        path.values.try_push(value).ok()?;
        let found = node.find(at + 1, path);
        if found.is_none() {
            path.values.pop();
        }
        found
    }

    fn rest<'n>(&'n self, at: usize, path: &mut Path<'_>) -> Option<&'n End> {
        let end = self.rest.as_deref()?;
        path.values.try_push(path.left(at)).ok()?;
        Some(end)
    }
}

/// A path, taken apart as far as patterns go, and what it has in the place of their parameters.
pub(super) struct Path<'p> {
    /// Without its first slash.
    text: &'p str,
    is_plain: bool,
    /// Where segments begin, and where one more would: its end, were it followed by a slash.
    begins: ArrayVec<usize, { SEGMENTS_MAX + 2 }>,
    pub(super) values: Values<'p>,
    /// Whether the literals of the pattern that was found are written in the path as they are there.
    pub(super) is_well_written: bool,
}

impl<'p> Path<'p> {
    /// Takes a path apart that stands without its first slash. One that is plain means what it is.
    pub(super) fn new(text: &'p str, is_plain: bool) -> Self {
        let (begins, values) = (ArrayVec::new(), Values::new());
        let mut path = Self { text, is_plain, begins, values, is_well_written: true };
        path.begins.push(0);
        let slashes = text.bytes().enumerate().filter(|(_, b)| *b == b'/').map(|(at, _)| at);
        for at in slashes.chain([text.len()]) {
            // More segments than a pattern has are as good as any number.
            if path.begins.try_push(at + 1).is_err() {
                break;
            }
        }
        path
    }

    fn is_over(&self, at: usize) -> bool {
        at + 1 >= self.begins.len()
    }

    /// So many segments, with the slashes between them. None where there are fewer.
    fn run(&self, at: usize, length: usize) -> Option<&'p str> {
        let (begin, end) = (self.begins.get(at)?, self.begins.get(at + length)?.checked_sub(1)?);
        self.text.get(*begin..end)
    }

    /// All from a segment on; nothing where there is none.
    fn left(&self, at: usize) -> &'p str {
        self.begins.get(at).and_then(|begin| self.text.get(*begin..)).unwrap_or_default()
    }
}
