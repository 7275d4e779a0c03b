//! How the command line finds the token of a host on the same machine.
//!
//! A host that starts leaves a note of where its data directory is, under its admin address. A command for that address
//! reads the note and takes the token from there, if the directory lets it.

use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use crate::environment;

fn note(authority: &str) -> Option<PathBuf> {
    let name: String = authority.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect();
    Some(environment::state_dir()?.join("hosts").join(name))
}

/// Leaves the note. It is a convenience, so a note that cannot be written is passed over.
pub fn leave(mut admin: SocketAddr, data_dir: &std::path::Path) {
    // Who listens at every address is called by this one.
    if admin.ip().is_unspecified() {
        admin.set_ip(if admin.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    let (Some(note), Ok(data_dir)) = (note(&admin.to_string()), std::path::absolute(data_dir)) else { return };
    if let Some(parent) = note.parent() {
        let _ = fs::create_dir_all(parent);
    }
    let _ = fs::write(note, data_dir.to_string_lossy().as_bytes());
}

/// The data directory of the host at an admin address.
pub fn data_dir(authority: &str) -> Option<PathBuf> {
    Some(PathBuf::from(fs::read_to_string(note(authority)?).ok()?))
}
