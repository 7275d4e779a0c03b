//! Requests for `valgrind` to count the instructions of: a pool that is small enough for the address space that it leaves, and
//! nothing compiled that was compiled before.

use std::path::Path;

use clap::ValueEnum;
use gust_core::InstanceMode;

use crate::{
    Side as _,
    hosted::{Hosted, Pool},
};

/// Whose instructions are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Counted {
    /// Through the typed world, in an instance that is put back
    TypedRewound,
    /// Through the typed world, in a new instance
    TypedFresh,
    /// Through `wasi:http`, in an instance that is put back
    WasiHttpRewound,
}

impl Counted {
    /// Its name on a command line and among the bounds.
    pub fn name(self) -> &'static str {
        match self {
            Self::TypedRewound => "typed-rewound",
            Self::TypedFresh => "typed-fresh",
            Self::WasiHttpRewound => "wasi-http-rewound",
        }
    }

    /// Answers requests with what is compiled in `artifacts`; compiles it where it is not.
    pub fn answer(self, requests: u64, artifacts: &Path) {
        let (function, path, mode) = match self {
            Self::TypedRewound => ("hello", "/?name=Ada", InstanceMode::Rewind),
            Self::TypedFresh => ("hello", "/?name=Ada", InstanceMode::Fresh),
            Self::WasiHttpRewound => ("raw", "/", InstanceMode::Rewind),
        };
        let mut hosted = Hosted::open(self.name(), function, path, mode, &Pool { instances_max: 1, artifacts });
        hosted.answer(requests);
        assert_eq!(hosted.is_rewound(), mode == InstanceMode::Rewind, "{}: another path was counted", self.name());
    }
}
