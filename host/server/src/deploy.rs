//! The way of a deploy: compile, load, probe, store, publish.
//!
//! Nothing is routable before it is durable, and a step that fails leaves the catalog and the store as they were. The
//! probe comes before storing, so that a component that cannot be instantiated is never a version.

use std::sync::{Arc, OnceLock};

use gust_core::{AliasName, AppName, Code, Conditions, Digest, FunctionName, Manifest, Problem, traffic::Sticky};
use gust_engine::FunctionConfig;
use gust_store::{Durable, Published, Release, Staged, Staging};

use crate::{
    app::{App, no_app},
    changes::Changes,
    loader::Source,
    logbook::{FunctionLog, GuestOutput, unix_ms},
    prepared::Prepared,
    state,
    work::blocking,
};

/// What whoever deploys says besides the component and its manifest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    /// The app. None for the one that the function belongs to, and the default one for a new function.
    pub(crate) app: Option<AppName>,
    /// The alias that is to point to it. None for `live`.
    pub(crate) alias: Option<AliasName>,
    /// Its share of `live`, in percent.
    pub(crate) weight: Option<u8>,
    /// What keeps clients at one version.
    pub(crate) sticky: Option<Sticky>,
    /// On what conditions it stays.
    pub(crate) conditions: Option<Conditions>,
    /// The generation that the function must have.
    pub(crate) if_generation: Option<u64>,
}

/// What a deploy came to.
pub(crate) struct Deployed {
    pub(crate) version: u64,
    pub(crate) digest: Digest,
    pub(crate) is_new: bool,
}

impl Changes {
    /// Begins an upload.
    pub(crate) async fn stage(&self) -> Result<Staging, Problem> {
        let bytes_max = u64::from(self.config.upload_mib_max) << 20;
        let store = self.store.clone();
        Ok(blocking(move || store.stage(bytes_max)).await??)
    }

    /// Makes a version of an upload, and has aliases point to it.
    pub(crate) async fn deploy(
        &self,
        name: FunctionName,
        staging: Staging,
        manifest: Manifest,
        wishes: Wishes,
    ) -> Result<Deployed, Problem> {
        self.check(&name, &manifest, &wishes)?;
        let staged = staging.finish();
        if staged.size_bytes == 0 {
            return Err(Problem::new(Code::UploadIncomplete, "the upload holds no component"));
        }
        let app = self.app_for(&name, wishes.app.as_ref())?;
        self.has_middleware(&app, &name, &manifest)?;
        let preparing = self.prepare(&app, &name, &staged, &manifest)?;
        // The disk is waited for meanwhile.
        let (prepared, durable) = tokio::join!(preparing, blocking(move || staged.sync()));
        // First: an upload that the disk did not take is gone, and the compiler did not find it.
        let durable = durable??;
        let prepared = prepared?;
        let turn = self.changing.lock().await;
        // It may have been removed, or its quotas changed.
        let app = self.app_for(&name, Some(&app.name))?;
        let published = self.publish(&name, durable, manifest, self.release(&app, wishes)).await?;
        let (version, is_new) = (published.version.version, published.is_new);
        self.refresh(&name, &[], Some((prepared, version))).await?;
        drop(turn);
        let digest = published.version.digest;
        tracing::info!(function = %name, app = %app.name, version, %digest, is_new, "deployed");
        Ok(Deployed { version, digest, is_new })
    }

    fn check(&self, name: &FunctionName, manifest: &Manifest, wishes: &Wishes) -> Result<(), Problem> {
        manifest.check_memory(self.config.memory_mib_max)?;
        if let Some(other) = manifest.name.as_ref().filter(|other| *other != name) {
            let detail = format!("the manifest names the function {other}, the upload {name}");
            return Err(Problem::new(Code::ManifestInvalid, detail));
        }
        if wishes.weight.is_some_and(|weight| !(1..=99).contains(&weight)) {
            return Err(Problem::new(
                Code::AliasInvalid,
                "weight is from 1 to 99 percent; leave it out for all requests",
            ));
        }
        wishes.conditions.as_ref().map_or(Ok(()), Conditions::check)
    }

    /// Whether the functions are in the app that requests are to go through before: without them none would be answered.
    fn has_middleware(&self, app: &App, name: &FunctionName, manifest: &Manifest) -> Result<(), Problem> {
        if manifest.middleware.contains(name) {
            let detail = format!("middleware names {name}, which is the function itself");
            return Err(Problem::new(Code::ManifestInvalid, detail));
        }
        let snapshot = self.catalog.load();
        let entry = snapshot.app(app.name.as_str());
        let is_there = |name: &&FunctionName| entry.is_some_and(|entry| entry.get(name.as_str()).is_some());
        let Some(absent) = manifest.middleware.iter().find(|name| !is_there(name)) else { return Ok(()) };
        let detail = format!("middleware names {absent}, which is not in the app {}; deploy it first", app.name);
        Err(Problem::new(Code::ManifestInvalid, detail))
    }

    /// The app that a function is deployed to.
    pub(crate) fn app_for(&self, name: &FunctionName, wanted: Option<&AppName>) -> Result<Arc<App>, Problem> {
        let snapshot = self.catalog.load();
        let home = snapshot.function(name.as_str()).map(|binding| binding.app.clone());
        if let Some(absent) = wanted.filter(|wanted| snapshot.app(wanted.as_str()).is_none()) {
            return Err(no_app(absent));
        }
        let app = match (home, wanted) {
            (Some(home), Some(wanted)) if home.name != *wanted => {
                let detail = format!("the function {name} belongs to another app; choose another name, or bind it");
                return Err(Problem::new(Code::FunctionElsewhere, detail));
            }
            (Some(home), _) => home,
            (None, wanted) => {
                let wanted = wanted.cloned().unwrap_or_else(AppName::default_app);
                snapshot.app(wanted.as_str()).map(|entry| entry.app.clone()).ok_or_else(|| no_app(&wanted))?
            }
        };
        Ok(app)
    }

    fn release(&self, app: &App, wishes: Wishes) -> Release {
        Release {
            app: app.name.clone(),
            alias: wishes.alias,
            weight: wishes.weight,
            sticky: wishes.sticky,
            conditions: wishes.conditions,
            unix_ms: unix_ms(),
            versions_kept: self.config.versions_kept as usize,
            stored_bytes_max: app.spec.quotas.stored_bytes,
            if_generation: wishes.if_generation,
        }
    }

    /// Loads an upload, compiled before where that was not done, and sees whether an instance of it can be made.
    fn prepare(
        &self,
        app: &App,
        name: &FunctionName,
        staged: &Staged,
        manifest: &Manifest,
    ) -> Result<impl Future<Output = Result<Prepared, Problem>> + use<>, Problem> {
        let (log, version) = (self.log(app, name), Arc::<OnceLock<u64>>::default());
        let terms = app.terms(staged.digest, manifest)?;
        let (share, storage_bytes_max) = (app.quota.share.clone(), app.quota.storage_bytes_max.clone());
        let app = app.name.clone();
        if staged.size_bytes > terms.limits.component_bytes() {
            let (bytes, mib) = (staged.size_bytes, terms.limits.component_mib);
            let detail = format!("the component has {bytes} bytes; the function's limit component_mib is {mib}");
            return Err(Problem::new(Code::LimitComponent, detail));
        }
        let config = FunctionConfig {
            limits: terms.limits.clone(),
            env: terms.env.clone(),
            config: terms.env.clone(),
            sink: Arc::new(GuestOutput { log: log.clone(), version: version.clone() }),
            outbound: self.loader.exchange.of(&app, name, &terms.allow),
            state: state::of(&self.store, &app, &terms, &storage_bytes_max),
            instance: terms.instance,
            is_cgi: terms.is_cgi,
            share,
        };
        let (key, component) = (self.loader.key(terms.digest, terms.instance), staged.path().to_owned());
        let (loader, wall_ms) = (self.loader.clone(), terms.limits.wall_ms);
        Ok(async move {
            let function = loader.function(Source { key, component, config }).await?;
            loader.probe(&function, wall_ms).await?;
            Ok(Prepared { loaded: loader.counted(function), terms, app, log, version })
        })
    }

    /// The log of a function in an app.
    fn log(&self, app: &App, name: &FunctionName) -> Arc<FunctionLog> {
        let snapshot = self.catalog.load();
        let before = snapshot.app(app.name.as_str()).and_then(|entry| entry.get(name.as_str()));
        self.assembler.log(name, before)
    }

    async fn publish(
        &self,
        name: &FunctionName,
        durable: Durable,
        manifest: Manifest,
        release: Release,
    ) -> Result<Published, Problem> {
        let (store, name, may_be) = (self.store.clone(), name.clone(), self.may_be());
        blocking(move || store.publish(&name, durable, &manifest, &release, may_be)).await?
    }
}
