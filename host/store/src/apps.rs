//! Apps: what their owners decide, their configuration, their sealed secrets, and which functions are in them.

use gust_core::{AliasName, AppName, AppSpec, FunctionName};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::{
    Store, StoreError,
    change::change,
    publish,
    rows::{json, parsed},
};

/// What an app has besides its document, each with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// A value that functions see.
    Config,
    /// A sealed value that functions see which name it.
    Secret,
    /// An issuer of JSON Web Tokens, as JSON.
    Issuer,
}

impl SettingKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Secret => "secret",
            Self::Issuer => "issuer",
        }
    }
}

/// A value of an app's.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredSetting {
    /// What it is.
    pub kind: SettingKind,
    /// Its name.
    pub name: String,
    /// Its value; a secret's is sealed.
    pub value: Vec<u8>,
    /// When it was changed last: milliseconds since 1970-01-01T00:00Z.
    pub changed_unix_ms: u64,
}

/// An app.
#[derive(Clone, PartialEq)]
pub struct StoredApp {
    /// Its name.
    pub name: AppName,
    /// What its owner decides; or why it cannot be read, as where a later version of gust wrote it.
    pub spec: Result<AppSpec, String>,
    /// A number that grows with each change.
    pub revision: u64,
    /// Its values, by kind and name.
    pub settings: Vec<StoredSetting>,
}

impl Store {
    /// All apps, by name.
    pub fn apps(&self) -> Result<Vec<StoredApp>, StoreError> {
        apps(&self.database())
    }

    /// One app.
    pub fn app(&self, name: &AppName) -> Result<Option<StoredApp>, StoreError> {
        app(&self.database(), name)
    }

    /// What the versions of an app's functions take, in bytes, each component once.
    pub fn stored_bytes(&self, name: &AppName) -> Result<u64, StoreError> {
        publish::stored_bytes(&self.database(), name)
    }

    /// Makes an app, or changes what its owner decides. Says whether it is new. Durable when it returns.
    pub fn set_app(&self, name: &AppName, spec: &AppSpec, if_revision: Option<u64>) -> Result<bool, StoreError> {
        self.change_app(name, if_revision, |transaction| {
            let text = "insert into apps values (?1, ?2, 0) on conflict (name) do update set spec = excluded.spec
                returning revision = 0";
            let is_new = transaction.query_row(text, [name.as_str(), &json(spec)?], |row| row.get(0))?;
            raise_revision(transaction, name)?;
            Ok(is_new)
        })
    }

    /// Removes an app that no function is in. Says whether there was one. Durable when it returns.
    pub fn delete_app(&self, name: &AppName, if_revision: Option<u64>) -> Result<bool, StoreError> {
        let homes = "select 1 from functions f where f.home = ?1
            and exists (select 1 from versions v where v.name = f.name)
            union select 1 from bindings where app = ?1 limit 1";
        self.change_app(name, if_revision, |transaction| {
            if transaction.query_row(homes, [name.as_str()], |_| Ok(())).optional()?.is_some() {
                return Err(StoreError::AppNotEmpty);
            }
            transaction.execute("delete from settings where app = ?1", [name.as_str()])?;
            transaction.execute("delete from usage where app = ?1", [name.as_str()])?;
            Ok(transaction.execute("delete from apps where name = ?1", [name.as_str()])? > 0)
        })
    }

    /// Sets a value of an app's, or removes it. Says whether anything was changed. Durable when it returns.
    pub fn set_setting(
        &self,
        name: &AppName,
        (kind, key): (SettingKind, &str),
        value: Option<&[u8]>,
        unix_ms: u64,
    ) -> Result<bool, StoreError> {
        self.change_app(name, None, |transaction| {
            let (app, kind) = (name.as_str(), kind.as_str());
            let changed = match value {
                Some(value) => transaction.execute(
                    "insert or replace into settings values (?1, ?2, ?3, ?4, ?5)",
                    params![app, kind, key, value, unix_ms],
                )?,
                None => transaction
                    .execute("delete from settings where app = ?1 and kind = ?2 and name = ?3", [app, kind, key])?,
            };
            if changed > 0 {
                raise_revision(transaction, name)?;
            }
            Ok(changed > 0)
        })
    }

    /// Puts a function into an app, or takes it out. Durable when it returns.
    pub fn bind(&self, app: &AppName, function: &FunctionName, alias: Option<&AliasName>) -> Result<bool, StoreError> {
        self.change_app(app, None, |transaction| {
            let (of, name) = (app.as_str(), function.as_str());
            let changed = match alias {
                Some(alias) => transaction
                    .execute("insert or replace into bindings values (?1, ?2, ?3)", [of, name, alias.as_str()])?,
                None => transaction.execute("delete from bindings where app = ?1 and function = ?2", [of, name])?,
            };
            if changed > 0 {
                transaction.execute("update functions set generation = generation + 1 where name = ?1", [name])?;
                raise_revision(transaction, app)?;
            }
            Ok(changed > 0)
        })
    }

    /// What the guests of an app ran on a day (counted from 1970-01-01), in microseconds.
    pub fn cpu_us(&self, app: &AppName, day: u64) -> Result<u64, StoreError> {
        let text = "select cpu_us from usage where app = ?1 and day = ?2";
        let found = self.database().query_row(text, (app.as_str(), day), |row| row.get(0)).optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Notes what the guests of apps ran on a day so far. Earlier days are forgotten.
    pub fn note_cpu_us(&self, day: u64, apps: &[(AppName, u64)]) -> Result<(), StoreError> {
        change(&mut self.database(), |transaction| {
            for (app, cpu_us) in apps {
                transaction
                    .execute("insert or replace into usage values (?1, ?2, ?3)", params![app.as_str(), day, cpu_us])?;
            }
            transaction.execute("delete from usage where day < ?1", [day])?;
            Ok(())
        })
    }

    fn change_app(
        &self,
        name: &AppName,
        if_revision: Option<u64>,
        make: impl FnOnce(&Transaction<'_>) -> Result<bool, StoreError>,
    ) -> Result<bool, StoreError> {
        change(&mut self.database(), |transaction| {
            if let Some(wanted) = if_revision
                && app(transaction, name)?.map_or(0, |app| app.revision) != wanted
            {
                return Err(StoreError::Changed);
            }
            make(transaction)
        })
    }
}

/// Whoever saw the app before has not seen this change.
fn raise_revision(transaction: &Transaction<'_>, app: &AppName) -> Result<(), StoreError> {
    transaction.execute("update apps set revision = revision + 1 where name = ?1", [app.as_str()])?;
    Ok(())
}

pub(crate) fn apps(database: &Connection) -> Result<Vec<StoredApp>, StoreError> {
    let mut query = database.prepare("select name from apps order by name")?;
    let names = query.query_map([], |row| parsed::<AppName>(row, 0))?.collect::<Result<Vec<_>, _>>()?;
    let apps = names.iter().map(|name| app(database, name));
    Ok(apps.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

fn app(database: &Connection, name: &AppName) -> Result<Option<StoredApp>, StoreError> {
    let mut query = database.prepare_cached("select spec, revision from apps where name = ?1")?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?));
    let Some((spec, revision)) = query.query_row([name.as_str()], read).optional()? else { return Ok(None) };
    let spec = serde_json::from_str(&spec).map_err(|error| error.to_string());
    Ok(Some(StoredApp { name: name.clone(), spec, revision, settings: settings(database, name)? }))
}

fn settings(database: &Connection, name: &AppName) -> Result<Vec<StoredSetting>, StoreError> {
    let text = "select kind, name, value, changed_unix_ms from settings where app = ?1 order by kind, name";
    let mut query = database.prepare_cached(text)?;
    let rows = query.query_map([name.as_str()], |row| {
        let kind = match row.get::<_, String>(0)?.as_str() {
            "secret" => SettingKind::Secret,
            "issuer" => SettingKind::Issuer,
            _ => SettingKind::Config,
        };
        Ok(StoredSetting { kind, name: row.get(1)?, value: row.get(2)?, changed_unix_ms: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
