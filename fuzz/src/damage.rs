//! What may happen to files, as bytes say.

use std::{collections::BTreeMap, mem, path::PathBuf};

use arbitrary::{Result, Unstructured};

/// The most times that something is done to them.
const DAMAGES_MAX: usize = 8;

/// The most bytes that are written over others at once.
const WRITTEN_MAX: usize = 64;

/// Files by their paths.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Files are removed, cut, changed, filled up and given each other's content. What the bytes do not say is not done.
pub(crate) fn damage(files: &mut Files, bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    for _ in 0..DAMAGES_MAX {
        if bytes.is_empty() || damage_once(files, &mut bytes).is_err() {
            return;
        }
    }
}

fn damage_once(files: &mut Files, bytes: &mut Unstructured<'_>) -> Result<()> {
    let path = some_path(files, bytes)?;
    let other = some_path(files, bytes)?;
    let Some(mut file) = files.remove(&path) else { return Ok(()) };
    match bytes.int_in_range(0..=5)? {
        0 => return Ok(()),
        1 => file.truncate(bytes.int_in_range(0..=file.len())?),
        2 => {
            let at = bytes.int_in_range(0..=file.len())?;
            if let Some(byte) = file.get_mut(at) {
                *byte ^= bytes.arbitrary::<u8>()?;
            }
        }
        3 => {
            let (at, length) = (bytes.int_in_range(0..=file.len())?, bytes.int_in_range(0..=WRITTEN_MAX)?);
            let end = (at + length).min(file.len());
            file.splice(at..end, bytes.bytes(length.min(bytes.len()))?.iter().copied());
        }
        4 => file.extend_from_within(bytes.int_in_range(0..=file.len())?..),
        _ => {
            if let Some(other) = files.get_mut(&other) {
                mem::swap(&mut file, other);
            }
        }
    }
    files.insert(path, file);
    Ok(())
}

fn some_path(files: &Files, bytes: &mut Unstructured<'_>) -> Result<PathBuf> {
    let paths: Vec<&PathBuf> = files.keys().collect();
    bytes.choose(&paths).map(|path| (*path).clone())
}
