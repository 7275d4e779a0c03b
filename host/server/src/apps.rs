//! Changes of apps: their documents, their configuration, their secrets.

use std::sync::{Arc, PoisonError};

use gust_access::{Scope, SecretValue, Target};
use gust_core::{AppName, AppSpec, Code, Problem, app::Config};
use gust_store::{SettingKind, StoreError, StoredApp, StoredSetting};

use crate::{
    app::{App, no_app},
    assembly::Ready,
    binding::Binding,
    changes::Changes,
    issuers,
    logbook::unix_ms,
    quota::{self, CpuAccount, Quota},
    routing,
    snapshot::{Bound, Entry, Functions},
    work::blocking,
};

impl Changes {
    /// Makes an app, or changes what its owner decides. Says whether it is new.
    pub(crate) async fn set_app(
        &self,
        name: &AppName,
        spec: AppSpec,
        if_revision: Option<u64>,
    ) -> Result<bool, Problem> {
        spec.check()?;
        let turn = self.changing.lock().await;
        routing::check_hosts(&self.catalog.load(), name, &spec.hosts)?;
        let (store, owned) = (self.store.clone(), name.clone());
        let is_new = blocking(move || store.set_app(&owned, &spec, if_revision)).await??;
        self.refresh_app(name).await?;
        drop(turn);
        tracing::info!(app = %name, is_new, "app changed");
        Ok(is_new)
    }

    /// Removes an app that no function is in.
    pub(crate) async fn remove_app(&self, name: &AppName, if_revision: Option<u64>) -> Result<(), Problem> {
        if name.is_default() {
            return Err(Problem::new(Code::AppInvalid, "the default app cannot be removed"));
        }
        let turn = self.changing.lock().await;
        let is_for_it = |scope: &Scope| scope.target == Target::App(name.clone());
        let tokens = self.tokens().await?;
        if let Some(token) = tokens.iter().find(|token| token.scopes.iter().any(is_for_it)) {
            // Whoever makes an app of this name later would find them good.
            let detail = format!("tokens are for this app; revoke them first: gust token rm {}", token.name);
            return Err(Problem::new(Code::AppNotEmpty, detail));
        }
        let (store, owned) = (self.store.clone(), name.clone());
        if !blocking(move || store.delete_app(&owned, if_revision)).await?? {
            return Err(no_app(name));
        }
        self.catalog.change(|next| next.remove_app(name));
        let (store, owned) = (self.store.clone(), name.clone());
        if let Err(error) = blocking(move || store.state().remove_app(&owned)).await? {
            // The next start tries again.
            tracing::error!(app = %name, %error, "what the app kept could not be removed");
        }
        drop(turn);
        Ok(())
    }

    /// Sets a value of the configuration, or a secret, which is sealed; where `may_be` says that the app may have it.
    pub(crate) async fn set_value(
        &self,
        app: &AppName,
        kind: SettingKind,
        key: String,
        value: String,
        may_be: impl FnOnce(&Entry) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let bytes = match kind {
            SettingKind::Secret => self.vault.seal(app, &key, &SecretValue::from(value))?,
            _ => value.into_bytes(),
        };
        self.set_setting(app, kind, key, Some(bytes), may_be).await?;
        Ok(())
    }

    /// Sets a value of an app's, or removes it. Says whether anything was changed. `may_be` is asked about the app as it is when that
    /// is this change's turn.
    pub(crate) async fn set_setting(
        &self,
        app: &AppName,
        kind: SettingKind,
        key: String,
        value: Option<Vec<u8>>,
        may_be: impl FnOnce(&Entry) -> Result<(), Problem>,
    ) -> Result<bool, Problem> {
        let turn = self.changing.lock().await;
        let entry = self.catalog.load().app(app.as_str()).cloned().ok_or_else(|| no_app(app))?;
        if kind == SettingKind::Secret && value.is_none() {
            self.must_be_unused(&entry, &key).await?;
        }
        may_be(&entry)?;
        let (store, name, shown) = (self.store.clone(), app.clone(), key.clone());
        let changed = blocking(move || store.set_setting(&name, (kind, &key), value.as_deref(), unix_ms())).await??;
        if changed {
            self.refresh_app(app).await?;
            tracing::info!(%app, ?kind, name = shown, "app changed");
        }
        drop(turn);
        Ok(changed)
    }

    /// Makes what serves of an app anew from the store. Whoever calls it holds `changing`.
    pub(crate) async fn refresh_app(&self, name: &AppName) -> Result<(), Problem> {
        let (store, owned) = (self.store.clone(), name.clone());
        let stored = blocking(move || store.app(&owned)).await??.ok_or_else(|| no_app(name))?;
        let app = self.opened(stored)?;
        let before = self.catalog.load().app(name.as_str()).cloned();
        let mut bindings = Vec::new();
        for bound in before.iter().flat_map(|entry| entry.functions.iter()) {
            bindings.push(self.rebound(&app, &bound.0).await?);
        }
        self.warm(&bindings).await;
        #[expect(clippy::mutable_key_type, reason = "a binding's function never changes")]
        let functions: Functions = bindings.iter().cloned().map(Bound).collect();
        self.catalog.change(|next| next.set_app(Entry { app, functions: Arc::new(functions) }));
        self.have_optimised(&bindings);
        self.pinned.forget(|app, _| app == name);
        Ok(())
    }

    async fn rebound(&self, app: &Arc<App>, before: &Arc<Binding>) -> Result<Arc<Binding>, Problem> {
        let (store, name) = (self.store.clone(), before.function.clone());
        let stored = blocking(move || store.function(&name)).await??;
        let gone = || crate::changes::no_function(&before.function);
        let stored = stored.ok_or_else(gone)?;
        Ok(self.assembler.binding(app, &stored, &before.alias, Some(before), Ready::default()))
    }

    /// An app out of what is stored of it. What it has used of its quotas goes on to count.
    pub(crate) fn opened(&self, stored: StoredApp) -> Result<Arc<App>, StoreError> {
        let StoredApp { name, spec, revision, settings } = stored;
        let spec = spec.unwrap_or_else(|why| {
            tracing::error!(app = %name, why, "its stored document cannot be read; set it again");
            AppSpec::default()
        });
        let before = self.catalog.load().app(name.as_str()).filter(|entry| entry.app.revision > 0).cloned();
        let cpu = match &before {
            Some(before) => before.app.quota.cpu.clone(),
            None => self.cpu_account(&name)?,
        };
        let quota = Quota::new(&spec.quotas, before.as_ref().map(|before| &before.app.quota), cpu);
        let secrets = self.vault.open_all(&name, &settings);
        if let Err(problem) = &secrets {
            tracing::error!(app = %name, %problem, "its secrets cannot be read");
        }
        let (issuers, issuers_told) = issuers::of(&settings);
        let config = config(&settings);
        let names = settings.iter().filter(|setting| setting.kind == SettingKind::Secret);
        let secret_names = names.map(|setting| setting.name.clone()).collect();
        let limits_max = self.config.caps();
        Ok(Arc::new(App {
            name,
            spec,
            revision,
            config,
            secrets,
            secret_names,
            issuers,
            issuers_told,
            quota,
            limits_max,
        }))
    }

    /// Writes down what guests ran today, where that is limited, so that a restart does not forget it.
    pub(crate) async fn note_usage(&self) {
        let (now, snapshot) = (unix_ms(), self.catalog.load().clone());
        let limited = snapshot.apps().filter(|entry| entry.app.spec.quotas.cpu_ms_per_day.is_some());
        let used = limited.map(|entry| (entry.app.name.clone(), entry.app.quota.cpu.us(now)));
        let changed: Vec<_> = used.filter(|(app, us)| self.noted_cpu_us(app) != Some(*us)).collect();
        if changed.is_empty() {
            return;
        }
        let (store, today, noted) = (self.store.clone(), quota::day(now), changed.clone());
        match blocking(move || store.note_cpu_us(today, &noted)).await {
            Ok(Ok(())) => self.noted.lock().unwrap_or_else(PoisonError::into_inner).extend(changed),
            Ok(Err(error)) => tracing::warn!(%error, "what apps used today could not be written down"),
            Err(problem) => tracing::warn!(%problem, "what apps used today could not be written down"),
        }
    }

    /// Fails where functions of the app name a secret: in versions that serve, or that an alias may go back to by itself.
    async fn must_be_unused(&self, entry: &Entry, secret: &str) -> Result<(), Problem> {
        let mut users = Vec::new();
        for binding in entry.functions.iter().map(|bound| &bound.0) {
            let mut deployments = binding.deployments();
            let names_it = |names: &[String]| names.iter().any(|name| name == secret);
            let mut is_used = deployments.any(|deployment| names_it(&deployment.terms.secrets));
            for version in self.watches.before(&binding.function) {
                let (store, name) = (self.store.clone(), binding.function.clone());
                let stored = blocking(move || store.version(&name, version)).await??;
                let manifest = stored.and_then(|stored| stored.manifest.ok());
                is_used |= manifest.is_some_and(|manifest| names_it(&manifest.secrets));
            }
            if is_used {
                users.push(binding.function.as_str());
            }
        }
        if users.is_empty() {
            return Ok(());
        }
        let detail = format!("{secret} is used by {}; deploy them without it first", users.join(", "));
        Err(Problem::new(Code::SecretInUse, detail))
    }

    fn noted_cpu_us(&self, app: &AppName) -> Option<u64> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).get(app).copied()
    }

    fn cpu_account(&self, app: &AppName) -> Result<Arc<CpuAccount>, StoreError> {
        let today = quota::day(unix_ms());
        Ok(CpuAccount::begin(today, self.store.cpu_us(app, today)?))
    }
}

fn config(settings: &[StoredSetting]) -> Config {
    let config = settings.iter().filter(|setting| setting.kind == SettingKind::Config);
    // What was stored was text.
    config.map(|setting| (setting.name.clone(), String::from_utf8_lossy(&setting.value).into_owned())).collect()
}
