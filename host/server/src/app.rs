//! An app as it serves: its owner's document, its configuration and opened secrets, and what of its quotas is used.

use std::{collections::BTreeMap, sync::Arc};

use gust_access::{Issuers, SecretValue};
use gust_core::{AppName, AppSpec, Code, Digest, Manifest, Problem, api::IssuerInfo, app::Config, limits::LimitCaps};

use crate::{
    deployment::Terms,
    quota::{CpuAccount, Quota},
    vault::Secrets,
};

/// An app.
pub(crate) struct App {
    /// Its name.
    pub(crate) name: AppName,
    /// What its owner decides.
    pub(crate) spec: AppSpec,
    /// A number that grows with each change.
    pub(crate) revision: u64,
    /// What its functions see.
    pub(crate) config: Config,
    /// What its functions see which name it; or why it cannot be had.
    pub(crate) secrets: Secrets,
    /// The names of its secrets, also of those that cannot be had.
    pub(crate) secret_names: Vec<String>,
    /// Whose JSON Web Tokens are believed; or why nobody's are.
    pub(crate) issuers: Result<Issuers, Problem>,
    /// The issuers as they are told of.
    pub(crate) issuers_told: Vec<IssuerInfo>,
    /// What its functions may use together.
    pub(crate) quota: Quota,
    /// The most that functions' limits are on this host.
    pub(crate) limits_max: LimitCaps,
}

impl App {
    /// The app that is there before there is any other.
    pub(crate) fn empty(name: AppName) -> Arc<Self> {
        let spec = AppSpec::default();
        let quota = Quota::new(&spec.quotas, None, Arc::<CpuAccount>::default());
        Arc::new(Self {
            name,
            spec,
            revision: 0,
            config: Config::new(),
            secrets: Ok(BTreeMap::new()),
            secret_names: Vec::new(),
            issuers: Err(no_issuer()),
            issuers_told: Vec::new(),
            quota,
            limits_max: LimitCaps::default(),
        })
    }

    /// How a component with this manifest is served in this app: the manifest's environment, the app's configuration over it,
    /// and those secrets that the manifest names.
    pub(crate) fn terms(&self, digest: Digest, manifest: &Manifest) -> Result<Terms, Problem> {
        let mut env: BTreeMap<&str, &str> = BTreeMap::new();
        env.extend(manifest.env.iter().chain(&self.config).map(|(name, value)| (name.as_str(), value.as_str())));
        if !manifest.secrets.is_empty() {
            let secrets = self.secrets.as_ref().map_err(Clone::clone)?;
            for name in &manifest.secrets {
                let (name, value) = secrets.get_key_value(name).ok_or_else(|| self.missing(name))?;
                env.insert(name, SecretValue::expose(value));
            }
        }
        Ok(Terms {
            digest,
            limits: self.spec.limits(&manifest.limits).capped(&self.limits_max),
            instance: manifest.instance,
            is_cgi: manifest.cgi,
            middleware: manifest.middleware.clone().into(),
            access: manifest.access,
            allow: manifest.allow.clone(),
            kv: manifest.kv.clone(),
            routes: manifest.routes()?.into(),
            secrets: manifest.secrets.clone().into(),
            env: env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        })
    }

    fn missing(&self, secret: &str) -> Problem {
        let app = &self.name;
        let detail = format!("the app {app} has no secret {secret}; set it: gust secret set {secret} --app {app}");
        Problem::new(Code::SecretMissing, detail)
    }
}

/// No issuer's tokens are believed.
pub(crate) fn no_issuer() -> Problem {
    Problem::new(Code::AccessJwtRequired, "the function's app believes no issuer yet")
}

/// There is no app of that name.
pub(crate) fn no_app(name: &AppName) -> Problem {
    Problem::new(
        Code::AppNotFound,
        format!("there is no app {name}, or none that this token may see; to make it: gust app set {name}"),
    )
}
