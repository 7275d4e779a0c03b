//! Aliases: where they point, where they pointed before, and why that was changed.

use gust_core::{AliasName, FunctionName, Traffic};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::{
    Store, StoreError,
    change::change,
    functions::{self, StoredFunction, Watch},
    rows::{from_json, json},
};

/// Changes of one alias that are remembered.
const CHANGES_KEPT: u64 = 100;

/// What an alias is changed to.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Where it sends requests from now on; none removes it.
    pub after: Option<Traffic>,
    /// On what conditions.
    pub watch: Option<Watch>,
    /// Why, for people.
    pub why: String,
    /// When: milliseconds since 1970-01-01T00:00Z.
    pub unix_ms: u64,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct PastChange {
    /// When: milliseconds since 1970-01-01T00:00Z.
    pub unix_ms: u64,
    /// Where the alias pointed before; none where it was not there.
    pub before: Option<Traffic>,
    /// Where it pointed from then on; none where it was removed.
    pub after: Option<Traffic>,
    /// Why.
    pub why: String,
}

impl Store {
    /// Changes an alias. Durable when it returns. `may_be` is asked, before anything is changed, about the state to be.
    pub fn change_alias<E: From<StoreError>>(
        &self,
        name: &FunctionName,
        alias: &AliasName,
        to: &Change,
        if_generation: Option<u64>,
        may_be: impl FnOnce(&StoredFunction) -> Result<(), E>,
    ) -> Result<(), E> {
        change(&mut self.database(), |transaction| {
            functions::must_have_generation(transaction, name, if_generation)?;
            let before = traffic(transaction, name, alias)?;
            point(transaction, name, alias, before.as_ref(), to)?;
            may_be(&functions::function(transaction, name)?.ok_or(StoreError::Vanished)?)
        })
    }

    /// Forgets on what conditions an alias stays where it is: their time is over.
    pub fn end_watch(&self, name: &FunctionName, alias: &AliasName) -> Result<(), StoreError> {
        let text = "update aliases set watch = null where function = ?1 and alias = ?2";
        change(&mut self.database(), |transaction| {
            transaction.execute(text, [name.as_str(), alias.as_str()])?;
            Ok(())
        })
    }

    /// What was changed of an alias, the newest change first.
    pub fn alias_changes(&self, name: &FunctionName, alias: &AliasName) -> Result<Vec<PastChange>, StoreError> {
        let database = self.database();
        let mut query = database.prepare_cached(
            "select unix_ms, before, after, why from alias_changes where function = ?1 and alias = ?2
             order by number desc",
        )?;
        let rows = query.query_map([name.as_str(), alias.as_str()], |row| {
            Ok(PastChange {
                unix_ms: row.get(0)?,
                before: from_json(row, 1)?,
                after: from_json(row, 2)?,
                why: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Where an alias sends requests.
pub(crate) fn traffic(
    database: &Connection,
    name: &FunctionName,
    alias: &AliasName,
) -> Result<Option<Traffic>, StoreError> {
    let mut query = database.prepare_cached("select traffic from aliases where function = ?1 and alias = ?2")?;
    let found = query.query_row([name.as_str(), alias.as_str()], |row| from_json(row, 0)).optional()?;
    Ok(found.flatten())
}

/// Changes an alias and remembers it. What is so already is no change.
pub(crate) fn point(
    transaction: &Transaction<'_>,
    name: &FunctionName,
    alias: &AliasName,
    before: Option<&Traffic>,
    to: &Change,
) -> Result<(), StoreError> {
    if before == to.after.as_ref() {
        return Ok(());
    }
    let (function, alias) = (name.as_str(), alias.as_str());
    match &to.after {
        Some(traffic) => {
            let watch = to.watch.as_ref().map(json).transpose()?;
            transaction.execute(
                "insert or replace into aliases values (?1, ?2, ?3, ?4, ?5)",
                params![function, alias, json(traffic)?, watch, to.unix_ms],
            )?;
        }
        None => {
            transaction.execute("delete from aliases where function = ?1 and alias = ?2", [function, alias])?;
        }
    }
    transaction.execute(
        "insert into alias_changes (function, alias, unix_ms, before, after, why) values (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            function,
            alias,
            to.unix_ms,
            before.map(json).transpose()?,
            to.after.as_ref().map(json).transpose()?,
            to.why
        ],
    )?;
    transaction.execute(
        "delete from alias_changes where function = ?1 and alias = ?2 and number <=
         (select number from alias_changes where function = ?1 and alias = ?2 order by number desc limit 1 offset ?3)",
        params![function, alias, CHANGES_KEPT],
    )?;
    transaction.execute("update functions set generation = generation + 1 where name = ?1", [function])?;
    Ok(())
}
