//! What the tests of the store share.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use gust_core::{AppName, FunctionName, Manifest};
use gust_store::{Published, Release, Store, StoreError, StoredVersion};

pub fn release() -> Release {
    Release {
        app: AppName::default_app(),
        alias: None,
        weight: None,
        sticky: None,
        conditions: None,
        unix_ms: 1,
        versions_kept: 10,
        stored_bytes_max: None,
        if_generation: None,
    }
}

pub fn try_publish(store: &Store, name: &str, component: &[u8], release: &Release) -> Result<Published, StoreError> {
    let mut staging = store.stage(1 << 20).unwrap();
    staging.write(component).unwrap();
    let name: FunctionName = name.parse().unwrap();
    store.publish(&name, staging.finish().sync().unwrap(), &Manifest::default(), release, |_| Ok(()))
}

pub fn publish(store: &Store, name: &str, component: &[u8]) -> Published {
    try_publish(store, name, component, &release()).unwrap()
}

/// The versions that live points to, by name.
pub fn current(store: &Store) -> Vec<StoredVersion> {
    let mut current = Vec::new();
    store.each_function(|function| current.extend(function.targets.last().cloned())).unwrap();
    current
}

pub fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
