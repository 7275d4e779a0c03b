//! Key-values: read by whoever asks, changed by the thread that writes.

use std::time::Duration;

use gust_core::{
    AppName,
    state::{Change, Changed, PAGE_KEYS_MAX, VALUE_BYTES_MAX, Versioned},
};
use rusqlite::{OptionalExtension as _, params};

use super::{Place, State, place::range, unix_ms, writer::Writing};
use crate::StoreError;

/// What a pair takes besides its key and value, in bytes.
const PAIR_BYTES: usize = 64;

/// Pairs that are removed in one transaction.
const STEP_PAIRS: u32 = 500;

/// What is counted of a pair.
pub(super) fn bytes_of(key_bytes: usize, value_bytes: usize) -> i64 {
    (PAIR_BYTES + key_bytes + value_bytes) as i64
}

/// How something is set.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// How long it is kept. None where for ever.
    pub ttl: Option<Duration>,
    /// What its app may store, in bytes.
    pub bytes_max: u64,
}

/// A pair as it is before a change.
struct Pair {
    id: i64,
    value_bytes: usize,
    version: u64,
    expires_unix_ms: Option<u64>,
}

impl State {
    /// A value.
    pub fn get(&self, place: &Place, key: &str) -> Result<Option<Versioned>, StoreError> {
        let text = "select value, version from pairs
            where place = ?1 and key = ?2 and (expires_unix_ms is null or expires_unix_ms > ?3)";
        self.readers.read(|database| {
            let mut query = database.prepare_cached(text)?;
            let row = |row: &rusqlite::Row<'_>| Ok(Versioned { value: row.get(0)?, version: row.get(1)? });
            query.query_row((place.path(), key, unix_ms()), row).optional()
        })
    }

    /// Whether there is a value.
    pub fn exists(&self, place: &Place, key: &str) -> Result<bool, StoreError> {
        let text = "select 1 from pairs
            where place = ?1 and key = ?2 and (expires_unix_ms is null or expires_unix_ms > ?3)";
        self.readers.read(|database| database.prepare_cached(text)?.exists((place.path(), key, unix_ms())))
    }

    /// Keys with this beginning that come after one, in order, a page of them.
    pub fn keys(&self, place: &Place, prefix: &str, after: &str, max: usize) -> Result<Vec<String>, StoreError> {
        let text = "select key from pairs where place = ?1 and key > ?2 and key >= ?3
            and (expires_unix_ms is null or expires_unix_ms > ?4) order by key limit ?5";
        let max = max.min(PAGE_KEYS_MAX);
        self.readers.read(|database| {
            let mut query = database.prepare_cached(text)?;
            let rows = query.query_map(params![place.path(), after, prefix, unix_ms(), max], |row| row.get(0))?;
            let begins = |key: &Result<String, _>| key.as_ref().map_or(true, |key| key.starts_with(prefix));
            rows.take_while(begins).collect()
        })
    }

    /// Changes a bucket. `answer` is called, by a thread that must not be kept, when that is on the disk or cannot be.
    pub fn change(
        &self,
        place: &Place,
        change: Change,
        kept: Kept,
        answer: impl FnOnce(Result<Changed, StoreError>) + Send + 'static,
    ) {
        if let Err(problem) = change.check() {
            return answer(Err(StoreError::StateInvalid(problem.detail)));
        }
        let place = place.clone();
        self.writer.write(change.bytes(), move |writing| writing.change(&place, change, kept), answer);
    }

    /// The same for whoever can wait.
    pub fn change_and_wait(&self, place: &Place, change: Change, kept: Kept) -> Result<Changed, StoreError> {
        change.check().map_err(|problem| StoreError::StateInvalid(problem.detail))?;
        let place = place.clone();
        self.writer.write_and_wait(move |writing| writing.change(&place, change, kept))
    }

    /// Removes some of an app's pairs. Says whether there may be more.
    pub(super) fn remove_key_values_of(&self, app: &AppName) -> Result<bool, StoreError> {
        let app = app.clone();
        self.writer.write_and_wait(move |writing| {
            let [from, to] = range(&app);
            let text = "delete from pairs where id in (select id from pairs where place >= ?1 and place < ?2 limit ?3)
                returning length(cast(key as blob)), length(value)";
            let mut query = writing.transaction.prepare_cached(text)?;
            let rows = query.query_map(params![from, to, STEP_PAIRS], |row| Ok(bytes_of(row.get(0)?, row.get(1)?)))?;
            let removed: Vec<i64> = rows.collect::<Result<_, _>>()?;
            writing.grow(&app, -removed.iter().sum::<i64>(), 0)?;
            Ok(!removed.is_empty())
        })
    }
}

impl Writing<'_> {
    fn change(&mut self, place: &Place, change: Change, kept: Kept) -> Result<Changed, StoreError> {
        match change {
            Change::Set(pairs) => self.set(place, &pairs, kept),
            Change::Delete(keys) => self.delete(place, &keys),
            Change::Increment { key, by, range } => self.increment(place, &key, (by, range), kept),
            Change::Swap { key, value, version } => self.swap(place, key, value, version, kept),
        }
    }

    fn set(&mut self, place: &Place, pairs: &[(String, Vec<u8>)], kept: Kept) -> Result<Changed, StoreError> {
        let mut grown = 0;
        for (key, value) in pairs {
            let before = self.pair(place, key)?.map_or(0, |before| bytes_of(key.len(), before.value_bytes));
            grown += bytes_of(key.len(), value.len()) - before;
        }
        // A key that is set twice is counted twice for a moment, which is set right below.
        self.grow(place.app(), grown, kept.bytes_max)?;
        let expires_unix_ms = kept.ttl.map(|ttl| unix_ms().saturating_add(ttl.as_millis() as u64));
        let mut really = 0;
        for (key, value) in pairs {
            really += self.put(place, key, value, expires_unix_ms)?;
        }
        self.grow(place.app(), really - grown, u64::MAX)?;
        Ok(Changed::Done)
    }

    fn delete(&mut self, place: &Place, keys: &[String]) -> Result<Changed, StoreError> {
        for key in keys {
            if let Some(pair) = self.pair(place, key)? {
                self.transaction.prepare_cached("delete from pairs where id = ?1")?.execute([pair.id])?;
                self.grow(place.app(), -bytes_of(key.len(), pair.value_bytes), 0)?;
            }
        }
        Ok(Changed::Done)
    }

    /// A number that had a time to live keeps what is left of it.
    fn increment(
        &mut self,
        place: &Place,
        key: &str,
        (by, range): (i128, (i128, i128)),
        kept: Kept,
    ) -> Result<Changed, StoreError> {
        let before = self.live(place, key)?;
        let number = match &before {
            None => 0,
            Some(pair) => self.number(pair, key)?,
        };
        let sum = number.checked_add(by).filter(|sum| (range.0..=range.1).contains(sum));
        let sum = sum.ok_or_else(|| {
            StoreError::StateInvalid(format!("{} and {by} is more or less than a number can be", number))
        })?;
        let expires_unix_ms = match before {
            Some(pair) => pair.expires_unix_ms,
            None => kept.ttl.map(|ttl| unix_ms().saturating_add(ttl.as_millis() as u64)),
        };
        let value = sum.to_string().into_bytes();
        let there = self.pair(place, key)?.map_or(0, |pair| bytes_of(key.len(), pair.value_bytes));
        self.grow(place.app(), bytes_of(key.len(), value.len()) - there, kept.bytes_max)?;
        self.put(place, key, &value, expires_unix_ms)?;
        Ok(Changed::Number(sum))
    }

    fn swap(
        &mut self,
        place: &Place,
        key: String,
        value: Vec<u8>,
        version: Option<u64>,
        kept: Kept,
    ) -> Result<Changed, StoreError> {
        if self.live(place, &key)?.map(|pair| pair.version) != version {
            return Ok(Changed::Stale);
        }
        self.set(place, &[(key, value)], kept)
    }

    /// Writes a pair. Gives by how much that takes more than before.
    fn put(&mut self, place: &Place, key: &str, value: &[u8], expires_unix_ms: Option<u64>) -> Result<i64, StoreError> {
        let version = self.version();
        self.expires(expires_unix_ms);
        let Some(before) = self.pair(place, key)? else {
            let text = "insert into pairs (place, key, value, version, expires_unix_ms) values (?1, ?2, ?3, ?4, ?5)";
            let mut insert = self.transaction.prepare_cached(text)?;
            insert.execute(params![place.path(), key, value, version, expires_unix_ms])?;
            return Ok(bytes_of(key.len(), value.len()));
        };
        let text = "update pairs set value = ?2, version = ?3, expires_unix_ms = ?4 where id = ?1";
        self.transaction.prepare_cached(text)?.execute(params![before.id, value, version, expires_unix_ms])?;
        Ok(value.len() as i64 - before.value_bytes as i64)
    }

    /// A pair, also where it expired.
    fn pair(&self, place: &Place, key: &str) -> Result<Option<Pair>, StoreError> {
        let text = "select id, length(value), version, expires_unix_ms from pairs where place = ?1 and key = ?2";
        let row = |row: &rusqlite::Row<'_>| {
            Ok(Pair { id: row.get(0)?, value_bytes: row.get(1)?, version: row.get(2)?, expires_unix_ms: row.get(3)? })
        };
        Ok(self.transaction.prepare_cached(text)?.query_row((place.path(), key), row).optional()?)
    }

    /// A pair, unless it expired.
    fn live(&self, place: &Place, key: &str) -> Result<Option<Pair>, StoreError> {
        let now = unix_ms();
        Ok(self.pair(place, key)?.filter(|pair| pair.expires_unix_ms.is_none_or(|expires| expires > now)))
    }

    fn number(&self, pair: &Pair, key: &str) -> Result<i128, StoreError> {
        let value: Vec<u8> = self
            .transaction
            .prepare_cached("select value from pairs where id = ?1")?
            .query_row([pair.id], |row| row.get(0))?;
        let number = str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
        number
            .ok_or_else(|| StoreError::StateInvalid(format!("the value of {key:?} is not a number in decimal digits")))
    }
}

const _: () = assert!(VALUE_BYTES_MAX < i32::MAX as usize, "a value is what SQLite takes");
