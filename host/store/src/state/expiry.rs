//! What expired: never read again, and removed in small steps by the thread that writes, between what others write.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};

use super::{key_values::bytes_of, place::app_of, unix_ms, writer::Writing};
use crate::StoreError;

/// Pairs that are removed in one step.
const STEP_PAIRS: u32 = 500;

/// The shortest time between two steps.
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(200);

/// The longest time after which it is looked again, as where the clock was set.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(60);

/// When the first expires of what is there.
pub(super) fn first(database: &Connection) -> Result<Option<u64>, StoreError> {
    let text = "select expires_unix_ms from pairs where expires_unix_ms is not null order by expires_unix_ms limit 1";
    Ok(database.prepare_cached(text)?.query_row([], |row| row.get(0)).optional()?)
}

/// Removes some of what expired.
pub(super) fn sweep(writing: &mut Writing<'_>) -> Result<(), StoreError> {
    let text =
        "select id, place, length(cast(key as blob)), length(value) from pairs where expires_unix_ms <= ?1 limit ?2";
    let mut query = writing.transaction.prepare_cached(text)?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let expired: Vec<(i64, String, usize, usize)> =
        query.query_map((unix_ms(), STEP_PAIRS), row)?.collect::<Result<_, _>>()?;
    let mut remove = writing.transaction.prepare_cached("delete from pairs where id = ?1")?;
    for (id, place, key, value) in expired {
        remove.execute([id])?;
        if let Some(app) = app_of(&place) {
            writing.grow(&app, -bytes_of(key, value), 0)?;
        }
    }
    Ok(())
}
