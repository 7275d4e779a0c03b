//! From a deployment to its loaded function: loaded when it is first used, compiled before where there is no artifact.
//!
//! Nothing is loaded for a function that nobody calls. A thousand requests that come at once for one that is not loaded wait,
//! without holding a thread, for one and the same load; the same goes for components that are uploaded several times at once,
//! and their one compilation. What is compiled while somebody waits is compiled quickly, and remembered as to be
//! [optimised](crate::optimiser).

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Instant,
};

use arc_swap::Guard;
use gust_core::{Code, InstanceMode, Problem, Tier};
use gust_engine::{ArtifactCache, ArtifactKey, Engine, Function, FunctionConfig, Lease};
use gust_store::Store;
use tokio::{
    sync::Semaphore,
    task,
    time::{self, Duration},
};

use crate::{
    calls::Exchange,
    compiler::Compiler,
    deployment::Deployment,
    flights::Flights,
    logbook::GuestOutput,
    metrics::Metrics,
    residence::{InUse, Loaded},
    residents::Residents,
    state,
    wanted::Wanted,
    work::blocking,
};

/// The longest that making an instance only to see whether it can be made may take, its init included.
const PROBE_MAX: Duration = Duration::from_secs(5);

/// Such instances at the same time.
const PROBES_MAX: usize = 8;

/// They take no more of the pool than one part of so many.
const PROBES_POOL_PARTS: usize = 4;

/// How long a deploy waits for its turn to make one.
const PROBE_WAIT_MAX: Duration = Duration::from_secs(20);

/// Functions that are loaded at the same time, for each core: reading and checking an artifact is mostly work for it.
const LOADING_PER_CORE: usize = 2;

/// Loads and compiles for a host.
pub(crate) struct Loader {
    engine: Engine,
    artifacts: Arc<ArtifactCache>,
    store: Arc<Store>,
    compiler: Compiler,
    metrics: Arc<Metrics>,
    /// What is loaded.
    pub(crate) residents: Residents,
    /// What runs on quick code.
    pub(crate) wanted: Wanted,
    /// Where functions' requests go.
    pub(crate) exchange: Exchange,
    compiling: Flights<ArtifactKey, Result<(), Problem>>,
    /// By the deployment's serial.
    loading: Flights<u64, Result<Arc<Loaded>, Problem>>,
    places: Semaphore,
    /// For instances that are made only to see whether they can be.
    probes: Semaphore,
}

/// What a component is loaded from and for.
#[derive(Clone)]
pub(crate) struct Source {
    /// Its artifact.
    pub(crate) key: ArtifactKey,
    /// Where it is, should there be no artifact.
    pub(crate) component: PathBuf,
    /// On what terms it is loaded.
    pub(crate) config: FunctionConfig,
}

impl Loader {
    /// Loads what `artifacts` holds; else compiles it.
    pub(crate) fn new(
        engine: Engine,
        artifacts: ArtifactCache,
        store: Arc<Store>,
        compiler: Compiler,
        residents: Residents,
        metrics: Arc<Metrics>,
        exchange: Exchange,
    ) -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let probes = (engine.settings().instances_max as usize / PROBES_POOL_PARTS).clamp(1, PROBES_MAX);
        Arc::new(Self {
            engine,
            artifacts: Arc::new(artifacts),
            store,
            compiler,
            wanted: Wanted::new(metrics.to_optimise.clone()),
            metrics,
            residents,
            exchange,
            compiling: Flights::new(),
            loading: Flights::new(),
            places: Semaphore::new(cores * LOADING_PER_CORE),
            probes: Semaphore::new(probes),
        })
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The artifacts.
    pub(crate) fn artifacts(&self) -> &Arc<ArtifactCache> {
        &self.artifacts
    }

    /// The artifact of a component for functions that ask for `wanted`.
    pub(crate) fn key(&self, digest: gust_core::Digest, wanted: InstanceMode) -> ArtifactKey {
        ArtifactKey { digest, mode: self.artifacts.mode(&self.engine, wanted) }
    }

    /// The function of a deployment that is not loaded: waits until it is, but not beyond `deadline`.
    pub(crate) async fn load(
        self: &Arc<Self>,
        deployment: &Arc<Deployment>,
        deadline: time::Instant,
    ) -> Result<InUse, Problem> {
        if let Some(problem) = deployment.residence.failure() {
            return Err(unavailable(&problem));
        }
        let loading = self.loading.join(deployment.serial, || self.clone().loaded(deployment.clone()));
        let loaded = time::timeout_at(deadline, loading).await.map_err(|_| still_loading())?;
        loaded?.map(|loaded| Guard::from_inner(Some(loaded))).map_err(|problem| unavailable(&problem))
    }

    /// Loads the function of a deployment and puts it where requests find it.
    async fn loaded(self: Arc<Self>, deployment: Arc<Deployment>) -> Result<Arc<Loaded>, Problem> {
        if let Some(loaded) = &*deployment.residence.look() {
            return Ok(loaded.clone());
        }
        let began = Instant::now();
        match self.function(self.source(&deployment)).await {
            Ok(function) => {
                self.metrics.loads.observe(began.elapsed().as_secs_f64());
                let loaded = self.counted(function);
                self.residents.settle(&deployment, loaded.clone());
                if self.residents.many_left() {
                    let loader = self.clone();
                    task::spawn_blocking(move || loader.residents.drop_unused());
                }
                self.have_optimised(&deployment, &loaded);
                Ok(loaded)
            }
            Err(problem) => {
                tracing::error!(function = %deployment.name, %problem, internal = problem.internal, "not available");
                if problem.code != Code::HostBusy {
                    deployment.residence.fails(problem.clone());
                }
                Err(problem)
            }
        }
    }

    /// Has the code of a deployment that is in force optimised, where that is still to be done.
    pub(crate) fn have_optimised(&self, deployment: &Arc<Deployment>, loaded: &Loaded) {
        if loaded.function.tier() == Tier::Quick {
            self.wanted.push(deployment);
        }
    }

    /// A function that is loaded, and counted as such.
    pub(crate) fn counted(&self, function: Function) -> Arc<Loaded> {
        let counted = self.metrics.loaded(function.tier());
        Loaded::new(function, counted)
    }

    /// What a deployment is loaded from.
    pub(crate) fn source(&self, deployment: &Deployment) -> Source {
        let version = Arc::new(OnceLock::from(deployment.version));
        let terms = &deployment.terms;
        let component = self.store.component_path(&terms.digest);
        let config = FunctionConfig {
            limits: terms.limits.clone(),
            env: terms.env.clone(),
            config: terms.env.clone(),
            sink: Arc::new(GuestOutput { log: deployment.log.clone(), version }),
            outbound: self.exchange.of(&deployment.app, &deployment.name, &terms.allow),
            state: state::of(&self.store, &deployment.app, terms, &deployment.storage_bytes_max),
            instance: terms.instance,
            is_cgi: terms.is_cgi,
            share: deployment.share.clone(),
        };
        Source { key: self.key(terms.digest, terms.instance), component, config }
    }

    /// Loads a component from its best artifact, compiled where there is none that can be trusted.
    pub(crate) async fn function(self: &Arc<Self>, source: Source) -> Result<Function, Problem> {
        if let Some(function) = self.mapped(&source).await? {
            return Ok(function);
        }
        let (loader, key, component) = (self.clone(), source.key, source.component.clone());
        self.compiling.join(key, || loader.compiled(key, component)).await??;
        let lost = || Problem::new(Code::Internal, "an artifact was gone as soon as it was made");
        self.mapped(&source).await?.ok_or_else(lost)
    }

    async fn mapped(&self, source: &Source) -> Result<Option<Function>, Problem> {
        let gone = |_| Problem::new(Code::Internal, "the host is going down");
        let _place = self.places.acquire().await.map_err(gone)?;
        let (engine, artifacts, source) = (self.engine.clone(), self.artifacts.clone(), source.clone());
        blocking(move || artifacts.load(&engine, &source.key, &source.config)).await?
    }

    /// Compiles a component quickly, unless somebody has done so meanwhile.
    async fn compiled(self: Arc<Self>, key: ArtifactKey, component: PathBuf) -> Result<(), Problem> {
        if Tier::BEST_FIRST.iter().any(|tier| self.artifacts.holds(&key, *tier)) {
            return Ok(());
        }
        self.compile(key, component, Tier::Quick).await
    }

    /// Compiles a component, and keeps the artifact.
    pub(crate) async fn compile(&self, key: ArtifactKey, component: PathBuf, tier: Tier) -> Result<(), Problem> {
        if component == self.store.component_path(&key.digest) {
            let store = self.store.clone();
            blocking(move || store.verify(&key.digest)).await??;
        }
        let artifacts = self.artifacts.clone();
        let staged = blocking(move || artifacts.stage()).await?.map_err(not_kept)?;
        self.compiler.compile(&component, staged.path(), key.mode, tier).await?;
        self.metrics.compiled(tier);
        let artifacts = self.artifacts.clone();
        blocking(move || artifacts.keep(&key, tier, staged)).await?.map_err(not_kept)
    }

    /// Makes an instance, for a moment: few at once, and not for long, so that uploads cannot take the pool from requests.
    pub(crate) async fn probe(&self, function: &Function, wall_ms: u32) -> Result<(), Problem> {
        let wall = Duration::from_millis(wall_ms.into()).min(PROBE_MAX);
        let busy =
            |_| Problem::new(Code::HostBusy, "other components are being tried, which take long; try again later");
        let Ok(_place) = time::timeout(PROBE_WAIT_MAX, self.probes.acquire()).await.map_err(busy)? else {
            return Err(Problem::new(Code::HostBusy, "the host is going down"));
        };
        Lease::probe(function, wall).await
    }
}

fn unavailable(problem: &Problem) -> Problem {
    match problem.code {
        Code::HostBusy => problem.clone(),
        // What an app keeps secret, and how that is called, is nothing for clients.
        Code::SecretMissing | Code::SecretUnreadable => {
            let detail = "a secret that it names is missing or cannot be read; gust inspect says which";
            Problem::new(Code::FunctionUnavailable, detail).with_internal(problem.to_string())
        }
        _ => Problem::new(Code::FunctionUnavailable, problem.to_string()),
    }
}

fn still_loading() -> Problem {
    Problem::new(Code::FunctionLoading, "it goes on being loaded; try again in a moment")
}

fn not_kept(error: std::io::Error) -> Problem {
    let code = if error.kind() == std::io::ErrorKind::StorageFull { Code::StoreFull } else { Code::StoreFailed };
    Problem::new(code, "the compiled component could not be kept").with_internal(error.to_string())
}
