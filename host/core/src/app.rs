//! An app: functions that belong together, with their configuration, secrets, limits and keys.
//!
//! A function may be in several apps, and has in each that app's configuration. This is what an app's owner decides about it,
//! as a document; which functions are in it, and its secrets, are changed one by one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Code, Limits, Problem, limits::LimitCaps, routing::HostPattern};

/// All names and values of an app's configuration together, in bytes; the same for its secrets.
pub const CONFIG_BYTES_MAX: usize = 64 << 10;

/// Hosts of an app.
const HOSTS_MAX: usize = 32;

/// The greatest weight of an app, where the usual one is 100.
const CPU_WEIGHT_MAX: u32 = 10_000;

/// What an app's owner decides about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AppSpec {
    /// Hosts whose requests are this app's: `shop.example.com`, or `*.shop.example.com` for all below. On them `/{function}`
    /// is a function of this app. Default: none.
    #[schema(max_items = 32)]
    pub hosts: Vec<String>,
    /// The most that a function's limits are in this app. Default: what each function's manifest says.
    pub limits: LimitCaps,
    /// What the app's functions may use together.
    pub quotas: Quotas,
}

/// What the functions of an app may use together. What is not said is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// Requests a second, as many at once as in one second.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4294967295u32)]
    pub requests_per_s: Option<u32>,
    /// Requests at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4294967295u32)]
    pub concurrency: Option<u32>,
    /// Its share of the processor where guests of other apps want it too, beside theirs. Default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10000)]
    pub cpu_weight: Option<u32>,
    /// Time that guests run, each day (UTC), in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 18446744073709551615u64)]
    pub cpu_ms_per_day: Option<u64>,
    /// Components of all versions that are kept, in bytes, each once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 18446744073709551615u64)]
    pub stored_bytes: Option<u64>,
    /// Key-values and blobs of its functions, in MiB. Default 1024.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4294967295u32)]
    pub storage_mib: Option<u32>,
}

/// What an app's functions may store where its owner says nothing, in MiB.
const STORAGE_MIB_DEFAULT: u32 = 1024;

impl Quotas {
    /// Each quota by its key.
    pub fn by_key(&self) -> [(&'static str, Option<u64>); 6] {
        [
            ("requests_per_s", self.requests_per_s.map(u64::from)),
            ("concurrency", self.concurrency.map(u64::from)),
            ("cpu_weight", self.cpu_weight.map(u64::from)),
            ("cpu_ms_per_day", self.cpu_ms_per_day),
            ("stored_bytes", self.stored_bytes),
            ("storage_mib", self.storage_mib.map(u64::from)),
        ]
    }

    /// What its functions may store, in bytes.
    pub fn storage_bytes(&self) -> u64 {
        u64::from(self.storage_mib.unwrap_or(STORAGE_MIB_DEFAULT)) << 20
    }

    fn check(&self) -> Result<(), Problem> {
        match self.by_key().iter().find(|(_, quota)| *quota == Some(0)) {
            Some((key, _)) => Err(invalid(format!("quotas.{key} is 0; it is at least 1, or left out"))),
            None if self.cpu_weight.is_some_and(|weight| weight > CPU_WEIGHT_MAX) => {
                Err(invalid(format!("quotas.cpu_weight is at most {CPU_WEIGHT_MAX}")))
            }
            None => Ok(()),
        }
    }
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Code::AppInvalid, detail)
}

impl AppSpec {
    /// Reads one from TOML, as `gust app set --file` has it.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let spec: Self = toml::from_str(text).map_err(|error| {
            let (line, column) = error.span().map_or((1, 1), |span| crate::text_place::line_and_column(text, &span));
            invalid(format!("line {line}, column {column}: {}", error.message().trim().replace('\n', ", ")))
        })?;
        spec.check()?;
        Ok(spec)
    }

    /// Whether it can be served.
    pub fn check(&self) -> Result<(), Problem> {
        if self.hosts.len() > HOSTS_MAX {
            return Err(invalid(format!("an app has at most {HOSTS_MAX} hosts")));
        }
        for (at, host) in self.hosts.iter().enumerate() {
            HostPattern::parse(Some(host)).map_err(|why| invalid(format!("hosts: {why}")))?;
            if self.hosts.iter().take(at).any(|earlier| earlier.eq_ignore_ascii_case(host)) {
                return Err(invalid(format!("hosts names {host} twice")));
            }
        }
        if let Some(limit) = self.limits.too_small() {
            let (key, min) = (limit.key(), limit.min());
            return Err(invalid(format!("limits.{key} is less than {min}, the least that it is; or leave it out")));
        }
        self.quotas.check()
    }

    /// The limits of a function in this app.
    pub fn limits(&self, wanted: &Limits) -> Limits {
        wanted.capped(&self.limits)
    }
}

/// Names and values that an app's functions see, as environment and through `wasi:config`.
pub type Config = BTreeMap<String, String>;

/// Checks a name of the configuration, of a secret or of the environment.
pub fn check_key(name: &str) -> Result<(), Problem> {
    const BYTES_MAX: usize = 256;
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && name.len() <= BYTES_MAX && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    let shown: String = name.chars().take(64).collect();
    Err(Problem::new(
        Code::KeyInvalid,
        format!(
            "{shown:?} is not a name of a setting: letters, digits and _, not beginning with a digit, at most {BYTES_MAX}"
        ),
    ))
}

/// Checks a value of the configuration or of a secret. The error does not repeat it.
pub fn check_value(name: &str, value: &str) -> Result<(), Problem> {
    if value.contains('\0') {
        return Err(Problem::new(Code::KeyInvalid, format!("the value of {name} holds a NUL character")));
    }
    if value.len() > CONFIG_BYTES_MAX {
        let detail = format!("the value of {name} has {} bytes; it has at most {CONFIG_BYTES_MAX}", value.len());
        return Err(Problem::new(Code::KeyInvalid, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_read_with_its_mistakes_named() {
        let text = "hosts = [\"shop.example.com\"]\n[limits]\nmemory_mib = 64\n[quotas]\nrequests_per_s = 100\n";
        let spec = AppSpec::parse(text).unwrap();
        assert_eq!(spec.quotas.requests_per_s, Some(100));
        assert_eq!(spec.limits(&Limits::default()).memory_mib, 64);
        assert_eq!(spec.limits(&Limits { memory_mib: 8, ..Limits::default() }).memory_mib, 8);
        let error = |text: &str| AppSpec::parse(text).unwrap_err().detail;
        assert!(error("host = []").starts_with("line 1, column 1: unknown field `host`"), "{}", error("host = []"));
        assert!(error("[quotas]\nconcurrency = 0").contains("quotas.concurrency is 0"));
        assert!(error("[limits]\nwall_ms = 0").contains("limits.wall_ms is less than 1"));
    }

    #[test]
    fn an_error_never_repeats_a_value() {
        assert!(check_key("API_KEY").is_ok() && check_key("A B").is_err() && check_key("").is_err());
        let error = check_value("API_KEY", "se\0cret").unwrap_err();
        assert!(!error.to_string().contains("cret"), "{error}");
    }
}
