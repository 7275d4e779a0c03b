//! Secrets of the host: random, made at first use, readable by their owner only.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use tempfile::NamedTempFile;

use crate::{Store, StoreError};

/// Bytes of randomness in a key or token.
const KEY_BYTES: usize = 32;

impl Store {
    /// The key of that name, made at first use.
    pub fn key(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        secret(&self.dir().join(format!("{name}.key")), || Ok(random()?.to_vec()))
    }

    /// The admin API's token, made at first use: 64 hexadecimal digits in `admin.token`.
    pub fn admin_token(&self) -> Result<String, StoreError> {
        let path = self.dir().join("admin.token");
        let bytes = secret(&path, || {
            let digits: String = random()?.iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(format!("{digits}\n").into_bytes())
        })?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }
}

/// What a file holds that only its owner can read.
pub fn private_file(path: &Path) -> Result<Vec<u8>, StoreError> {
    secret(path, || Err(io::Error::new(io::ErrorKind::NotFound, "there is no such file")))
}

fn random() -> io::Result<[u8; KEY_BYTES]> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// What the file holds; where there is none, what `make` makes.
fn secret(path: &Path, make: impl FnOnce() -> io::Result<Vec<u8>>) -> Result<Vec<u8>, StoreError> {
    let failed = || StoreError::io(format!("{} cannot be used", path.display()));
    match fs::read(path) {
        Ok(bytes) => {
            let mode = fs::metadata(path).map_err(failed())?.mode() & 0o777;
            if bytes.trim_ascii().is_empty() {
                return Err(failed()(io::Error::new(io::ErrorKind::InvalidData, "it is empty, and holds no secret")));
            }
            if mode & 0o077 != 0 { Err(StoreError::Exposed(path.to_owned(), mode)) } else { Ok(bytes) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let bytes = make().map_err(failed())?;
            write(path, &bytes).map_err(failed())?;
            Ok(bytes)
        }
        Err(error) => Err(failed()(error)),
    }
}

/// Whole or not at all. Temporary files are made with mode 0600.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(dir)?.sync_all()
}
