//! From what is stored to what serves: bindings and deployments, those that stay as they were taken over.

use std::sync::Arc;

use gust_core::{AliasName, AppName, Code, Problem, routing::Route};
use gust_engine::Places;
use gust_store::{StoredAlias, StoredFunction, StoredVersion};
use http::HeaderValue;

use crate::{
    app::App,
    binding::{Aliased, Binding},
    deployment::{Deployment, Parts, Terms},
    function_metrics::FunctionMetrics,
    logbook::{FunctionLog, Logbook},
    metrics::Metrics,
    residence::Residence,
};

/// Makes what serves.
pub(crate) struct Assembler {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) logbook: Logbook,
}

/// What is there already of a function that is changed.
#[derive(Default, Clone, Copy)]
pub(crate) struct Ready<'a> {
    /// Deployments of it.
    pub(crate) deployments: &'a [Arc<Deployment>],
    /// Its log in an app.
    pub(crate) log: Option<(&'a AppName, &'a Arc<FunctionLog>)>,
}

/// What a function's versions have in common in one app.
struct Common<'a> {
    app: &'a Arc<App>,
    log: Arc<FunctionLog>,
    metrics: Arc<FunctionMetrics>,
    /// Deployments that may go on serving.
    present: Vec<Arc<Deployment>>,
}

impl Assembler {
    /// A function in an app. What is in `before`, or ready, and would be made alike goes on serving.
    pub(crate) fn binding(
        &self,
        app: &Arc<App>,
        stored: &StoredFunction,
        alias: &AliasName,
        before: Option<&Arc<Binding>>,
        Ready { deployments, log }: Ready<'_>,
    ) -> Arc<Binding> {
        let mut common = self.common(app, stored, before);
        // A function that was not there before has a log since its upload was tried.
        if let Some((_, log)) = log.filter(|(of, _)| before.is_none() && **of == app.name) {
            common.log = log.clone();
        }
        common
            .present
            .extend(deployments.iter().filter(|ready| ready.app == app.name && ready.name == stored.name).cloned());
        let aliases = stored.aliases.iter().filter_map(|alias| self.aliased(&mut common, stored, alias)).collect();
        Arc::new(Binding {
            app: app.clone(),
            function: stored.name.clone(),
            home: stored.home.clone(),
            generation: stored.generation,
            alias: interned(alias),
            aliases,
            routes_before: routes_before(stored, alias),
            kept: stored.kept.clone().into(),
            log: common.log,
            metrics: common.metrics,
        })
    }

    /// A version in the app of a binding, on the terms of today.
    pub(crate) fn of_version(&self, binding: &Arc<Binding>, version: &StoredVersion) -> Arc<Deployment> {
        let common = Common {
            app: &binding.app,
            log: binding.log.clone(),
            metrics: binding.metrics.clone(),
            present: binding.deployments().cloned().collect(),
        };
        self.deployment(&common, version)
    }

    /// The log of a function in an app, begun where there is none.
    pub(crate) fn log(&self, stored: &gust_core::FunctionName, before: Option<&Arc<Binding>>) -> Arc<FunctionLog> {
        before.map_or_else(|| self.logbook.begin(stored), |before| before.log.clone())
    }

    fn common<'a>(&self, app: &'a Arc<App>, stored: &StoredFunction, before: Option<&Arc<Binding>>) -> Common<'a> {
        let metrics = before.map(|before| before.metrics.clone());
        Common {
            app,
            log: self.log(&stored.name, before),
            metrics: metrics.unwrap_or_else(|| self.metrics.of(&app.name, &stored.name)),
            present: before.map_or_else(Vec::new, |before| before.deployments().cloned().collect()),
        }
    }

    /// None where a version is not there that it points to.
    fn aliased(&self, common: &mut Common<'_>, stored: &StoredFunction, alias: &StoredAlias) -> Option<Aliased> {
        let mut of_version = |number: u64| {
            let version = stored.targets.iter().find(|version| version.version == number)?;
            let deployment = self.deployment(common, version);
            common.present.push(deployment.clone());
            Some(deployment)
        };
        let first = of_version(alias.traffic.first())?;
        let second = match alias.traffic.second() {
            Some(second) => Some((of_version(second.version)?, second.weight)),
            None => None,
        };
        Some(Aliased { alias: interned(&alias.alias), first, second, sticky: alias.traffic.sticky.clone() })
    }

    /// A version in an app: the one that is present, where it would be made alike.
    fn deployment(&self, common: &Common<'_>, stored: &StoredVersion) -> Arc<Deployment> {
        let (terms, residence) = match terms(common.app, stored) {
            Ok(terms) => (terms, Residence::default()),
            Err(problem) => {
                tracing::error!(function = %stored.name, app = %common.app.name, %problem, "not available");
                (Terms::unserved(stored.digest, stored.manifest.as_ref().ok()), Residence::never(problem))
            }
        };
        let is_same = |present: &&Arc<Deployment>| {
            present.version == stored.version && present.deployed_unix_ms == stored.deployed_unix_ms
        };
        let is_alike = |present: &&Arc<Deployment>| {
            present.terms == terms && residence.failure().is_none() && present.residence.why_never().is_none()
        };
        let mut same = common.present.iter().rev().filter(is_same);
        if let Some(present) = same.clone().find(is_alike) {
            return present.clone();
        }
        let health = same.next().map_or_else(Arc::default, |present| present.health.clone());
        let prefix = HeaderValue::from_str(&format!("/{}", stored.name));
        let parts = Parts {
            app: common.app.name.clone(),
            name: stored.name.clone(),
            version: stored.version,
            size_bytes: stored.size_bytes,
            deployed_unix_ms: stored.deployed_unix_ms,
            places: places(&common.present, terms.limits.concurrency),
            // A name is letters, digits and hyphens, so it is always a header's value.
            prefix: prefix.unwrap_or_else(|_| HeaderValue::from_static("/")),
            log: common.log.clone(),
            metrics: common.metrics.clone(),
            cpu: common.app.quota.cpu.clone(),
            share: common.app.quota.share.clone(),
            storage_bytes_max: common.app.quota.storage_bytes_max.clone(),
            health,
        };
        Deployment::new(parts, terms, residence)
    }
}

/// How a version is served in an app, or why it cannot be.
pub(crate) fn terms(app: &App, stored: &StoredVersion) -> Result<Terms, Problem> {
    let manifest = stored.manifest.as_ref().map_err(|why| {
        let detail = format!("its stored manifest cannot be read; deploy it again: {why}");
        Problem::new(Code::ManifestInvalid, detail)
    })?;
    app.terms(stored.digest, manifest)
}

/// The routes of the version that an alias may go back to by itself.
fn routes_before(stored: &StoredFunction, alias: &AliasName) -> Box<[Arc<Route>]> {
    let watch = stored.aliases.iter().find(|stored| stored.alias == *alias).and_then(|stored| stored.watch.as_ref());
    let before = watch.and_then(|watch| stored.targets.iter().find(|target| target.version == watch.before.first()));
    let manifest = before.and_then(|before| before.manifest.as_ref().ok());
    manifest.and_then(|manifest| manifest.routes().ok()).unwrap_or_default().into()
}

/// Places for so many requests. Those that run on other versions of the function count too.
fn places(present: &[Arc<Deployment>], concurrency: u32) -> Arc<Places> {
    let same = present.iter().find(|present| present.limits().concurrency == concurrency);
    same.map_or_else(|| Places::new(concurrency as usize), |present| present.places.clone())
}

/// The one name that nearly all aliases have, once.
fn interned(alias: &AliasName) -> AliasName {
    if alias.is_live() { AliasName::live() } else { alias.clone() }
}
