//! A function in an app: where its aliases send requests, and which versions are kept.

use std::sync::Arc;

use gust_core::{AliasName, AppName, FunctionName, Traffic, name::Reference, routing::Route, traffic::Sticky};

use crate::{app::App, deployment::Deployment, function_metrics::FunctionMetrics, logbook::FunctionLog};

/// A function in an app.
pub(crate) struct Binding {
    /// The app.
    pub(crate) app: Arc<App>,
    /// The function.
    pub(crate) function: FunctionName,
    /// The app that the function belongs to.
    pub(crate) home: AppName,
    /// A number that grows with each change of the function.
    pub(crate) generation: u64,
    /// The alias that requests go through where they name no other.
    pub(crate) alias: AliasName,
    /// Where the function's aliases send requests, by name.
    pub(crate) aliases: Box<[Aliased]>,
    /// The routes of the version that its alias may go back to by itself: no other function may take them meanwhile.
    pub(crate) routes_before: Box<[Arc<Route>]>,
    /// The numbers of the versions that are kept, ascending.
    pub(crate) kept: Box<[u64]>,
    /// What the function and the host say of its requests in this app.
    pub(crate) log: Arc<FunctionLog>,
    /// What is counted of its requests in this app.
    pub(crate) metrics: Arc<FunctionMetrics>,
}

/// An alias, and where it sends requests.
pub(crate) struct Aliased {
    /// Its name.
    pub(crate) alias: AliasName,
    /// The version that gets its requests, or what the second one leaves of them.
    pub(crate) first: Arc<Deployment>,
    /// Another one, and its share in percent.
    pub(crate) second: Option<(Arc<Deployment>, u8)>,
    /// What keeps a client at one of two.
    pub(crate) sticky: Option<Sticky>,
}

/// Which deployment a request goes to.
pub(crate) enum Choice<'a> {
    /// This one.
    Here(&'a Arc<Deployment>),
    /// A version that is kept, but that no alias points to.
    Kept(u64),
    /// There is none.
    Nothing,
}

impl Binding {
    /// Where requests go that name neither a version nor an alias; none where the app's alias is not there.
    pub(crate) fn main(&self) -> Option<&Aliased> {
        self.aliased(&self.alias)
    }

    /// An alias.
    pub(crate) fn aliased(&self, alias: &AliasName) -> Option<&Aliased> {
        self.aliases.iter().find(|aliased| aliased.alias == *alias)
    }

    /// The routes that it has in this app.
    pub(crate) fn routes(&self) -> &[Arc<Route>] {
        self.main().map_or(&[], |main| &main.first.terms.routes)
    }

    /// All deployments that aliases point to; some twice.
    pub(crate) fn deployments(&self) -> impl Iterator<Item = &Arc<Deployment>> {
        self.aliases.iter().flat_map(Aliased::deployments)
    }

    /// The deployment that tells most of the function: the one that serves, else any.
    pub(crate) fn foremost(&self) -> Option<&Arc<Deployment>> {
        self.main().map(|aliased| &aliased.first).or_else(|| self.deployments().next())
    }

    /// What a version is served by.
    pub(crate) fn of_version(&self, version: u64) -> Choice<'_> {
        match self.deployments().find(|deployment| deployment.version == version) {
            Some(deployment) => Choice::Here(deployment),
            None if self.kept.binary_search(&version).is_ok() => Choice::Kept(version),
            None => Choice::Nothing,
        }
    }

    /// What a reference names, of an alias the one that `share` falls to.
    pub(crate) fn of_reference(&self, reference: &Reference, share: impl FnOnce(&Aliased) -> u8) -> Choice<'_> {
        match reference {
            Reference::Version(version) => self.of_version(*version),
            Reference::Alias(alias) => {
                self.aliased(alias).map_or(Choice::Nothing, |aliased| Choice::Here(aliased.choose(share)))
            }
        }
    }
}

impl Aliased {
    /// The deployment of one request. `share` is asked only where there are two.
    pub(crate) fn choose(&self, share: impl FnOnce(&Self) -> u8) -> &Arc<Deployment> {
        match &self.second {
            Some((second, weight)) if share(self) < *weight => second,
            _ => &self.first,
        }
    }

    fn deployments(&self) -> impl Iterator<Item = &Arc<Deployment>> {
        std::iter::once(&self.first).chain(self.second.iter().map(|(second, _)| second))
    }

    /// Where it sends requests, as a document.
    pub(crate) fn traffic(&self) -> Traffic {
        match &self.second {
            Some((second, weight)) => Traffic::split(self.first.version, second.version, *weight, self.sticky.clone()),
            None => Traffic { sticky: self.sticky.clone(), ..Traffic::all_to(self.first.version) },
        }
    }
}
