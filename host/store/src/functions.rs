//! Functions as they are stored: what is kept of each, what its aliases point to, which apps it is in.

use std::collections::BTreeMap;

use gust_core::{AliasName, AppName, Conditions, Digest, FunctionName, Manifest, Traffic};
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError,
    change::change,
    rows::{from_json, parsed},
};

/// One version of one function.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredVersion {
    /// The function.
    pub name: FunctionName,
    /// The version.
    pub version: u64,
    /// Its component.
    pub digest: Digest,
    /// The component's size.
    pub size_bytes: u64,
    /// What its owner decided; or why it cannot be read, as where a later version of gust wrote it.
    pub manifest: Result<Manifest, String>,
    /// When it was deployed: milliseconds since 1970-01-01T00:00Z.
    pub deployed_unix_ms: u64,
}

/// On what conditions an alias stays where it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// The conditions.
    pub conditions: Conditions,
    /// The version that is watched.
    pub version: u64,
    /// Where the alias goes back to if they are broken.
    pub before: Traffic,
    /// Until when they are watched: milliseconds since 1970-01-01T00:00Z.
    pub until_unix_ms: u64,
}

/// An alias of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAlias {
    /// Its name.
    pub alias: AliasName,
    /// Where it sends requests.
    pub traffic: Traffic,
    /// On what conditions, for as long as it is watched.
    pub watch: Option<Watch>,
    /// When it was changed last: milliseconds since 1970-01-01T00:00Z.
    pub changed_unix_ms: u64,
}

/// A function, as far as it takes to serve it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredFunction {
    /// Its name.
    pub name: FunctionName,
    /// The app that it belongs to.
    pub home: AppName,
    /// A number that grows with each change of it.
    pub generation: u64,
    /// The numbers of all versions that are kept, ascending.
    pub kept: Vec<u64>,
    /// Its aliases, by name.
    pub aliases: Vec<StoredAlias>,
    /// The versions that its aliases point to or may go back to by themselves, ascending.
    pub targets: Vec<StoredVersion>,
    /// The apps that it is in, and the alias that each uses.
    pub apps: Vec<(AppName, AliasName)>,
}

/// Columns of a version, of a table that is called `v`.
const VERSION: &str = "v.name, v.version, v.digest, v.size_bytes, v.manifest, v.deployed_unix_ms";

impl Store {
    /// Every function that has a version, by name, one after the other: there may be many.
    pub fn each_function(&self, each: impl FnMut(StoredFunction)) -> Result<(), StoreError> {
        each_function(&self.database(), each)
    }

    /// The digests of all versions that are kept.
    pub fn digests(&self) -> Result<Vec<Digest>, StoreError> {
        digests(&self.database())
    }

    /// One function; none where it has no version.
    pub fn function(&self, name: &FunctionName) -> Result<Option<StoredFunction>, StoreError> {
        function(&self.database(), name)
    }

    /// One version of a function.
    pub fn version(&self, name: &FunctionName, version: u64) -> Result<Option<StoredVersion>, StoreError> {
        version_of(&self.database(), name, version)
    }

    /// All versions of a function, newest first.
    pub fn versions(&self, name: &FunctionName) -> Result<Vec<StoredVersion>, StoreError> {
        let database = self.database();
        let text = format!("select {VERSION} from versions v where v.name = ?1 order by v.version desc");
        let mut query = database.prepare(&text)?;
        let rows = query.query_map([name.as_str()], read_version)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Removes a function, all its versions and aliases. Says whether there was one. Durable when it returns.
    pub fn delete(&self, name: &FunctionName, if_generation: Option<u64>) -> Result<bool, StoreError> {
        let versions = change(&mut self.database(), |transaction| {
            must_have_generation(transaction, name, if_generation)?;
            let versions = transaction.execute("delete from versions where name = ?1", [name.as_str()])?;
            for table in ["aliases", "alias_changes", "bindings"] {
                transaction.execute(&format!("delete from {table} where function = ?1"), [name.as_str()])?;
            }
            transaction.execute("update functions set generation = generation + 1 where name = ?1", [name.as_str()])?;
            Ok::<_, StoreError>(versions)
        })?;
        if versions == 0 {
            return Ok(false);
        }
        // It is deleted already, whatever becomes of its files; the next start tries again.
        let _ = self.remove_unreferenced();
        Ok(true)
    }
}

pub(crate) fn each_function(database: &Connection, mut each: impl FnMut(StoredFunction)) -> Result<(), StoreError> {
    let mut names = database.prepare(
        "select name from functions f where exists (select 1 from versions v where v.name = f.name) order by name",
    )?;
    for name in names.query_map([], |row| parsed::<FunctionName>(row, 0))? {
        if let Some(function) = function(database, &name?)? {
            each(function);
        }
    }
    Ok(())
}

/// The components of all versions, and how large they are.
pub(crate) fn components(database: &Connection) -> Result<BTreeMap<Digest, u64>, StoreError> {
    let mut query = database.prepare("select distinct digest, size_bytes from versions")?;
    let rows = query.query_map([], |row| Ok((parsed(row, 0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The digests of all versions.
pub(crate) fn digests(database: &Connection) -> Result<Vec<Digest>, StoreError> {
    let mut query = database.prepare("select distinct digest from versions")?;
    let rows = query.query_map([], |row| parsed(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn function(database: &Connection, name: &FunctionName) -> Result<Option<StoredFunction>, StoreError> {
    let kept = kept(database, name)?;
    if kept.is_empty() {
        return Ok(None);
    }
    let (home, generation) = database
        .prepare_cached("select home, generation from functions where name = ?1")?
        .query_row([name.as_str()], |row| Ok((parsed(row, 0)?, row.get(1)?)))?;
    let aliases = aliases(database, name)?;
    let back = |alias: &'_ StoredAlias| alias.watch.as_ref().map(|watch| watch.before.versions().collect::<Vec<_>>());
    let mut numbers: Vec<u64> = aliases.iter().flat_map(|alias| alias.traffic.versions()).collect();
    numbers.extend(aliases.iter().filter_map(back).flatten());
    numbers.sort_unstable();
    numbers.dedup();
    let mut targets = Vec::with_capacity(numbers.len());
    for number in numbers {
        targets.extend(version_of(database, name, number)?);
    }
    let apps = apps(database, name)?;
    Ok(Some(StoredFunction { name: name.clone(), home, generation, kept, aliases, targets, apps }))
}

/// Fails where a function is not as whoever changes it has seen it.
pub(crate) fn must_have_generation(
    database: &Connection,
    name: &FunctionName,
    wanted: Option<u64>,
) -> Result<(), StoreError> {
    let Some(wanted) = wanted else { return Ok(()) };
    let found = function(database, name)?.map_or(0, |function| function.generation);
    if found == wanted { Ok(()) } else { Err(StoreError::Changed) }
}

/// The numbers of a function's versions, ascending.
pub(crate) fn kept(database: &Connection, name: &FunctionName) -> Result<Vec<u64>, StoreError> {
    let mut query = database.prepare_cached("select version from versions where name = ?1 order by version")?;
    let rows = query.query_map([name.as_str()], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn version_of(
    database: &Connection,
    name: &FunctionName,
    version: u64,
) -> Result<Option<StoredVersion>, StoreError> {
    let text = format!("select {VERSION} from versions v where v.name = ?1 and v.version = ?2");
    let mut query = database.prepare_cached(&text)?;
    Ok(query.query_row((name.as_str(), version), read_version).optional()?)
}

pub(crate) fn aliases(database: &Connection, name: &FunctionName) -> Result<Vec<StoredAlias>, StoreError> {
    let text = "select alias, traffic, watch, changed_unix_ms from aliases where function = ?1 order by alias";
    let mut query = database.prepare_cached(text)?;
    let rows = query.query_map([name.as_str()], |row| {
        let traffic = from_json(row, 1)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok(StoredAlias { alias: parsed(row, 0)?, traffic, watch: from_json(row, 2)?, changed_unix_ms: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn apps(database: &Connection, name: &FunctionName) -> Result<Vec<(AppName, AliasName)>, StoreError> {
    let mut query = database.prepare_cached("select app, alias from bindings where function = ?1 order by app")?;
    let rows = query.query_map([name.as_str()], |row| Ok((parsed(row, 0)?, parsed(row, 1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read_version(row: &Row<'_>) -> rusqlite::Result<StoredVersion> {
    let manifest: String = row.get(4)?;
    Ok(StoredVersion {
        name: parsed(row, 0)?,
        version: row.get(1)?,
        digest: parsed(row, 2)?,
        size_bytes: row.get(3)?,
        manifest: serde_json::from_str(&manifest).map_err(|error| error.to_string()),
        deployed_unix_ms: row.get(5)?,
    })
}
