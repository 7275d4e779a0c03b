//! An instance that was not made: why, and how far it came.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use gust_core::{Code, Problem};

use crate::last_lines::LastLines;

/// How far the making of an instance came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It was being instantiated, or there was no room for it.
    Instantiation,
    /// It was getting ready.
    Init,
}

/// A stage, told while an instance is made.
#[derive(Debug, Default)]
pub(crate) struct AtomicStage {
    is_init: AtomicBool,
}

impl AtomicStage {
    /// Says that it is getting ready.
    pub(crate) fn is_init(&self) {
        self.is_init.store(true, Relaxed);
    }

    pub(crate) fn get(&self) -> Stage {
        if self.is_init.load(Relaxed) { Stage::Init } else { Stage::Instantiation }
    }
}

/// An instance that was not made.
#[derive(Debug)]
pub(crate) struct Unmade {
    /// Why, as whoever called is told.
    pub(crate) problem: Problem,
    /// What failed.
    pub(crate) stage: Stage,
}

impl From<Problem> for Unmade {
    fn from(problem: Problem) -> Self {
        Self { problem, stage: Stage::Instantiation }
    }
}

impl Unmade {
    /// Why a function is not deployed, as whoever deploys it is told: with all that it said, for it is theirs.
    pub(crate) fn found_at_deploy(self, wall_ms: u32, printed: &LastLines) -> Problem {
        let Problem { code: cause, detail, internal, .. } = self.problem;
        let why = match (cause, &internal) {
            (Code::GuestFailed, Some(text)) => text.clone(),
            // Nobody waits for it who could have had less time.
            (Code::LimitWall, _) => format!("it took longer than {wall_ms} ms ({})", cause.as_str()),
            _ => format!("{detail} ({})", cause.as_str()),
        };
        let (code, what) = match self.stage {
            Stage::Instantiation => (Code::ComponentProbe, "making an instance failed"),
            Stage::Init => (Code::ComponentInitFailed, "its init failed"),
        };
        let printed = printed.text();
        let printed = if printed.is_empty() { printed } else { format!("; it printed: {printed}") };
        Problem { internal, ..Problem::new(code, format!("{what}: {why}{printed}")) }
    }
}
