//! Tokens: made, listed, revoked. A token may make, see and revoke those that may do no more than itself.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use gust_access::{Action, Grant, Resource, Scope, Scopes, StoredToken};
use gust_core::{
    Code, Problem, TokenName,
    api::{NewToken, TokenInfo, TokenList, TokenSpec},
};

use super::{
    Admin,
    reply::{Body, Named, Refusal, Who},
};
use crate::{logbook::unix_ms, status, work::to_its_end};

/// Scopes of one token.
const SCOPES_MAX: usize = 32;

/// Lists the tokens that the caller could have made: none for one that may make none.
#[utoipa::path(
    get, path = "/v1/tokens", operation_id = "list_tokens",
    responses((status = 200, description = "The tokens, without their texts", body = TokenList))
)]
pub(super) async fn list(State(admin): State<Arc<Admin>>, Who(grant): Who) -> Result<Json<TokenList>, Refusal> {
    let tokens = admin.changes.tokens().await?;
    let may_make = must_administer(&grant).is_ok();
    let seen = tokens.iter().filter(|token| may_make && grant.scopes.cover(&token.scopes));
    Ok(Json(TokenList { tokens: seen.map(info).collect() }))
}

/// Makes a token. Only this answer shows it.
#[utoipa::path(
    post, path = "/v1/tokens", operation_id = "create_token",
    request_body = TokenSpec,
    responses((status = 201, description = "The token", body = NewToken))
)]
pub(super) async fn create(
    State(admin): State<Arc<Admin>>,
    Who(grant): Who,
    Body(spec): Body<TokenSpec>,
) -> Result<(StatusCode, Json<NewToken>), Refusal> {
    let scopes = scopes(&spec)?;
    must_administer(&grant)?;
    if let Some(end) = grant.expires_unix_ms
        && spec.expires_unix_ms.is_none_or(|expires| expires > end)
    {
        let detail = "a token cannot outlive the one that makes it; say when it expires";
        return Err(Problem::new(Code::AuthForbidden, detail).into());
    }
    if !grant.scopes.cover(&scopes) {
        let detail = "a token can be given no scope that goes beyond those of the token that makes it";
        return Err(Problem::new(Code::AuthForbidden, detail).into());
    }
    let changes = admin.changes.clone();
    let made =
        to_its_end(&admin.asked, async move { changes.add_token(spec.name, scopes, spec.expires_unix_ms).await })
            .await?;
    let answer = NewToken { token: made.text.expose().to_owned(), info: info(&made.stored) };
    Ok((status::deployed(true), Json(answer)))
}

/// Revokes a token, at once.
#[utoipa::path(
    delete, path = "/v1/tokens/{name}", operation_id = "delete_token",
    params(("name" = TokenName, Path, description = "The token")),
    responses((status = 204, description = "Removed"))
)]
pub(super) async fn delete(
    State(admin): State<Arc<Admin>>,
    Who(grant): Who,
    Named(name): Named<TokenName>,
) -> Result<StatusCode, Refusal> {
    must_administer(&grant)?;
    let detail = format!("there is no token {name}; `gust token ls` lists them");
    let missing = move || Problem::new(Code::TokenNotFound, detail.clone());
    let (changes, absent) = (admin.changes.clone(), missing.clone());
    let may_be = move |token: Option<&StoredToken>| match token {
        Some(token) if grant.scopes.cover(&token.scopes) => Ok(()),
        // One that cannot be read is there to be removed by whoever may do everything.
        None if grant.scopes.allows(Action::Admin, &Resource::Host) => Ok(()),
        _ => Err(absent()),
    };
    match to_its_end(&admin.asked, async move { changes.remove_token(&name, may_be).await }).await? {
        true => Ok(status::DELETED),
        false => Err(missing().into()),
    }
}

/// Fails where a token may only use what there is.
fn must_administer(grant: &Grant) -> Result<(), Problem> {
    if grant.scopes.iter().any(|scope| scope.action == Action::Admin) {
        return Ok(());
    }
    Err(Problem::new(Code::AuthForbidden, "it takes a token with the scope admin to make or revoke others"))
}

fn scopes(spec: &TokenSpec) -> Result<Scopes, Problem> {
    let invalid = |detail: String| Problem::new(Code::TokenInvalid, detail);
    if spec.scopes.is_empty() || spec.scopes.len() > SCOPES_MAX {
        return Err(invalid(format!("a token has from 1 to {SCOPES_MAX} scopes, as deploy:app/shop or read:*")));
    }
    if spec.expires_unix_ms.is_some_and(|expires| expires <= unix_ms()) {
        return Err(invalid("expires_unix_ms is in the past".to_owned()));
    }
    spec.scopes.iter().map(|text| text.parse::<Scope>().map_err(|error| invalid(error.to_string()))).collect()
}

fn info(token: &StoredToken) -> TokenInfo {
    TokenInfo {
        name: token.name.clone(),
        id: token.id.to_string(),
        scopes: token.scopes.iter().map(ToString::to_string).collect(),
        created_unix_ms: token.created_unix_ms,
        expires_unix_ms: token.expires_unix_ms,
    }
}
