//! The buckets and containers that an app has: there is one as long as something is in it.

use gust_core::{AppName, state::PAGE_KEYS_MAX};
use rusqlite::params;

use super::{State, place::range};
use crate::StoreError;

/// What places are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceKind {
    /// Buckets, which have key-values.
    Bucket,
    /// Containers, which have blobs.
    Container,
}

impl State {
    /// Names of an app's places with this beginning that come after one, in order, a page of them. Each takes one look into the index, however
    /// much is in it.
    pub fn places(
        &self,
        app: &AppName,
        kind: PlaceKind,
        prefix: &str,
        after: &str,
        max: usize,
    ) -> Result<Vec<String>, StoreError> {
        let table = match kind {
            PlaceKind::Bucket => "pairs",
            PlaceKind::Container => "blobs",
        };
        let (first, from) = if prefix > after { (prefix, ">=") } else { (after, ">") };
        let text = format!(
            "with recursive found (path) as (
                select min(place) from {table} where place {from} ?1 and place < ?2
                union all
                select (select min(place) from {table} where place > found.path and place < ?2)
                    from found where found.path is not null
            )
            select substr(path, ?3) from found where path is not null limit ?4"
        );
        let [begin, end] = range(app);
        // SQLite counts from 1.
        let name_at = begin.len() + 1;
        self.readers.read(|database| {
            let mut query = database.prepare_cached(&text)?;
            let max = max.min(PAGE_KEYS_MAX);
            let rows = query.query_map(params![format!("{begin}{first}"), end, name_at, max], |row| row.get(0))?;
            let begins = |name: &Result<String, _>| name.as_ref().map_or(true, |name| name.starts_with(prefix));
            rows.take_while(begins).collect()
        })
    }
}
