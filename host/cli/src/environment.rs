//! The one place of the command line that reads the environment.

use std::{env, ffi::OsString, io, net::TcpListener, path::PathBuf};

use listenfd::ListenFd;

/// All variables, for the host's configuration.
pub fn variables() -> impl Iterator<Item = (String, String)> {
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// A variable that is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a variable is set, and to nothing.
pub fn is_empty(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| value.is_empty())
}

/// Where programs keep what they know between runs (XDG Base Directory Specification).
pub fn state_dir() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(variable("HOME")?).join(".local/state"));
    Some(variable("XDG_STATE_HOME").map(PathBuf::from).or_else(home)?.join("gust"))
}

/// What follows the command's name.
pub fn arguments() -> impl Iterator<Item = OsString> {
    env::args_os().skip(1)
}

/// The listening sockets that this process was handed (`sd_listen_fds(3)`), in their order. They are said to be nobody else's: call it once,
/// before there are threads.
pub fn listening_sockets() -> io::Result<Vec<TcpListener>> {
    let mut handed = ListenFd::from_env();
    (0..handed.len()).filter_map(|at| handed.take_tcp_listener(at).transpose()).collect()
}
