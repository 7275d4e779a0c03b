//! The way of a deploy: compile, load, probe, store, publish.
//!
//! Nothing is routable before it is durable, and a step that fails leaves the catalog and the store as they were. The
//! probe comes before storing, so that a component that cannot be instantiated is never a version.

use std::sync::{Arc, OnceLock};

use gust_core::{Code, Digest, FunctionName, InstanceMode, Manifest, Problem, config::HostConfig};
use gust_engine::{ArtifactCache, Engine, Function, FunctionConfig, Lease, Places};
use gust_store::{Published, Staged, Staging, Store, StoreError, StoredVersion};
use http::HeaderValue;
use tokio::{sync::Mutex, task, time::Duration};

use crate::{
    catalog::{Catalog, Deployment},
    compiler::Compiler,
    logbook::{FunctionLog, GuestOutput, Logbook, unix_ms},
    metrics::Metrics,
};

/// The longest that making an instance may take when it is deployed, its init included.
const PROBE_MAX: Duration = Duration::from_secs(5);

/// All that a deploy needs, and the only writer of the catalog.
pub(crate) struct Deployer {
    pub(crate) config: HostConfig,
    pub(crate) store: Arc<Store>,
    pub(crate) engine: Engine,
    pub(crate) artifacts: Arc<ArtifactCache>,
    pub(crate) compiler: Compiler,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) logbook: Logbook,
    pub(crate) metrics: Arc<Metrics>,
    /// Held while the store and the catalog change, so that they change in the same order.
    pub(crate) changing: Mutex<()>,
    /// Held while an instance is made only to see whether it can be.
    pub(crate) probing: Mutex<()>,
}

/// What a deploy came to.
pub(crate) struct Deployed {
    pub(crate) deployment: Arc<Deployment>,
    pub(crate) is_new: bool,
}

/// A loaded component whose version is not known yet.
struct Loaded {
    function: Function,
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
        let staged = blocking(move || staging.finish()).await??;
        if staged.size_bytes == 0 {
            return Err(Problem::new(Code::UploadIncomplete, "the upload holds no component"));
        }
        let loaded = self.load(&name, staged.digest, staged.path().to_owned(), &manifest).await?;
        self.probe(&loaded.function, &manifest).await?;
        let turn = self.changing.lock().await;
        let published = self.store(name, staged, manifest).await?;
        let deployment = self.deployment(published.version, Ok(loaded));
        let deployment = self.catalog.publish(deployment);
        drop(turn);
        self.count_functions();
        let (function, version, digest) = (&deployment.name, deployment.version, deployment.digest);
        tracing::info!(%function, version, %digest, is_new = published.is_new, "deployed");
        Ok(Deployed { deployment, is_new: published.is_new })
    }

    /// Makes an instance, for a moment: few at once, and not for long, so that uploads cannot take the pool from requests.
    async fn probe(&self, function: &Function, manifest: &Manifest) -> Result<(), Problem> {
        let wall = Duration::from_millis(manifest.limits.wall_ms.into()).min(PROBE_MAX);
        let _turn = self.probing.lock().await;
        Lease::probe(function, wall).await.map(drop)
    }

    async fn store(&self, name: FunctionName, staged: Staged, manifest: Manifest) -> Result<Published, Problem> {
        let store = self.store.clone();
        Ok(blocking(move || store.publish(&name, staged, &manifest, unix_ms())).await??)
    }

    /// Removes a function. Says whether there was one.
    pub(crate) async fn remove(&self, name: &FunctionName) -> Result<bool, Problem> {
        let (store, owned) = (self.store.clone(), name.clone());
        let turn = self.changing.lock().await;
        let existed = blocking(move || store.delete(&owned)).await??;
        self.catalog.remove(name);
        self.metrics.forget(name);
        drop(turn);
        self.count_functions();
        Ok(existed)
    }

    /// Loads every function that the store holds. One that cannot be loaded answers 503 and the others serve.
    pub(crate) async fn restore(&self) -> Result<(), StoreError> {
        let current = self.store.current()?;
        let digests: Vec<Digest> = current.iter().map(|version| version.digest).collect();
        if let Err(error) = self.artifacts.retain(&digests) {
            tracing::warn!(%error, "compiled components that nobody needs could not be removed");
        }
        for version in current {
            let loaded = match self.load_stored(&version).await {
                Ok(loaded) => Ok(loaded),
                Err(problem) => {
                    tracing::error!(function = %version.name, %problem, internal = problem.internal, "not available");
                    Err(problem.to_string())
                }
            };
            let deployment = self.deployment(version, loaded);
            self.catalog.publish(deployment);
        }
        self.count_functions();
        Ok(())
    }

    async fn load_stored(&self, version: &StoredVersion) -> Result<Loaded, Problem> {
        let manifest = version.manifest.as_ref().map_err(|why| {
            let detail = format!("its stored manifest cannot be read; deploy it again: {why}");
            Problem::new(Code::ManifestInvalid, detail)
        })?;
        let path = self.store.component_path(&version.digest);
        self.load(&version.name, version.digest, path, manifest).await
    }

    /// Loads a component from its artifact, compiled where there is none that can be trusted.
    async fn load(
        &self,
        name: &FunctionName,
        digest: Digest,
        component: std::path::PathBuf,
        manifest: &Manifest,
    ) -> Result<Loaded, Problem> {
        let (log, version) = (self.logbook.of(name), Arc::<OnceLock<u64>>::default());
        let load = || {
            let sink = Arc::new(GuestOutput { log: log.clone(), version: version.clone() });
            let env = manifest.env.clone().into_iter().collect();
            let (limits, instance) = (manifest.limits.clone(), manifest.instance);
            let config = FunctionConfig { limits, env, sink, instance };
            let (engine, artifacts) = (self.engine.clone(), self.artifacts.clone());
            blocking(move || artifacts.load(&engine, &digest, config))
        };
        let function = match load().await?? {
            Some(function) => function,
            None => {
                self.compile(digest, component, manifest.instance).await?;
                let lost = || Problem::new(Code::Internal, "an artifact was gone as soon as it was made");
                load().await??.ok_or_else(lost)?
            }
        };
        Ok(Loaded { function, log, version })
    }

    async fn compile(
        &self,
        digest: Digest,
        component: std::path::PathBuf,
        wanted: InstanceMode,
    ) -> Result<(), Problem> {
        if component == self.store.component_path(&digest) {
            let store = self.store.clone();
            blocking(move || store.verify(&digest)).await??;
        }
        let mode = self.artifacts.mode(&self.engine, wanted);
        let code = self.compiler.compile(&component, mode).await?;
        let artifacts = self.artifacts.clone();
        let kept = blocking(move || artifacts.insert(&digest, mode, &code)).await?;
        kept.map_err(|error| {
            let code =
                if error.kind() == std::io::ErrorKind::StorageFull { Code::StoreFull } else { Code::StoreFailed };
            Problem::new(code, "the compiled component could not be kept").with_internal(error.to_string())
        })
    }

    fn deployment(&self, stored: StoredVersion, loaded: Result<Loaded, String>) -> Deployment {
        let (function, log) = match loaded {
            Ok(loaded) => {
                // Set once: what was loaded for this version serves no other.
                let _ = loaded.version.set(stored.version);
                (Ok(loaded.function), loaded.log)
            }
            Err(why) => (Err(why), self.logbook.of(&stored.name)),
        };
        let prefix = HeaderValue::from_str(&format!("/{}", stored.name));
        // One that cannot be read serves nothing, so what stands in its place limits nothing.
        let manifest = stored.manifest.unwrap_or_default();
        let concurrency = manifest.limits.concurrency;
        // Requests of the version before count too.
        let before = self.catalog.load().get(stored.name.as_str()).cloned();
        let before = before.filter(|before| before.limits().concurrency == concurrency);
        Deployment {
            places: before.map_or_else(|| Places::new(concurrency as usize), |before| before.places.clone()),
            // A name is letters, digits and hyphens, so it is always a header's value.
            prefix: prefix.unwrap_or_else(|_| HeaderValue::from_static("/")),
            metrics: self.metrics.of(&stored.name),
            name: stored.name,
            version: stored.version,
            digest: stored.digest,
            size_bytes: stored.size_bytes,
            manifest,
            deployed_unix_ms: stored.deployed_unix_ms,
            function,
            log,
        }
    }

    fn count_functions(&self) {
        self.metrics.functions.set(self.catalog.load().all().len() as i64);
    }
}

/// Runs what blocks where it may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    task::spawn_blocking(work).await.map_err(panicked)
}

/// Runs a change to its end, even if whoever asked for it goes away: the store and the catalog must not part.
pub(crate) async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    tokio::spawn(change).await.map_err(panicked)?
}

fn panicked(error: task::JoinError) -> Problem {
    Problem::new(Code::Internal, "the host failed at this").with_internal(error.to_string())
}
