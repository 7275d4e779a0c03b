//! All API tokens that a host knows, and the one question asked of them: who presents this text?
//!
//! A book does not change: whoever makes or revokes a token makes a new book. The text is digested whole and digests are
//! compared in constant time, so the time that takes says nothing about a secret; of an id that nobody has, a digest is
//! compared too. The root's token, which has no id, is an entry like the others.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use gust_core::{Digest, name::TokenName};
use subtle::ConstantTimeEq as _;

use crate::{Action, Scope, Scopes, StoredToken, Target, TokenId, token::id_of};

/// What the root's token is called. No other has this name.
pub const ROOT_NAME: &str = "root";

/// How long the root's token is, in hexadecimal digits.
const ROOT_DIGITS: usize = 64;

/// A text that is longer than this is no token, and not worth digesting.
const PRESENTED_BYTES_MAX: usize = 128;

/// Who presented a token, and what that may do.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    /// What the token is called.
    pub name: TokenName,
    /// What it may do.
    pub scopes: Scopes,
    /// From when on it is worth nothing.
    pub expires_unix_ms: Option<u64>,
}

/// All tokens that are good for something.
pub struct TokenBook {
    root: Entry,
    tokens: HashMap<TokenId, Entry>,
}

struct Entry {
    secret_hash: Digest,
    expires_unix_ms: Option<u64>,
    grant: Arc<Grant>,
}

/// Why nobody is behind a text. Its message is for whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token of this host, or no longer.
    #[error(
        "this host knows no such token, or no longer; send one that it issued, or the one in admin.token of its data \
         directory, as `Authorization: Bearer <token>`"
    )]
    Unknown,
    /// It was one.
    #[error("the token has expired; ask whoever administers this host for a new one")]
    Expired,
}

/// Why there is no book of these tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// An empty or short root token would be guessed.
    #[error("the admin token is not {ROOT_DIGITS} hexadecimal digits; remove its file and start again for a new one")]
    Root,
    /// Two tokens have one name, or one is called as the root's is.
    #[error("there are two tokens of the name {0}")]
    Name(TokenName),
    /// Two tokens have one id.
    #[error("there are two tokens of the id {0}")]
    Id(TokenId),
}

impl TokenBook {
    /// The book of these tokens and of the root's, which may do everything.
    pub fn new(root: &str, tokens: impl IntoIterator<Item = StoredToken>) -> Result<Self, BookError> {
        let root = root_entry(root)?;
        let (mut names, mut by_id) = (HashSet::from([root.grant.name.clone()]), HashMap::new());
        for StoredToken { name, id, secret_hash, scopes, expires_unix_ms, .. } in tokens {
            if !names.insert(name.clone()) {
                return Err(BookError::Name(name));
            }
            let grant = Arc::new(Grant { name, scopes, expires_unix_ms });
            if by_id.insert(id, Entry { secret_hash, expires_unix_ms, grant }).is_some() {
                return Err(BookError::Id(id));
            }
        }
        Ok(Self { root, tokens: by_id })
    }

    /// Who presents this text. It allocates nothing.
    pub fn check(&self, presented: &[u8], now_unix_ms: u64) -> Result<&Arc<Grant>, TokenError> {
        if presented.len() > PRESENTED_BYTES_MAX {
            return Err(TokenError::Unknown);
        }
        // Of an id that nobody has, the root's digest is compared: a text with an id is never the root's.
        let entry = id_of(presented).and_then(|id| self.tokens.get(&id)).unwrap_or(&self.root);
        let is_same = Digest::of(presented).as_bytes().ct_eq(entry.secret_hash.as_bytes());
        if !bool::from(is_same) {
            return Err(TokenError::Unknown);
        }
        match entry.expires_unix_ms {
            Some(expires) if expires <= now_unix_ms => Err(TokenError::Expired),
            _ => Ok(&entry.grant),
        }
    }
}

fn root_entry(token: &str) -> Result<Entry, BookError> {
    if token.len() != ROOT_DIGITS || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(BookError::Root);
    }
    let name = ROOT_NAME.parse().map_err(|_| BookError::Root)?;
    let everything = Scope { action: Action::Admin, target: Target::Host };
    let grant = Arc::new(Grant { name, scopes: [everything].into_iter().collect(), expires_unix_ms: None });
    Ok(Entry { secret_hash: Digest::of(token.as_bytes()), expires_unix_ms: None, grant })
}

impl fmt::Debug for TokenBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBook").field("tokens", &self.tokens.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Resource, TokenText, token::RANDOM_BYTES};

    const ROOT: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn stored(text: &TokenText, name: &str, expires_unix_ms: Option<u64>) -> StoredToken {
        StoredToken {
            name: name.parse().unwrap(),
            id: text.id(),
            secret_hash: text.hash(),
            scopes: ["read:*".parse().unwrap()].into_iter().collect(),
            created_unix_ms: 0,
            expires_unix_ms,
        }
    }

    fn tokens() -> [TokenText; 2] {
        [1, 2].map(|byte| TokenText::from_random(&[byte; RANDOM_BYTES]))
    }

    fn book() -> TokenBook {
        let [a, b] = tokens();
        TokenBook::new(ROOT, [stored(&a, "a", None), stored(&b, "b", Some(1000))]).unwrap()
    }

    fn name(book: &TokenBook, presented: &str, now_unix_ms: u64) -> Result<String, TokenError> {
        book.check(presented.as_bytes(), now_unix_ms).map(|grant| grant.name.to_string())
    }

    #[test]
    fn tokens_are_known_by_their_whole_text() {
        let ([a, b], book) = (tokens(), book());
        assert_eq!(name(&book, a.expose(), u64::MAX), Ok("a".to_owned()));
        assert_eq!(name(&book, b.expose(), 0), Ok("b".to_owned()));
        let unknown = TokenText::from_random(&[3; RANDOM_BYTES]);
        let crossed = format!("{}{}", &a.expose()[..17], &b.expose()[17..]);
        for text in [unknown.expose(), &crossed, "", "gust_", &a.expose()[..81], &format!("{}0", a.expose())] {
            assert_eq!(name(&book, text, 0), Err(TokenError::Unknown), "{text}");
        }
        assert_eq!(name(&book, &"x".repeat(1_000_000), 0), Err(TokenError::Unknown));
    }

    #[test]
    fn the_root_may_do_everything() {
        let book = book();
        let root = book.check(ROOT.as_bytes(), u64::MAX).unwrap();
        assert_eq!(root.name.as_str(), "root");
        assert!(Action::ALL.into_iter().all(|action| root.scopes.allows(action, &Resource::Host)));
        for text in [&ROOT[1..], &ROOT.to_uppercase(), &format!("gust_{ROOT}"), &format!("{ROOT} ")] {
            assert_eq!(name(&book, text, 0), Err(TokenError::Unknown), "{text}");
        }
        let other = book.check(tokens()[0].expose().as_bytes(), 0).unwrap();
        assert!(!other.scopes.allows(Action::Deploy, &Resource::Host));
    }

    #[test]
    fn a_token_ends_at_its_time_and_only_its_holder_is_told() {
        let ([_, b], book) = (tokens(), book());
        assert_eq!(name(&book, b.expose(), 999), Ok("b".to_owned()));
        assert_eq!(name(&book, b.expose(), 1000), Err(TokenError::Expired));
        let wrong = format!("{}0", &b.expose()[..81]);
        assert_eq!(name(&book, &wrong, 1000), Err(TokenError::Unknown));
    }

    #[test]
    fn what_is_ambiguous_or_guessed_makes_no_book() {
        let [a, b] = tokens();
        for root in ["", "00", &ROOT[1..], &ROOT.replace('f', "g"), a.expose()] {
            assert_eq!(TokenBook::new(root, []).unwrap_err(), BookError::Root, "{root}");
        }
        let error = |tokens: [StoredToken; 2]| TokenBook::new(ROOT, tokens).unwrap_err();
        assert!(matches!(error([stored(&a, "a", None), stored(&b, "a", None)]), BookError::Name(_)));
        assert!(matches!(error([stored(&a, "a", None), stored(&b, "root", None)]), BookError::Name(_)));
        assert!(matches!(error([stored(&a, "a", None), stored(&a, "b", None)]), BookError::Id(_)));
    }

    #[test]
    fn nothing_shows_a_secret() {
        let shown = format!("{:?} {:?}", book(), BookError::Root);
        assert!(!shown.contains(&ROOT[..8]), "{shown}");
    }

    proptest! {
        #[test]
        fn no_altered_token_is_taken(at in 0_usize..82, bit in 0_u8..8) {
            let mut text = tokens()[0].expose().as_bytes().to_vec();
            text[at] ^= 1 << bit;
            prop_assert_eq!(book().check(&text, 0).err(), Some(TokenError::Unknown));
        }

        #[test]
        fn no_other_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(book().check(&bytes, 0).err(), Some(TokenError::Unknown));
        }
    }
}
