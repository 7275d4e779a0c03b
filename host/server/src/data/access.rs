//! Whether whoever calls may call this function: decided before an instance is spent.

use gust_access::{Action, Resource, TokenBook, TokenError, token};
use gust_core::{Access, AppName, Code, Problem};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{binding::Binding, logbook::unix_ms};

/// The header that carries a key, for clients whose `Authorization` is the function's own.
pub(super) const KEY: HeaderName = HeaderName::from_static("x-gust-key");

/// How a key begins where it is sent as a bearer token.
const KEY_PREFIX: &[u8] = b"gust_";

/// Fails where a client may not call the function, or one version of it by its number. `called` is what it is called by in the
/// request's path: all that is told of a private one.
pub(super) fn check(
    binding: &Binding,
    called: &str,
    access: Access,
    is_version: bool,
    headers: &HeaderMap,
    tokens: &TokenBook,
) -> Result<(), Problem> {
    match access {
        // As if it were not there.
        Access::Private => Err(super::found::not_found(called)),
        Access::Key => key(binding, headers, tokens),
        Access::Jwt => jwt(binding, headers),
        Access::Open => Ok(()),
    }?;
    // Versions that were withdrawn, or not released yet, are nobody's but the team's.
    if is_version && access != Access::Key { key(binding, headers, tokens) } else { Ok(()) }
}

fn key(binding: &Binding, headers: &HeaderMap, tokens: &TokenBook) -> Result<(), Problem> {
    let required = |detail: &str| Problem::new(Code::AccessKeyRequired, detail);
    let presented = presented(headers).ok_or_else(|| {
        required("send a token with the scope invoke as `x-gust-key` or `Authorization: Bearer gust_...`")
    })?;
    let grant = tokens.check(presented, unix_ms()).map_err(|error| match error {
        TokenError::Unknown => required("this key is not known, or no longer"),
        TokenError::Expired => required("this key has expired"),
    })?;
    // As it is in this app: a key for another app opens nothing here.
    let is_in = |app: &AppName| *app == binding.app.name;
    if grant.scopes.allows(Action::Invoke, &Resource::Function { name: &binding.function, is_in: &is_in }) {
        return Ok(());
    }
    let detail = format!("it needs the scope invoke:function/{} or invoke:app/{}", binding.function, binding.app.name);
    Err(Problem::new(Code::AccessForbidden, detail))
}

fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get(KEY) {
        return Some(key.as_bytes());
    }
    bearer_key(headers.get(header::AUTHORIZATION)?)
}

/// The key that a header carries, if it carries one.
fn bearer_key(authorization: &HeaderValue) -> Option<&[u8]> {
    token::bearer(authorization.as_bytes()).filter(|token| token.starts_with(KEY_PREFIX))
}

fn jwt(binding: &Binding, headers: &HeaderMap) -> Result<(), Problem> {
    let required = |detail: String| Problem::new(Code::AccessJwtRequired, detail);
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| token::bearer(value.as_bytes()));
    let sent = sent.and_then(|token| str::from_utf8(token).ok());
    let token =
        sent.ok_or_else(|| required("send a token of the app's issuer as `Authorization: Bearer <token>`".to_owned()))?;
    let issuers = binding.app.issuers.as_ref().map_err(Clone::clone)?;
    match issuers.verify(token, unix_ms()) {
        Ok(_) => Ok(()),
        Err(error) => Err(required(error.to_string()).with_internal(error.reason())),
    }
}

/// Takes keys off a request, which are the host's and not the function's to see.
pub(super) fn strip(headers: &mut HeaderMap) {
    headers.remove(KEY);
    if headers.get(header::AUTHORIZATION).and_then(bearer_key).is_some() {
        headers.remove(header::AUTHORIZATION);
    }
}
