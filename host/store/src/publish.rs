//! Making a version of an upload, and having aliases point to it, in one transaction.

use gust_core::{AliasName, AppName, Conditions, FunctionName, Manifest, Traffic, traffic::Sticky};
use rusqlite::{Transaction, params};

use crate::{
    Durable, Staged, Store, StoreError, StoredVersion,
    aliases::{self, Change},
    change::change,
    functions::{self, Watch},
    rows::json,
};

/// What is to become of an upload.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    /// The app that it is deployed to. A new function belongs to it; one that is there already must.
    pub app: AppName,
    /// The alias that is to point to it. None for `live`.
    pub alias: Option<AliasName>,
    /// The share of `live` that it gets, in percent. None for all of it, or nothing where it has an alias of its own.
    pub weight: Option<u8>,
    /// What keeps clients at one version where it gets a share.
    pub sticky: Option<Sticky>,
    /// On what conditions it stays.
    pub conditions: Option<Conditions>,
    /// When: milliseconds since 1970-01-01T00:00Z.
    pub unix_ms: u64,
    /// Versions that are kept besides those that aliases point to.
    pub versions_kept: usize,
    /// What the app's versions may take together, in bytes.
    pub stored_bytes_max: Option<u64>,
    /// The generation that the function must have.
    pub if_generation: Option<u64>,
}

/// What a publish came to.
#[derive(Debug)]
pub struct Published {
    /// The version of the upload.
    pub version: StoredVersion,
    /// Whether it is a new one: the newest version's component with its manifest makes none.
    pub is_new: bool,
}

impl Store {
    /// Makes a version of an upload and has aliases point to it. Durable when it returns; where it fails nothing is left
    /// behind. `may_be` is asked, before anything is changed, about the state to be.
    pub fn publish<E: From<StoreError>>(
        &self,
        name: &FunctionName,
        Durable(staged): Durable,
        manifest: &Manifest,
        release: &Release,
        may_be: impl FnOnce(&functions::StoredFunction) -> Result<(), E>,
    ) -> Result<Published, E> {
        // One change at a time, so that no component is removed between being kept and being referred to.
        let published = change(&mut self.database(), |transaction| {
            let (published, removed) = make(transaction, name, &staged, manifest, release)?;
            must_fit(transaction, release)?;
            may_be(&functions::function(transaction, name)?.ok_or(StoreError::Vanished)?)?;
            // Written even where it is there: the file may be damaged or gone, and this one is whole.
            self.keep(staged)?;
            Ok::<_, E>((published, removed))
        });
        let (published, leaves_files) = match published {
            Ok((published, removed)) => (Ok(published), removed > 0),
            // The component may be at its place already.
            Err(error) => (Err(error), true),
        };
        if leaves_files {
            // They are no versions, whatever becomes of their files; the next start tries again.
            let _ = self.remove_unreferenced();
        }
        published
    }
}

/// Makes the version and has aliases point to it. Says how many old versions went for it.
fn make(
    transaction: &Transaction<'_>,
    name: &FunctionName,
    staged: &Staged,
    manifest: &Manifest,
    release: &Release,
) -> Result<(Published, usize), StoreError> {
    functions::must_have_generation(transaction, name, release.if_generation)?;
    if functions::function(transaction, name)?.is_some_and(|function| function.home != release.app) {
        return Err(StoreError::Elsewhere);
    }
    let newest = newest(transaction, name)?;
    let same = newest.filter(|newest| newest.digest == staged.digest && newest.manifest.as_ref() == Ok(manifest));
    let is_new = same.is_none();
    let version = match same {
        Some(version) => version,
        None => insert(transaction, name, staged, manifest, release)?,
    };
    point_to(transaction, name, version.version, release)?;
    let removed = prune(transaction, name, release.versions_kept)?;
    Ok((Published { version, is_new }, removed))
}

fn newest(transaction: &Transaction<'_>, name: &FunctionName) -> Result<Option<StoredVersion>, StoreError> {
    match functions::kept(transaction, name)?.last() {
        Some(number) => functions::version_of(transaction, name, *number),
        None => Ok(None),
    }
}

fn insert(
    transaction: &Transaction<'_>,
    name: &FunctionName,
    staged: &Staged,
    manifest: &Manifest,
    release: &Release,
) -> Result<StoredVersion, StoreError> {
    let number: u64 = transaction.query_row(
        "insert into functions (name, version_last, home, generation) values (?1, 1, ?2, 1) on conflict (name) do update
         set version_last = version_last + 1 returning version_last",
        [name.as_str(), release.app.as_str()],
        |row| row.get(0),
    )?;
    if functions::kept(transaction, name)?.is_empty() {
        // A function that was deleted comes back, perhaps elsewhere.
        transaction.execute("update functions set home = ?2 where name = ?1", [name.as_str(), release.app.as_str()])?;
        transaction.execute(
            "insert into bindings values (?1, ?2, ?3)",
            [release.app.as_str(), name.as_str(), AliasName::live().as_str()],
        )?;
    }
    let (digest, size_bytes) = (staged.digest, staged.size_bytes);
    transaction.execute(
        "insert into versions values (?1, ?2, ?3, ?4, ?5, ?6)",
        params![name.as_str(), number, digest.to_string(), size_bytes, json(manifest)?, release.unix_ms],
    )?;
    Ok(StoredVersion {
        name: name.clone(),
        version: number,
        digest,
        size_bytes,
        manifest: Ok(manifest.clone()),
        deployed_unix_ms: release.unix_ms,
    })
}

/// Has the aliases of a release point to a version.
fn point_to(
    transaction: &Transaction<'_>,
    name: &FunctionName,
    version: u64,
    release: &Release,
) -> Result<(), StoreError> {
    let live = AliasName::live();
    let own = release.alias.clone().unwrap_or_else(AliasName::live);
    let mut changes = Vec::new();
    if !own.is_live() || release.weight.is_none() {
        changes.push((own.clone(), Traffic::all_to(version)));
    }
    if let Some(weight) = release.weight {
        let present = aliases::traffic(transaction, name, &live)?.ok_or(StoreError::NothingToSplitWith)?;
        if present.first() == version {
            return Err(StoreError::NothingToSplitWith);
        }
        let sticky = release.sticky.clone().or(present.sticky.clone());
        changes.push((live.clone(), Traffic::split(present.first(), version, weight, sticky)));
    }
    // What carries the requests is what is watched.
    let watched = if release.weight.is_some() { &live } else { &own };
    for (alias, traffic) in changes {
        let before = aliases::traffic(transaction, name, &alias)?;
        let watch = release.conditions.clone().filter(|_| alias == *watched).zip(before.clone());
        let watch = watch.map(|(conditions, before)| Watch {
            until_unix_ms: release.unix_ms.saturating_add(u64::from(conditions.window_s) * 1000),
            conditions,
            version,
            before,
        });
        let why = format!("deployed version {version}");
        let change = Change { after: Some(traffic), watch, why, unix_ms: release.unix_ms };
        aliases::point(transaction, name, &alias, before.as_ref(), &change)?;
    }
    Ok(())
}

/// Removes the oldest versions that no alias points to or may go back to. Says how many.
fn prune(transaction: &Transaction<'_>, name: &FunctionName, versions_kept: usize) -> Result<usize, StoreError> {
    let aliases = functions::aliases(transaction, name)?;
    let is_needed = |version: u64| {
        aliases.iter().any(|alias| {
            let watched = alias.watch.iter().flat_map(|watch| watch.before.versions());
            alias.traffic.versions().chain(watched).any(|needed| needed == version)
        })
    };
    let kept = functions::kept(transaction, name)?;
    let too_many = kept.len().saturating_sub(versions_kept.max(1));
    let mut removed = 0;
    for version in kept.into_iter().take(too_many).filter(|version| !is_needed(*version)) {
        removed +=
            transaction.execute("delete from versions where name = ?1 and version = ?2", (name.as_str(), version))?;
    }
    Ok(removed)
}

/// Whether what the app's functions store is within its quota.
fn must_fit(transaction: &Transaction<'_>, release: &Release) -> Result<(), StoreError> {
    let Some(bytes_max) = release.stored_bytes_max else { return Ok(()) };
    let bytes = stored_bytes(transaction, &release.app)?;
    if bytes <= bytes_max { Ok(()) } else { Err(StoreError::QuotaStored { bytes, bytes_max }) }
}

/// What the versions of an app's functions take, each component once.
pub(crate) fn stored_bytes(database: &rusqlite::Connection, app: &AppName) -> Result<u64, StoreError> {
    let text = "select coalesce(sum(size_bytes), 0) from (select distinct v.digest, v.size_bytes
        from versions v join functions f on f.name = v.name where f.home = ?1)";
    Ok(database.query_row(text, [app.as_str()], |row| row.get(0))?)
}
