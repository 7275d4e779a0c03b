//! Changes of the API's tokens: made, listed, revoked.

use std::sync::Arc;

use gust_access::{Scopes, StoredToken, TokenBook, TokenText, token::RANDOM_BYTES, token_book::ROOT_NAME};
use gust_core::{Code, Problem, TokenName};
use gust_store::Store;

use crate::{changes::Changes, logbook::unix_ms, work::blocking};

/// Tokens that there may be: all of them are in memory.
const TOKENS_MAX: usize = 10_000;

/// A token that was just made: what its holder gets, and what is kept.
pub(crate) struct NewToken {
    pub(crate) text: TokenText,
    pub(crate) stored: StoredToken,
}

impl Changes {
    /// Makes a token.
    pub(crate) async fn add_token(
        &self,
        name: TokenName,
        scopes: Scopes,
        expires_unix_ms: Option<u64>,
    ) -> Result<NewToken, Problem> {
        let taken = || {
            Problem::new(Code::TokenExists, format!("revoke it first (gust token rm {name}), or choose another name"))
        };
        if name.as_str() == ROOT_NAME {
            let detail = format!("{ROOT_NAME} is the token in the data directory; choose another name");
            return Err(Problem::new(Code::TokenExists, detail));
        }
        let mut random = [0; RANDOM_BYTES];
        let failed = |error: getrandom::Error| {
            Problem::new(Code::Internal, "no token was made").with_internal(error.to_string())
        };
        getrandom::fill(&mut random).map_err(failed)?;
        let text = TokenText::from_random(&random);
        let (id, secret_hash) = (text.id(), text.hash());
        let created_unix_ms = unix_ms();
        let stored = StoredToken { name: name.clone(), id, secret_hash, scopes, created_unix_ms, expires_unix_ms };
        let document = serde_json::to_string(&stored)
            .map_err(|error| Problem::new(Code::Internal, "no token was made").with_internal(error.to_string()))?;
        let turn = self.changing.lock().await;
        if self.tokens().await?.len() >= TOKENS_MAX {
            let detail = format!("there are {TOKENS_MAX} tokens, and no more can be made; revoke some first");
            return Err(Problem::new(Code::TokenInvalid, detail));
        }
        let (store, owned) = (self.store.clone(), name.clone());
        if !blocking(move || store.add_token(&owned, &document)).await?? {
            return Err(taken());
        }
        self.refresh_tokens().await?;
        drop(turn);
        tracing::info!(token = %name, %id, "token made");
        Ok(NewToken { text, stored })
    }

    /// Revokes a token, at once. Says whether there was one. `may_be` is asked about it as it is when that is this change's turn: none
    /// where there is none, or where it cannot be read.
    pub(crate) async fn remove_token(
        &self,
        name: &TokenName,
        may_be: impl FnOnce(Option<&StoredToken>) -> Result<(), Problem>,
    ) -> Result<bool, Problem> {
        let turn = self.changing.lock().await;
        may_be(self.tokens().await?.iter().find(|token| token.name == *name))?;
        let (store, owned) = (self.store.clone(), name.clone());
        let existed = blocking(move || store.delete_token(&owned)).await??;
        self.refresh_tokens().await?;
        drop(turn);
        tracing::info!(token = %name, existed, "token revoked");
        Ok(existed)
    }

    /// All tokens as they are kept, by name.
    pub(crate) async fn tokens(&self) -> Result<Vec<StoredToken>, Problem> {
        let store = self.store.clone();
        blocking(move || stored(&store)).await?
    }

    async fn refresh_tokens(&self) -> Result<(), Problem> {
        let tokens = self.tokens().await?;
        let book = self.book(tokens)?;
        self.catalog.change(|next| next.tokens = book);
        Ok(())
    }

    /// The book of these tokens and the root's.
    pub(crate) fn book(&self, tokens: Vec<StoredToken>) -> Result<Arc<TokenBook>, Problem> {
        let failed = |error: gust_access::token_book::BookError| Problem::new(Code::Internal, error.to_string());
        TokenBook::new(self.root_token.expose(), tokens).map(Arc::new).map_err(failed)
    }
}

/// Tokens whose documents can be read; what cannot be read lets nobody in.
pub(crate) fn stored(store: &Store) -> Result<Vec<StoredToken>, Problem> {
    Ok(read(&store.tokens()?))
}

/// Tokens out of their documents, those that can be read.
pub(crate) fn read(documents: &[String]) -> Vec<StoredToken> {
    let token = |document: &String| match serde_json::from_str(document) {
        Ok(token) => Some(token),
        Err(error) => {
            tracing::error!(%error, "a stored token cannot be read; revoke it and make it again");
            None
        }
    };
    documents.iter().filter_map(token).collect()
}
