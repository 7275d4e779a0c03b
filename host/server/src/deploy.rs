//! The way of a deploy: compile, load, probe, store, publish.
//!
//! Nothing is routable before it is durable, and a step that fails leaves the catalog and the store as they were. The
//! probe comes before storing, so that a component that cannot be instantiated is never a version.

use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
};

use gust_core::{Code, Digest, FunctionName, Manifest, Problem, config::HostConfig};
use gust_engine::{ArtifactKey, FunctionConfig, Places};
use gust_store::{Durable, Published, Staged, Staging, Store, StoreError, StoredVersion};
use http::HeaderValue;
use tokio::sync::Mutex;

use crate::{
    catalog::{Catalog, Deployment},
    loader::{Loader, Source},
    logbook::{FunctionLog, GuestOutput, Logbook, unix_ms},
    metrics::Metrics,
    residence::{Loaded, Residence},
    work::blocking,
};

/// All that a deploy needs, and the only writer of the catalog.
pub(crate) struct Deployer {
    pub(crate) config: HostConfig,
    pub(crate) store: Arc<Store>,
    pub(crate) loader: Arc<Loader>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) logbook: Logbook,
    pub(crate) metrics: Arc<Metrics>,
    /// Held while the store and the catalog change, so that they change in the same order.
    pub(crate) changing: Mutex<()>,
}

/// What a deploy came to.
pub(crate) struct Deployed {
    pub(crate) deployment: Arc<Deployment>,
    pub(crate) is_new: bool,
}

/// A loaded component whose version is not known yet.
struct Prepared {
    loaded: Arc<Loaded>,
    log: Arc<FunctionLog>,
    version: Arc<OnceLock<u64>>,
}

impl Deployer {
    /// Begins an upload.
    pub(crate) async fn stage(&self) -> Result<Staging, Problem> {
        let bytes_max = u64::from(self.config.upload_mib_max) << 20;
        let store = self.store.clone();
        Ok(blocking(move || store.stage(bytes_max)).await??)
    }

    /// Makes an upload the version in force.
    pub(crate) async fn deploy(
        &self,
        name: FunctionName,
        staging: Staging,
        manifest: Manifest,
    ) -> Result<Deployed, Problem> {
        manifest.check_memory(self.config.memory_mib_max)?;
        if let Some(other) = manifest.name.as_ref().filter(|other| **other != name) {
            let detail = format!("the manifest names the function {other}, the upload {name}");
            return Err(Problem::new(Code::ManifestInvalid, detail));
        }
        let staged = staging.finish();
        if staged.size_bytes == 0 {
            return Err(Problem::new(Code::UploadIncomplete, "the upload holds no component"));
        }
        let preparing = self.prepare(&name, &staged, &manifest);
        // The disk is waited for meanwhile.
        let (prepared, durable) = tokio::join!(preparing, blocking(move || staged.sync()));
        // First: an upload that the disk did not take is gone, and the compiler did not find it.
        let durable = durable??;
        let prepared = prepared?;
        let turn = self.changing.lock().await;
        let published = self.store(name, durable, manifest).await?;
        let deployment = self.publish(published.version, prepared);
        drop(turn);
        self.count_functions();
        let (function, version, digest) = (&deployment.name, deployment.version, deployment.digest);
        tracing::info!(%function, version, %digest, is_new = published.is_new, "deployed");
        Ok(Deployed { deployment, is_new: published.is_new })
    }

    /// Loads an upload, compiled before where that was not done, and sees whether an instance of it can be made.
    fn prepare(
        &self,
        name: &FunctionName,
        staged: &Staged,
        manifest: &Manifest,
    ) -> impl Future<Output = Result<Prepared, Problem>> + use<> {
        let (log, version) = (self.log(name), Arc::<OnceLock<u64>>::default());
        let config = FunctionConfig {
            limits: manifest.limits.clone(),
            env: manifest.env.clone().into_iter().collect(),
            sink: Arc::new(GuestOutput { log: log.clone(), version: version.clone() }),
            instance: manifest.instance,
        };
        let (key, component) = (self.loader.key(staged.digest, manifest.instance), staged.path().to_owned());
        let (loader, wall_ms) = (self.loader.clone(), manifest.limits.wall_ms);
        async move {
            let function = loader.function(Source { key, component, config }).await?;
            loader.probe(&function, wall_ms).await?;
            Ok(Prepared { loaded: loader.counted(function), log, version })
        }
    }

    async fn store(&self, name: FunctionName, durable: Durable, manifest: Manifest) -> Result<Published, Problem> {
        let store = self.store.clone();
        Ok(blocking(move || store.publish(&name, durable, &manifest, unix_ms())).await??)
    }

    fn publish(&self, stored: StoredVersion, prepared: Prepared) -> Arc<Deployment> {
        // Set once: what was loaded for this version serves no other.
        let _ = prepared.version.set(stored.version);
        let deployment = Arc::new(self.deployment(stored, prepared.log, Residence::default()));
        // Loaded before it is found, so that no request waits for that.
        self.loader.residents.settle(&deployment, prepared.loaded.clone());
        self.catalog.publish(&deployment);
        self.loader.have_optimised(&deployment, &prepared.loaded);
        deployment
    }

    /// Removes a function. Says whether there was one.
    pub(crate) async fn remove(&self, name: &FunctionName) -> Result<bool, Problem> {
        let (store, owned) = (self.store.clone(), name.clone());
        let turn = self.changing.lock().await;
        let existed = blocking(move || store.delete(&owned)).await??;
        if let Some(removed) = self.catalog.load().get(name.as_str()) {
            removed.metrics.forget();
        }
        self.catalog.remove(name);
        drop(turn);
        self.count_functions();
        Ok(existed)
    }

    /// Begins with what the store holds. Nothing is loaded: that is done for a function when it is called.
    pub(crate) fn restore(&self) -> Result<(), StoreError> {
        let mut deployments = Vec::new();
        self.store.each_current(|version| deployments.push(self.restored(version)))?;
        let digests: HashSet<Digest> = deployments.iter().map(|deployment| deployment.digest).collect();
        self.catalog.begin(deployments);
        let quick = self.loader.artifacts().retain(|key| digests.contains(&key.digest)).unwrap_or_else(|error| {
            tracing::warn!(%error, "compiled components that nobody needs could not be removed");
            Vec::new()
        });
        self.optimise(&quick.into_iter().collect());
        self.count_functions();
        Ok(())
    }

    fn restored(&self, stored: StoredVersion) -> Arc<Deployment> {
        let residence = match &stored.manifest {
            Ok(_) => Residence::default(),
            Err(why) => {
                let detail = format!("its stored manifest cannot be read; deploy it again: {why}");
                let problem = Problem::new(Code::ManifestInvalid, detail);
                tracing::error!(function = %stored.name, %problem, "not available");
                Residence::never(problem)
            }
        };
        let log = self.logbook.begin(&stored.name);
        Arc::new(self.deployment(stored, log, residence))
    }

    /// Has the functions optimised of which there is only quick code.
    fn optimise(&self, quick: &HashSet<ArtifactKey>) {
        for deployment in self.catalog.load().all() {
            if quick.contains(&self.loader.key(deployment.digest, deployment.instance)) {
                self.loader.wanted.push(&deployment.name);
            }
        }
    }

    fn deployment(&self, stored: StoredVersion, log: Arc<FunctionLog>, residence: Residence) -> Deployment {
        let prefix = HeaderValue::from_str(&format!("/{}", stored.name));
        // One that cannot be read serves nothing, so what stands in its place limits nothing.
        let manifest = stored.manifest.unwrap_or_default();
        let concurrency = manifest.limits.concurrency;
        let before = self.catalog.load().get(stored.name.as_str()).cloned();
        // Requests of the version before count too.
        let places = before.as_ref().filter(|before| before.limits.concurrency == concurrency);
        Deployment {
            places: places.map_or_else(|| Places::new(concurrency as usize), |before| before.places.clone()),
            // A name is letters, digits and hyphens, so it is always a header's value.
            prefix: prefix.unwrap_or_else(|_| HeaderValue::from_static("/")),
            metrics: before.map_or_else(|| self.metrics.of(&stored.name), |before| before.metrics.clone()),
            name: stored.name,
            version: stored.version,
            digest: stored.digest,
            size_bytes: stored.size_bytes,
            limits: manifest.limits,
            instance: manifest.instance,
            env: manifest.env.into_iter().collect(),
            deployed_unix_ms: stored.deployed_unix_ms,
            residence,
            log,
        }
    }

    /// The log of a function, over all its versions; begun where there is none.
    fn log(&self, name: &FunctionName) -> Arc<FunctionLog> {
        let before = self.catalog.load().get(name.as_str()).map(|before| before.log.clone());
        before.unwrap_or_else(|| self.logbook.begin(name))
    }

    /// Lets lines of functions' logs go where there are too many.
    pub(crate) fn trim_logs(&self) {
        if self.logbook.is_full() {
            let logs = self.catalog.load().all().into_iter().map(|deployment| deployment.log.clone()).collect();
            self.logbook.trim(logs);
        }
    }

    fn count_functions(&self) {
        self.metrics.functions.set(self.catalog.load().len() as i64);
    }
}
