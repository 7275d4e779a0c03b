//! Tokens of the API as they are stored: the document of each, which holds a digest and never the token.

use gust_core::TokenName;
use rusqlite::{Connection, params};

use crate::{Store, StoreError, change::change};

impl Store {
    /// All tokens' documents, by name.
    pub fn tokens(&self) -> Result<Vec<String>, StoreError> {
        tokens(&self.database())
    }

    /// Adds one. Says whether its name was free. Durable when it returns.
    pub fn add_token(&self, name: &TokenName, document: &str) -> Result<bool, StoreError> {
        let text = "insert or ignore into tokens values (?1, ?2)";
        change(&mut self.database(), |transaction| Ok(transaction.execute(text, params![name.as_str(), document])? > 0))
    }

    /// Removes one. Says whether there was one. Durable when it returns.
    pub fn delete_token(&self, name: &TokenName) -> Result<bool, StoreError> {
        let text = "delete from tokens where name = ?1";
        change(&mut self.database(), |transaction| Ok(transaction.execute(text, [name.as_str()])? > 0))
    }
}

pub(crate) fn tokens(database: &Connection) -> Result<Vec<String>, StoreError> {
    let mut query = database.prepare("select token from tokens order by name")?;
    let rows = query.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
