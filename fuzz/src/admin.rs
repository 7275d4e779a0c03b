//! What the admin API takes apart besides JSON: the form of an upload, and the archive of a backup.

use std::{collections::BTreeMap, sync::LazyLock};

use crate::{damage::damage, host::HOST};

/// A backup of the host, as it gave it.
static BACKUP: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (status, archive) = HOST.administers("GET /v1/backup", "application/x-tar", b"");
    assert_eq!(status, 200);
    archive
});

/// A form, whose parts have the boundary `b`; or, where the first byte is odd, what happens to a backup on its way.
pub fn admin(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let (status, answer) = if first % 2 == 0 { form(rest) } else { restore(rest) };
    assert!((400..500).contains(&status) || status == 200, "{status} {}", String::from_utf8_lossy(&answer));
}

/// To an app that is not there, so that nothing comes of it in the end: to compile is another target's affair.
fn form(body: &[u8]) -> (u16, Vec<u8>) {
    let (status, answer) =
        HOST.administers("PUT /v1/functions/new?app=nowhere", "multipart/form-data; boundary=b", body);
    assert!(status >= 400, "{}", String::from_utf8_lossy(&answer));
    (status, answer)
}

/// Where it is taken, it is the backup as it was.
fn restore(damages: &[u8]) -> (u16, Vec<u8>) {
    let mut files = BTreeMap::from([("archive".into(), BACKUP.clone())]);
    damage(&mut files, damages);
    let archive = files.into_values().next().unwrap_or_default();
    HOST.administers("PUT /v1/restore", "application/x-tar", &archive)
}
