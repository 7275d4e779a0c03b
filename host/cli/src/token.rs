//! The admin token: given, or found.

use std::{
    fs,
    net::IpAddr,
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

/// `--token-file`, else `GUST_TOKEN`, else the data directory of the host at `authority`: as the host left word of it, or, on this
/// machine, as `GUST_DATA_DIR` says or where hosts are usually started.
pub fn find(host: &HostArgs, authority: &str) -> Result<String> {
    if let Some(path) = &host.token_file {
        return read(path);
    }
    if let Some(token) = environment::variable("GUST_TOKEN") {
        return Ok(token);
    }
    // Where one was to be given, as by a pipeline whose secret is missing, another one would be more than was meant.
    if environment::is_empty("GUST_TOKEN") {
        bail!("GUST_TOKEN is empty; give it a token, or unset it to have one looked for");
    }
    // A token of this machine goes to no other one that somebody names.
    let named = environment::variable("GUST_DATA_DIR").filter(|_| is_here(authority)).map(PathBuf::from);
    // One that is found by chance goes to the usual address only.
    let usual = ["gust-data", ".gust"].iter().filter(|_| authority == args::ADMIN_DEFAULT).map(PathBuf::from);
    let dirs = host_link::data_dir(authority).into_iter().chain(named).chain(usual);
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

/// Whether an authority is this machine's own.
fn is_here(authority: &str) -> bool {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
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
    fn this_machine_is_known_by_its_loopback_addresses() {
        for (authority, is_here) in [
            ("127.0.0.1:3001", true),
            ("[::1]:3001", true),
            ("localhost", true),
            ("10.0.0.7:3001", false),
            ("localhost.example.com:80", false),
            ("127.0.0.1.example.com:80", false),
        ] {
            assert_eq!(super::is_here(authority), is_here, "{authority}");
        }
    }

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
