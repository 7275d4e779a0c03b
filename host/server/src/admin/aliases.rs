//! Aliases of a function: shown, pointed elsewhere, removed, rolled back.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use gust_access::Grant;
use gust_core::{
    AliasName, Code, FunctionName, Problem, Traffic,
    api::{AliasChange, AliasInfo, Rollback},
};
use gust_store::{PastChange, StoredFunction};
use http::{HeaderMap, StatusCode};

use super::{
    Admin,
    precondition::{self, ETag, IfMatch},
    reply::{Body, Name, NameAnd, Named, Refusal, Who},
};
use crate::{
    changes::{self, no_function},
    status,
    work::{blocking, to_its_end},
};

/// Shows an alias and its changes.
#[utoipa::path(
    get, path = "/v1/functions/{name}/aliases/{alias}", operation_id = "get_alias",
    params(("name" = FunctionName, Path, description = "The function"), ("alias" = AliasName, Path, description = "The alias")),
    responses((status = 200, description = "The alias", body = AliasInfo, headers(("etag" = inline(ETag)))))
)]
pub(super) async fn get(
    State(admin): State<Arc<Admin>>,
    NameAnd(name, alias): NameAnd<FunctionName, AliasName>,
    Who(grant): Who,
) -> Result<Response, Refusal> {
    admin.alias(&grant, &name, &alias).await
}

/// Has an alias point elsewhere, or makes it.
#[utoipa::path(
    put, path = "/v1/functions/{name}/aliases/{alias}", operation_id = "set_alias",
    params(("name" = FunctionName, Path, description = "The function"), ("alias" = AliasName, Path, description = "The alias"), IfMatch),
    request_body = Traffic,
    responses((status = 200, description = "The alias", body = AliasInfo, headers(("etag" = inline(ETag)))))
)]
pub(super) async fn put(
    State(admin): State<Arc<Admin>>,
    NameAnd(name, alias): NameAnd<FunctionName, AliasName>,
    Who(grant): Who,
    headers: HeaderMap,
    Body(traffic): Body<Traffic>,
) -> Result<Response, Refusal> {
    traffic.check()?;
    let wanted = precondition::wanted(&headers)?;
    let why = "set through the API";
    admin.change(&name, &alias, changes::change(Some(traffic), None, why), wanted).await?;
    admin.alias(&grant, &name, &alias).await
}

/// Removes an alias.
#[utoipa::path(
    delete, path = "/v1/functions/{name}/aliases/{alias}", operation_id = "delete_alias",
    params(("name" = FunctionName, Path, description = "The function"), ("alias" = AliasName, Path, description = "The alias"), IfMatch),
    responses((status = 204, description = "Removed"))
)]
pub(super) async fn delete(
    State(admin): State<Arc<Admin>>,
    NameAnd(name, alias): NameAnd<FunctionName, AliasName>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let binding = admin.changes.function(&name)?;
    binding.aliased(&alias).ok_or_else(|| no_alias(&name, &alias))?;
    let wanted = precondition::wanted(&headers)?;
    let why = "removed through the API";
    admin.change(&name, &alias, changes::change(None, None, why), wanted).await?;
    Ok(status::DELETED)
}

/// Has an alias go back to a version, or to the one before.
#[utoipa::path(
    post, path = "/v1/functions/{name}/rollback", operation_id = "rollback",
    params(("name" = FunctionName, Path, description = "The function"), IfMatch),
    request_body = Rollback,
    responses((status = 200, description = "The alias", body = AliasInfo, headers(("etag" = inline(ETag)))))
)]
pub(super) async fn rollback(
    State(admin): State<Arc<Admin>>,
    Named(name): Name,
    Who(grant): Who,
    headers: HeaderMap,
    Body(rollback): Body<Rollback>,
) -> Result<Response, Refusal> {
    let alias = rollback.alias.unwrap_or_else(AliasName::live);
    let mut wanted = precondition::wanted(&headers)?;
    let to = match rollback.to {
        Some(to) => to,
        None => {
            let stored = admin.stored(&name).await?;
            // What is the version before is another after each rollback.
            if wanted.is_none() && !headers.contains_key(http::header::IF_MATCH) {
                let detail = "say to which version (`to`), or send the function's ETag as If-Match";
                return Err(Problem::new(Code::ApiPreconditionRequired, detail).into());
            }
            wanted = wanted.or(Some(stored.generation));
            let (store, owned) = (admin.changes.store.clone(), (name.clone(), alias.clone()));
            let past = blocking(move || store.alias_changes(&owned.0, &owned.1)).await??;
            before(&stored, &alias, &past)?
        }
    };
    let why = format!("rolled back to version {to}");
    admin.change(&name, &alias, changes::change(Some(Traffic::all_to(to)), None, why), wanted).await?;
    admin.alias(&grant, &name, &alias).await
}

/// The version to go back to: the last one below the present one that the alias pointed to and that is still kept; else the
/// newest that is kept below it.
fn before(stored: &StoredFunction, alias: &AliasName, past: &[PastChange]) -> Result<u64, Problem> {
    let present = stored.aliases.iter().find(|stored| stored.alias == *alias);
    let present = present.ok_or_else(|| no_alias(&stored.name, alias))?;
    // With two versions sharing the requests, going back is to the first of them.
    if present.traffic.second().is_some() {
        return Ok(present.traffic.first());
    }
    let below = |version: &u64| *version < present.traffic.first() && stored.kept.contains(version);
    let pointed_to = past.iter().filter_map(|change| change.before.as_ref().map(Traffic::first)).find(below);
    let newest = || stored.kept.iter().copied().rfind(below);
    pointed_to.or_else(newest).ok_or_else(|| {
        let (name, version) = (&stored.name, present.traffic.first());
        Problem::new(
            Code::RollbackNothing,
            format!("{alias} of {name} is at version {version}, the oldest that is kept"),
        )
    })
}

fn no_alias(name: &FunctionName, alias: &AliasName) -> Problem {
    let detail = format!("{name} has no alias {alias}; `gust alias ls {name}` lists them");
    Problem::new(Code::AliasNotFound, detail)
}

impl Admin {
    async fn stored(&self, name: &FunctionName) -> Result<StoredFunction, Problem> {
        let (store, owned) = (self.changes.store.clone(), name.clone());
        blocking(move || store.function(&owned)).await??.ok_or_else(|| no_function(name))
    }

    /// An alias with its changes, as an answer.
    async fn alias(&self, grant: &Grant, name: &FunctionName, alias: &AliasName) -> Result<Response, Refusal> {
        let binding = self.seen(grant, name)?;
        let stored = self.stored(name).await?;
        let generation = stored.generation;
        let found = stored.aliases.into_iter().find(|stored| stored.alias == *alias);
        let mut info = self.alias_info(&binding, found.ok_or_else(|| no_alias(name, alias))?);
        let (store, owned) = (self.changes.store.clone(), (name.clone(), alias.clone()));
        let past = blocking(move || store.alias_changes(&owned.0, &owned.1)).await??;
        info.changes = past.into_iter().map(told).collect();
        Ok((ETag(generation), Json(info)).into_response())
    }

    async fn change(
        &self,
        name: &FunctionName,
        alias: &AliasName,
        change: gust_store::Change,
        wanted: Option<u64>,
    ) -> Result<(), Problem> {
        let (changes, name, alias) = (self.changes.clone(), name.clone(), alias.clone());
        to_its_end(&self.asked, async move { changes.change_alias(&name, &alias, change, wanted).await }).await
    }
}

fn told(change: PastChange) -> AliasChange {
    let PastChange { unix_ms, before, after, why } = change;
    AliasChange { unix_ms, before, after, why }
}

#[cfg(test)]
mod tests {
    use gust_core::AppName;
    use gust_store::StoredAlias;

    use super::*;

    fn function(kept: &[u64], traffic: Traffic) -> StoredFunction {
        let alias = StoredAlias { alias: AliasName::live(), traffic, watch: None, changed_unix_ms: 0 };
        StoredFunction {
            name: "f".parse().unwrap(),
            home: AppName::default_app(),
            generation: 1,
            kept: kept.to_vec(),
            aliases: vec![alias],
            targets: Vec::new(),
            apps: Vec::new(),
        }
    }

    fn past(versions: &[u64]) -> Vec<PastChange> {
        let change = |version: &u64| PastChange {
            unix_ms: 0,
            before: Some(Traffic::all_to(*version)),
            after: None,
            why: String::new(),
        };
        versions.iter().map(change).collect()
    }

    #[test]
    fn going_back_again_goes_back_further() {
        let back = |kept: &[u64], at: u64, versions: &[u64]| {
            before(&function(kept, Traffic::all_to(at)), &AliasName::live(), &past(versions)).ok()
        };
        assert_eq!(back(&[1, 2, 3], 3, &[2, 1]), Some(2));
        assert_eq!(back(&[1, 2, 3], 2, &[3, 2, 1]), Some(1), "not forth again");
        assert_eq!(back(&[1, 2, 3], 3, &[1]), Some(1), "2 was never live");
        assert_eq!(back(&[2, 3], 3, &[1]), Some(2), "1 is no longer kept");
        assert_eq!(back(&[3], 3, &[1]), None);
        let split = function(&[1, 2, 3], Traffic::split(2, 3, 10, None));
        assert_eq!(before(&split, &AliasName::live(), &past(&[1])).unwrap(), 2);
    }
}
