//! Functions in a data directory, put there without a host.

use std::path::Path;

use gust_core::{AppName, Digest, FunctionName, InstanceMode, Manifest, Tier};
use gust_engine::{ArtifactCache, ArtifactKey, Engine};
use gust_store::{Release, Store, StoreError};

/// Makes a version of a component.
pub(crate) fn publish(store: &Store, name: &str, component: &[u8], manifest: &str) -> Result<(), StoreError> {
    let release = Release {
        app: AppName::default_app(),
        alias: None,
        weight: None,
        sticky: None,
        conditions: None,
        unix_ms: 1,
        versions_kept: 10,
        stored_bytes_max: None,
        if_generation: None,
    };
    let (name, manifest): (FunctionName, _) = (name.parse().unwrap(), Manifest::parse(manifest).unwrap());
    let mut staging = store.stage(component.len() as u64)?;
    staging.write(component)?;
    store.publish(&name, staging.finish().sync()?, &manifest, &release, |_| Ok(())).map(|_| ())
}

/// The artifacts beside a store.
pub(crate) fn artifacts(engine: &Engine, dir: &Path, key: &[u8]) -> ArtifactCache {
    ArtifactCache::open(engine, &dir.join("artifacts"), key).unwrap()
}

/// Compiles a component, well enough that a host has nothing more to do.
pub(crate) fn compile(engine: &Engine, artifacts: &ArtifactCache, component: &[u8]) -> ArtifactKey {
    let mode = artifacts.mode(engine, InstanceMode::Rewind);
    let key = ArtifactKey { digest: Digest::of(component), mode };
    let code = gust_engine::compile(component, mode, Tier::Optimised).unwrap();
    artifacts.insert(&key, Tier::Optimised, &code).unwrap();
    key
}
