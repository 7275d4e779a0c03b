//! A component that is loaded and tried before its deploy is stored.

use std::sync::{Arc, OnceLock};

use gust_core::AppName;

use crate::{
    deployment::{Deployment, Terms},
    loader::Loader,
    logbook::FunctionLog,
    residence::Loaded,
};

/// A loaded component whose version is not known yet.
pub(crate) struct Prepared {
    pub(crate) loaded: Arc<Loaded>,
    pub(crate) terms: Terms,
    pub(crate) app: AppName,
    pub(crate) log: Arc<FunctionLog>,
    pub(crate) version: Arc<OnceLock<u64>>,
}

impl Prepared {
    /// The function's log in the app that it is deployed to.
    pub(crate) fn log(&self) -> (&AppName, &Arc<FunctionLog>) {
        (&self.app, &self.log)
    }

    /// Puts what is loaded where requests of its version find it, if that is among these and on the same terms.
    pub(crate) fn settle<'a>(
        self,
        loader: &Arc<Loader>,
        version: u64,
        among: impl Iterator<Item = &'a Arc<Deployment>>,
    ) {
        // Set once: what was loaded for this version serves no other.
        let _ = self.version.set(version);
        let is_meant = |to: &&Arc<Deployment>| to.version == version && to.app == self.app && to.terms == self.terms;
        let mut among = among;
        if let Some(deployment) = among.find(is_meant).filter(|deployment| deployment.residence.look().is_none()) {
            loader.residents.settle(deployment, self.loaded.clone());
            loader.have_optimised(deployment, &self.loaded);
        }
    }
}
