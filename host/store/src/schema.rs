//! The database's schema, and opening it.

use std::{fs::File, os::unix::fs::OpenOptionsExt as _, path::Path};

use rusqlite::Connection;

use crate::StoreError;

/// The schema, one step for each version of it. A step is never changed, only followed by another.
pub(crate) const MIGRATIONS: &[&str] = &[
    "
    -- Kept when a function is deleted, so that its versions go on growing.
    create table functions (
        name text primary key,
        version_last integer not null,
        version_current integer
    ) strict;
    create table versions (
        name text not null references functions (name),
        version integer not null,
        digest text not null,
        size_bytes integer not null,
        manifest text not null,
        deployed_unix_ms integer not null,
        primary key (name, version)
    ) strict, without rowid;
    create index versions_by_digest on versions (digest);
    ",
    "
    create table apps (
        name text primary key,
        spec text not null,
        -- Grows with each change of the app, its configuration, its secrets and its issuers.
        revision integer not null
    ) strict, without rowid;
    insert into apps values ('default', '{}', 1);

    -- Values of an app's configuration, its sealed secrets and its issuers of JSON Web Tokens.
    create table settings (
        app text not null references apps (name),
        kind text not null check (kind in ('config', 'secret', 'issuer')),
        name text not null,
        value blob not null,
        changed_unix_ms integer not null,
        primary key (app, kind, name)
    ) strict, without rowid;

    create table aliases (
        function text not null references functions (name),
        alias text not null,
        traffic text not null,
        -- On what conditions it stays so; null where it is not watched.
        watch text,
        changed_unix_ms integer not null,
        primary key (function, alias)
    ) strict, without rowid;
    insert into aliases
        select f.name, 'live', '{\"targets\":[{\"version\":' || f.version_current || ',\"weight\":100}]}', null, v.deployed_unix_ms
        from functions f join versions v on v.name = f.name and v.version = f.version_current;

    -- What aliases pointed to, for rolling back and for whoever asks why.
    create table alias_changes (
        number integer primary key,
        function text not null,
        alias text not null,
        unix_ms integer not null,
        before text,
        after text,
        why text not null
    ) strict;
    create index alias_changes_by_alias on alias_changes (function, alias, number);

    create table bindings (
        app text not null references apps (name),
        function text not null references functions (name),
        alias text not null,
        primary key (app, function)
    ) strict, without rowid;
    create index bindings_by_function on bindings (function);
    insert into bindings select 'default', name, 'live' from functions where version_current is not null;

    -- The app that a function belongs to, and a number that grows with each change of it.
    alter table functions add column home text not null default 'default';
    alter table functions add column generation integer not null default 1;
    alter table functions drop column version_current;

    create table tokens (
        name text primary key,
        token text not null
    ) strict, without rowid;

    create table usage (
        app text not null,
        day integer not null,
        cpu_us integer not null,
        primary key (app, day)
    ) strict, without rowid;
    ",
];

/// What the database may hold of its file, in KiB.
const CACHE_KIB: i32 = 256;

/// Opens the database and brings its schema up to date.
pub(crate) fn open(path: &Path) -> Result<Connection, StoreError> {
    let mut database = connect(path)?;
    migrate(&mut database)?;
    Ok(database)
}

/// Opens the database, made empty where it is not there.
pub(crate) fn connect(path: &Path) -> Result<Connection, StoreError> {
    // For its owner alone, as the files beside it, which get its mode. Where that fails opening it says why.
    let _ = File::options().create(true).append(true).mode(0o600).open(path);
    let database = Connection::open(path)?;
    database.pragma_update(None, "journal_mode", "wal")?;
    // Every commit is on the disk before it is acknowledged.
    database.pragma_update(None, "synchronous", "full")?;
    database.pragma_update(None, "foreign_keys", true)?;
    // What is deployed is read once, at the start.
    database.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(database)
}

/// The version of a database's schema; 0 where there is none.
pub(crate) fn version(database: &Connection) -> Result<u32, StoreError> {
    Ok(database.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// The version of the schema that this version of gust writes.
pub(crate) fn newest() -> u32 {
    MIGRATIONS.len() as u32
}

/// Brings a database's schema up to date. Gives the version that it had.
pub(crate) fn migrate(database: &mut Connection) -> Result<u32, StoreError> {
    migrate_by(database, MIGRATIONS)
}

/// The same of a database whose schema comes by these steps.
pub(crate) fn migrate_by(database: &mut Connection, migrations: &[&str]) -> Result<u32, StoreError> {
    let found = version(database)?;
    let known = migrations.len() as u32;
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    for (step, migration) in migrations.iter().enumerate().skip(found as usize) {
        let transaction = database.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", step as u32 + 1)?;
        transaction.commit()?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_the_first_schema_keeps_what_it_holds() {
        let mut database = Connection::open_in_memory().unwrap();
        database.execute_batch(MIGRATIONS.first().unwrap()).unwrap();
        database.pragma_update(None, "user_version", 1).unwrap();
        database
            .execute_batch(
                "insert into functions values ('a', 3, 2), ('gone', 1, null);
                 insert into versions values ('a', 2, 'd', 5, '{}', 7), ('a', 3, 'e', 5, '{}', 8);",
            )
            .unwrap();
        assert_eq!(migrate(&mut database).unwrap(), 1);
        let row = |text: &str| database.query_row(text, [], |row| row.get::<_, String>(0)).unwrap();
        assert_eq!(row("select traffic from aliases"), r#"{"targets":[{"version":2,"weight":100}]}"#);
        assert_eq!(row("select app || ' ' || function || ' ' || alias from bindings"), "default a live");
        assert_eq!(row("select home from functions where name = 'a'"), "default");
        assert_eq!(migrate(&mut database).unwrap(), MIGRATIONS.len() as u32, "the second time there is nothing to do");
    }
}
