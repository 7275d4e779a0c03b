//! Every kept input, through the target that it is kept for. A target without any, or that is not tried here, is a mistake too.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

macro_rules! targets {
    ($($name:ident)*) => {
        const TARGETS: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            holds_for_every_seed(stringify!($name), gust_fuzz::$name);
        })*
    };
}

targets! { admin generated http manifest report routes store upload values }

fn holds_for_every_seed(target: &str, run: fn(&[u8])) {
    let seeds = files(&Path::new("seeds").join(target));
    assert!(!seeds.is_empty(), "{target} has no seeds");
    for seed in seeds {
        let data = fs::read(&seed).unwrap();
        assert!(catch_unwind(|| run(&data)).is_ok(), "fuzz/{} breaks {target}", seed.display());
    }
}

#[test]
fn every_target_is_tried() {
    let tried: BTreeSet<PathBuf> = TARGETS.iter().map(PathBuf::from).collect();
    for dir in ["seeds", "targets"] {
        let found = files(Path::new(dir)).iter().map(|path| path.file_stem().unwrap().into()).collect();
        assert_eq!(tried, found, "in fuzz/{dir}");
    }
}

/// What is in a directory of this crate, in which tests are run.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("fuzz/{}: {error}", dir.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}
