//! The admin token: given, or found.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    args::{self, HostArgs},
    environment, host_link,
};

/// The file's name in a data directory.
const FILE: &str = "admin.token";

/// `--token-file`, else `GUST_TOKEN`, else the data directory of the host at `authority`: as `GUST_DATA_DIR` says, as the
/// host left word of it, or where hosts are usually started.
pub fn find(host: &HostArgs, authority: &str) -> Result<String> {
    if let Some(path) = &host.token_file {
        return read(path);
    }
    if let Some(token) = environment::variable("GUST_TOKEN") {
        return Ok(token);
    }
    let named = environment::variable("GUST_DATA_DIR").map(PathBuf::from);
    // A token found by chance goes to the usual address only, and to no other that somebody names.
    let usual = ["gust-data", ".gust"].iter().filter(|_| authority == args::ADMIN_DEFAULT).map(PathBuf::from);
    let dirs = named.into_iter().chain(host_link::data_dir(authority)).chain(usual);
    let places: Vec<PathBuf> = dirs.map(|dir| dir.join(FILE)).collect();
    if let Some(path) = places.iter().find(|path| path.exists()) {
        return read(path);
    }
    let looked: String = places.iter().map(|path| format!("\n  {}", path.display())).collect();
    let not_in = if looked.is_empty() { String::new() } else { format!(" and not in{looked}\n") };
    bail!(
        "no admin token for {authority}: it is not in GUST_TOKEN{not_in}; start a host with `gust serve`, or say where its \
         token is with --token-file FILE"
    )
}

fn read(path: &Path) -> Result<String> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("the token file {shown}"))?;
    let mode = fs::metadata(path).with_context(|| format!("the token file {shown}"))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!("the token file {shown} can be read by others (mode {mode:o}); run: chmod 600 {shown}");
    }
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        fs::write(&path, "abc\n").unwrap();
        let host = HostArgs { token_file: Some(path.clone()), ..HostArgs::default() };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(find(&host, "x").unwrap(), "abc");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(find(&host, "x").unwrap_err().to_string().contains("chmod 600"));
    }
}
