//! The database of the state: its schema, and opening it.

use std::{collections::HashMap, path::Path};

use gust_core::AppName;
use rusqlite::Connection;

use crate::{StoreError, rows::parsed, schema};

/// The schema, one step for each version of it. A step is never changed, only followed by another.
pub(crate) const MIGRATIONS: &[&str] = &[
    "
    -- What functions set in buckets. A place is `app/bucket`.
    create table pairs (
        id integer primary key,
        place text not null,
        key text not null,
        value blob not null,
        -- No two states of one pair have the same.
        version integer not null,
        -- Null where it is kept for ever.
        expires_unix_ms integer
    ) strict;
    create unique index pairs_by_key on pairs (place, key);
    create index pairs_by_expiry on pairs (expires_unix_ms) where expires_unix_ms is not null;

    -- What is known of blobs. A place is `app/container`, and a file one in the directory of blobs.
    create table blobs (
        id integer primary key,
        place text not null,
        name text not null,
        file text not null unique,
        size_bytes integer not null,
        created_unix_ms integer not null
    ) strict;
    create unique index blobs_by_name on blobs (place, name);

    -- What each app's pairs and blobs take together.
    create table accounts (
        app text primary key,
        stored_bytes integer not null
    ) strict, without rowid;

    -- The last version that was given.
    create table versions (last integer not null) strict;
    insert into versions values (0);
",
    "
    -- The SHA-256 digest of what is in the file; null where it was written before there was one.
    alter table blobs add column digest text;
",
];

/// What a connection may hold of the file, in KiB.
const CACHE_KIB: i32 = 2048;

/// Pages of the write-ahead log after which it is written back to the database.
const LOG_PAGES: u32 = 4000;

/// What the write-ahead log's file may keep, in bytes.
const LOG_BYTES_MAX: u64 = 64 << 20;

/// Opens the database to write, made where it is not there, and brings its schema up to date.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let mut database = schema::connect(path)?;
    database.pragma_update(None, "cache_size", -CACHE_KIB)?;
    database.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    database.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    database.set_prepared_statement_cache_capacity(64);
    schema::migrate_by(&mut database, MIGRATIONS)?;
    Ok(database)
}

/// Makes an empty database of a copy's or of an arrival's: what becomes of it in a crash does not matter.
pub(super) fn make(path: &Path) -> Result<Connection, StoreError> {
    let mut database = Connection::open(path)?;
    database.pragma_update(None, "journal_mode", "off")?;
    database.pragma_update(None, "synchronous", "off")?;
    schema::migrate_by(&mut database, MIGRATIONS)?;
    Ok(database)
}

/// What each app stores.
pub(super) fn stored_bytes(database: &Connection) -> Result<HashMap<AppName, u64>, StoreError> {
    let mut query = database.prepare("select app, stored_bytes from accounts")?;
    let rows = query.query_map([], |row| Ok((parsed(row, 0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
