//! Changes of the database: whole and on the disk, or not there, also where the disk fails in between.

use rusqlite::{Connection, Transaction};

use crate::StoreError;

/// Makes a change in a transaction and commits it. What fails is not there, now or after the next start.
pub(crate) fn change<T, E: From<StoreError>>(
    database: &mut Connection,
    make: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let transaction = database.transaction().map_err(StoreError::from)?;
    let made = make(&transaction)?;
    match transaction.commit() {
        Ok(()) => Ok(made),
        Err(error) => {
            forget(database);
            Err(StoreError::from(error).into())
        }
    }
}

/// A commit that failed may be whole in the write-ahead log all the same, as where only the wait for the disk failed, and the
/// next start would find it there. So something else is written over it: the version of the schema, as it is. Whether that
/// reaches the disk does not matter more than whether the commit did.
fn forget(database: &Connection) {
    let schema = database.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0));
    let written = schema.and_then(|version| database.pragma_update(None, "user_version", version));
    if let Err(error) = written {
        tracing::debug!(%error, "the disk failed again where a failed commit is written over");
    }
}
