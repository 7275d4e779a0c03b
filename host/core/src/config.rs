//! The host's configuration, twice: as written in flags, environment and file ([`RawConfig`]), and as usable
//! ([`HostConfig`]). Flags win over the environment, the environment over the file, the file over the defaults.
//!
//! The table below is the one place where a setting lives: its key in `gust-host.toml`, its environment variable
//! (`GUST_` and the key in capitals), its default and what it means.

use std::{collections::BTreeMap, net::SocketAddr, ops::Range, path::PathBuf};

use serde::{Deserialize, de::IgnoredAny};
use toml::Spanned;

use crate::{
    HostNames, OptionalPath, RewindPolicy,
    limits::{Limit, LimitCaps},
    outbound::Networks,
    text_place::line_and_column,
};

/// A setting as told to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its key in the file.
    pub key: &'static str,
    /// Its default, as text.
    pub default: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// A configuration that cannot be used. The message names the source, the key and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// What follows `GUST_` in variables that commands read, but that are no settings.
const NO_SETTINGS: [&str; 7] = ["CONFIG", "LOG", "TOKEN", "CA", "CERT", "KEY", "SUPERVISOR_PID"];

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:literal;)*) => {
        /// The configuration as one source wrote it: what it does not mention is none.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct RawConfig { $($(#[doc = $doc])+ pub $key: Option<$type>,)* }

        /// The configuration in force.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct HostConfig { $($(#[doc = $doc])+ pub $key: $type,)* }

        /// Every setting.
        pub const SETTINGS: &[Setting] =
            &[$(Setting { key: stringify!($key), default: $default, doc: concat!($($doc),+) },)*];

        impl RawConfig {
            /// Names of environment variables that begin as settings do and are none.
            pub fn unknown_in_env(variables: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
                variables.filter(|name| match name.strip_prefix("GUST_") {
                    Some(key) => {
                        let is_setting = SETTINGS.iter().any(|setting| setting.key.eq_ignore_ascii_case(key));
                        // Kubernetes sets these where a service is called gust.
                        let is_services = key.starts_with("SERVICE_") || key == "PORT" || key.starts_with("PORT_");
                        !(is_setting || is_services || NO_SETTINGS.contains(&key))
                    }
                    None => false,
                })
            }

            /// From environment variables. Others than the settings' are passed over.
            pub fn from_env(variables: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
                let mut raw = Self::default();
                for (name, value) in variables {
                    let Some(key) = name.strip_prefix("GUST_").map(str::to_ascii_lowercase) else { continue };
                    match key.as_str() {
                        $(stringify!($key) => raw.$key = Some(parse(&name, &value)?),)*
                        _ => {}
                    }
                }
                Ok(raw)
            }

            /// What this source says, else what `other` says.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($key: self.$key.or(other.$key),)* }
            }
        }

        impl TryFrom<RawConfig> for HostConfig {
            type Error = ConfigError;

            fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
                raw.zero().map_or(Ok(()), |key| Err(is_zero(key)))?;
                let config = Self {
                    $($key: match raw.$key { Some(value) => value, None => parse(stringify!($key), $default)? },)*
                };
                config.check()?;
                Ok(config)
            }
        }
    };
}

settings! {
    /// Where functions are called: an address and port.
    listen: SocketAddr = "127.0.0.1:3000";
    /// Where the admin API, the metrics and the health checks are: an address and port.
    admin: SocketAddr = "127.0.0.1:3001";
    /// The certificate of the data listener with its chain, a PEM file; it speaks TLS then. Read again when it changes.
    tls_certificate: OptionalPath = "";
    /// The private key of that certificate, a PEM file.
    tls_key: OptionalPath = "";
    /// The authorities, a PEM file, of which one must have signed the certificate that a client of the data listener shows.
    tls_client_ca: OptionalPath = "";
    /// The certificate of the admin listener, as `tls_certificate`.
    admin_tls_certificate: OptionalPath = "";
    /// The private key of that certificate, a PEM file.
    admin_tls_key: OptionalPath = "";
    /// The authorities of the admin listener's clients, as `tls_client_ca`.
    admin_tls_client_ca: OptionalPath = "";
    /// Names that the admin listener may be called by, with commas between them, besides localhost and its own address.
    admin_hosts: HostNames = "";
    /// Networks that functions may reach though they are not public, with commas between them: `10.0.0.0/8,fd00::/8`. A function's
    /// manifest must name whom it sends requests, too.
    outbound_networks: Networks = "";
    /// Where everything is kept that must last.
    data_dir: PathBuf = "gust-data";
    /// Instances alive at the same time, over all functions. 0 is as many as the machine's limits allow.
    instances_max: u32 = "0";
    /// The most memory that a function's limits may give an instance, in MiB. It is address space, not memory in use.
    memory_mib_max: u32 = "512";
    /// The most memory that the host may use, in MiB; while it uses more it refuses requests, rather than be killed by the kernel. 0 is nine
    /// tenths of what the machine has, or the control group that the host runs in.
    memory_used_mib_max: u32 = "0";
    /// The most that functions' limits are on this host, by the keys of `[limits]` in gust.toml: a table in the file,
    /// wall_ms=5000,queue=0 in the environment. What is not said is not capped.
    limits_max: LimitCaps = "";
    /// The longest that a request waits for a free instance, in milliseconds.
    queue_ms: u32 = "1000";
    /// The longest that requests in flight, and changes, are waited for at shutdown, in milliseconds; the admin API's last answers may
    /// take a second more.
    drain_ms: u32 = "10000";
    /// The longest that a request's head may take to arrive, in milliseconds; over HTTP/1.1 that begins with the answer before it, so a
    /// connection is kept for the next request no longer than this.
    header_ms: u32 = "10000";
    /// The longest that a connection stands still, no byte moving and no function at work for it, in milliseconds; it is
    /// ended after that and before twice that.
    idle_ms: u32 = "60000";
    /// Connections open at the same time on the data listener; others wait to be accepted, in the system's queue, until one ends. Fewer
    /// where the process may open few files: half as many as those.
    connections_max: u32 = "10000";
    /// The largest component that is taken, in MiB.
    upload_mib_max: u32 = "64";
    /// The file with the key that apps' secrets are sealed with: 32 bytes as hexadecimal digits or base64. Where none is given, one
    /// is made in the data directory.
    secrets_key_file: PathBuf = "";
    /// The newest versions of each function that are kept; older ones only while an alias needs them.
    versions_kept: u32 = "10";
    /// The longest that compiling a component may take, in milliseconds.
    compile_ms_max: u32 = "60000";
    /// The most memory that compiling a component may take, in MiB of address space.
    compile_memory_mib_max: u32 = "8192";
    /// Functions loaded at the same time; those that were not used for longest are unloaded. 0 is as many as the machine's
    /// limits allow.
    functions_loaded_max: u32 = "0";
    /// Whether instances are put back and used again: on, off, or checked (for tests).
    rewind: RewindPolicy = "on";
    /// Threads that serve requests; 0 is one for each core.
    worker_threads: u32 = "0";
    /// Whether a process stands beside the host that holds its sockets, and starts it again when it ends without having been told to.
    supervised: bool = "false";
    /// Whether each request is a line in the host's log.
    log_requests: bool = "true";
}

fn parse<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, ConfigError>
where
    T::Err: std::fmt::Display,
{
    value.parse().map_err(|error| ConfigError(format!("{name}: {value:?}: {error}")))
}

impl RawConfig {
    /// From the text of `gust-host.toml`.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let raw: Self = toml::from_str(text).map_err(|error| {
            let mut message = error.message().trim().replace('\n', ", ");
            // toml names a key that it does not know, but not the one whose value it cannot read.
            if let Some(key) = error.span().and_then(|span| key_of(text, &span)) {
                message = format!("{key}: {message}");
            }
            at(text, error.span(), &ConfigError(message))
        })?;
        if let Some(key) = raw.zero() {
            return Err(at(text, span_of(text, key), &is_zero(key)));
        }
        match raw.limits_max.as_ref().and_then(LimitCaps::too_small) {
            Some(limit) => Err(at(text, span_of_cap(text, limit.key()), &is_too_small(limit))),
            None => Ok(raw),
        }
    }

    /// A setting that is 0 and never is.
    fn zero(&self) -> Option<&'static str> {
        let never_zero = [
            ("memory_mib_max", self.memory_mib_max),
            ("header_ms", self.header_ms),
            ("idle_ms", self.idle_ms),
            ("connections_max", self.connections_max),
            ("upload_mib_max", self.upload_mib_max),
            ("versions_kept", self.versions_kept),
            ("compile_ms_max", self.compile_ms_max),
            ("compile_memory_mib_max", self.compile_memory_mib_max),
        ];
        never_zero.iter().find(|(_, value)| *value == Some(0)).map(|(key, _)| *key)
    }
}

fn is_zero(key: &str) -> ConfigError {
    ConfigError(format!("{key} is 0; it is at least 1"))
}

fn is_too_small(limit: Limit) -> ConfigError {
    let (key, min) = (limit.key(), limit.min());
    ConfigError(format!("limits_max.{key} is less than {min}, the least that it is; or leave it out"))
}

/// The keys of a table, with their places.
type Keys = BTreeMap<Spanned<String>, IgnoredAny>;

/// Where a key stands in a file that can be read.
fn span_of(text: &str, key: &str) -> Option<Range<usize>> {
    span_in(toml::from_str(text).ok()?, key)
}

/// Where a key of `limits_max` does.
fn span_of_cap(text: &str, key: &str) -> Option<Range<usize>> {
    #[derive(Deserialize)]
    struct Caps {
        limits_max: Keys,
    }
    span_in(toml::from_str::<Caps>(text).ok()?.limits_max, key)
}

fn span_in(keys: Keys, key: &str) -> Option<Range<usize>> {
    keys.into_keys().find(|spanned| spanned.get_ref() == key).map(|spanned| spanned.span())
}

/// The key whose value stands here.
fn key_of<'t>(text: &'t str, value: &Range<usize>) -> Option<&'t str> {
    let before = text.get(..value.start)?;
    let line = before.get(before.rfind('\n').map_or(0, |at| at + 1)..)?;
    line.split_once('=').map(|(key, _)| key.trim())
}

/// An error with its place.
fn at(text: &str, span: Option<Range<usize>>, error: &ConfigError) -> ConfigError {
    let (line, column) = span.map_or((1, 1), |span| line_and_column(text, &span));
    ConfigError(format!("line {line}, column {column}: {error}"))
}

impl HostConfig {
    /// The most that a function's limits are on this host.
    pub fn caps(&self) -> LimitCaps {
        let memory_mib = self.limits_max.memory_mib.map_or(self.memory_mib_max, |cap| cap.min(self.memory_mib_max));
        LimitCaps { memory_mib: Some(memory_mib), ..self.limits_max.clone() }
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.worker_threads > 1024 {
            return Err(ConfigError(format!("worker_threads is {}; it is at most 1024", self.worker_threads)));
        }
        if self.memory_mib_max > 4096 {
            return Err(ConfigError(format!("memory_mib_max is {}; it is at most 4096", self.memory_mib_max)));
        }
        if self.listen == self.admin && self.listen.port() != 0 {
            return Err(ConfigError(format!("listen and admin are both {}; give each its own port", self.listen)));
        }
        if let Some(limit) = self.limits_max.too_small() {
            return Err(is_too_small(limit));
        }
        self.check_tls()
    }

    /// A certificate needs its key, and whoever asks for certificates must have one.
    fn check_tls(&self) -> Result<(), ConfigError> {
        let listeners = [
            ("", &self.tls_certificate, &self.tls_key, &self.tls_client_ca),
            ("admin_", &self.admin_tls_certificate, &self.admin_tls_key, &self.admin_tls_client_ca),
        ];
        for (whose, certificate, key, client_ca) in listeners {
            let without = |given: &str, missing: &str| {
                ConfigError(format!("{whose}tls_{given} is given without {whose}tls_{missing}; give both, or neither"))
            };
            match (certificate.is_some(), key.is_some(), client_ca.is_some()) {
                (true, false, _) => return Err(without("certificate", "key")),
                (false, true, _) => return Err(without("key", "certificate")),
                (false, false, true) => return Err(without("client_ca", "certificate")),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Result<RawConfig, ConfigError> {
        RawConfig::from_env(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn defaults_are_usable() {
        let config = HostConfig::try_from(RawConfig::default()).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:3000");
        assert_eq!(config.queue_ms, 1000);
        assert!(config.log_requests);
    }

    #[test]
    fn flags_win_over_environment_over_file() {
        let file = RawConfig::from_toml("listen = \"127.0.0.1:1\"\nadmin = \"127.0.0.1:2\"\nqueue_ms = 3").unwrap();
        let env = env(&[("GUST_LISTEN", "127.0.0.1:4"), ("GUST_ADMIN", "127.0.0.1:5"), ("PATH", "/bin")]).unwrap();
        let flags = RawConfig { listen: Some("127.0.0.1:6".parse().unwrap()), ..RawConfig::default() };
        let config = HostConfig::try_from(flags.or(env).or(file)).unwrap();
        assert_eq!((config.listen.port(), config.admin.port(), config.queue_ms), (6, 5, 3));
    }

    #[test]
    fn mistakes_are_named() {
        let text = |result: Result<RawConfig, ConfigError>| result.unwrap_err().to_string();
        assert!(text(RawConfig::from_toml("x = 1\n")).starts_with("line 1, column 1: unknown field `x`"));
        let of_value = text(RawConfig::from_toml("\nlisten = \"here\""));
        assert!(of_value.starts_with("line 2, column 10: listen: invalid socket address"), "{of_value}");
        assert!(text(env(&[("GUST_QUEUE_MS", "soon")])).starts_with("GUST_QUEUE_MS: \"soon\""));
        for zero in ["versions_kept", "memory_mib_max", "connections_max", "upload_mib_max", "header_ms"] {
            let of_file = RawConfig::from_toml(&format!("queue_ms = 1\n{zero} = 0"));
            assert!(text(of_file).starts_with(&format!("line 2, column 1: {zero} is 0")));
            let of_env = env(&[(&format!("GUST_{}", zero.to_ascii_uppercase()), "0")]).unwrap();
            assert!(HostConfig::try_from(of_env).unwrap_err().to_string().starts_with(zero));
        }
        let of_cap = text(RawConfig::from_toml("queue_ms = 1\n[limits_max]\nwall_ms = 0"));
        assert_eq!(
            of_cap,
            "line 3, column 1: limits_max.wall_ms is less than 1, the least that it is; or leave it out"
        );
        let same = RawConfig::from_toml("listen = \"127.0.0.1:9\"\nadmin = \"127.0.0.1:9\"").unwrap();
        assert!(HostConfig::try_from(same).is_err());
        assert!(text(RawConfig::from_toml("admin_hosts = \"a:1\"")).contains("without scheme or port"));
        assert!(text(RawConfig::from_toml("outbound_networks = \"10.0.0.1/8\"")).contains("inside of a network"));
    }

    #[test]
    fn variables_that_were_meant_to_be_settings_are_found() {
        let names =
            ["GUST_QUEUE_MS", "GUST_QUEU_MS", "GUST_TOKEN", "GUST_SERVICE_HOST", "GUST_PORT", "GUST_PORT_80_TCP", "X"];
        let unknown: Vec<_> = RawConfig::unknown_in_env(names.map(str::to_owned).into_iter()).collect();
        assert_eq!(unknown, ["GUST_QUEU_MS"]);
    }

    #[test]
    fn a_certificate_and_its_key_go_together() {
        let checked = |file: &str| RawConfig::from_toml(file).and_then(HostConfig::try_from);
        for (file, expected) in [
            ("tls_certificate = \"a\"", "tls_certificate is given without tls_key"),
            ("tls_key = \"a\"", "tls_key is given without tls_certificate"),
            ("tls_client_ca = \"a\"", "tls_client_ca is given without tls_certificate"),
            (
                "admin_tls_key = \"a\"\ntls_certificate = \"a\"\ntls_key = \"b\"",
                "admin_tls_key is given without admin_",
            ),
        ] {
            let error = checked(file).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let config = checked("tls_certificate = \"a\"\ntls_key = \"b\"\nadmin_tls_client_ca = \"\"").unwrap();
        assert!(config.tls_certificate.is_some() && !config.admin_tls_client_ca.is_some());
    }
}
