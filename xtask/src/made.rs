//! What is made of files, and is not made again while they are the same.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// A file by its path in a directory, and what is in it.
pub type File = (PathBuf, Vec<u8>);

/// All files below a directory, in the order of their paths.
pub fn files(dir: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    gather(dir, Path::new(""), &mut files)?;
    files.sort();
    Ok(files)
}

fn gather(dir: &Path, below: &Path, files: &mut Vec<File>) -> Result<()> {
    for entry in fs::read_dir(dir.join(below)).with_context(|| format!("{} cannot be read", dir.display()))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            gather(dir, &path, files)?;
        } else {
            files.push((path, fs::read(entry.path())?));
        }
    }
    Ok(())
}

/// Writes files below a directory.
pub fn write(dir: &Path, files: &[File]) -> Result<()> {
    for (path, content) in files {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

/// All that files say, their paths among it.
pub fn contents(files: &[File]) -> Vec<u8> {
    files
        .iter()
        .flat_map(|(path, content)| [path.as_os_str().as_encoded_bytes(), b"\n", content, b"\n"].concat())
        .collect()
}

/// Makes something, unless it is there and was made of the same. What it was made of is kept beside it once it is made, so what
/// broke off is made again.
pub fn unless_of(made: &Path, of: &[u8], make: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut stamp = made.as_os_str().to_owned();
    stamp.push(".made-of");
    if made.exists() && fs::read(&stamp).is_ok_and(|before| before == of) {
        return Ok(());
    }
    // What is there from before is of something else.
    let _ = fs::remove_file(&stamp);
    let _ = fs::remove_file(made);
    make()?;
    Ok(fs::write(&stamp, of)?)
}
