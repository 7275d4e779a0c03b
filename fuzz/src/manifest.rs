//! What people write in TOML: manifests, documents of apps, the host's configuration. A text means the same when it was read
//! and rendered, and a mistake in it is named with its place.

use std::{
    collections::BTreeMap,
    fmt::{Debug, Display},
};

use gust_core::{
    AppSpec, Manifest,
    config::{HostConfig, RawConfig},
};
use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

/// A text in TOML.
pub fn manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parsed = Manifest::parse(text);
    if let Ok(manifest) = &parsed {
        assert!(manifest.routes().is_ok());
    }
    is_the_same_again(&parsed, Manifest::parse);
    names_the_place(text, &parsed, |error| error.strip_prefix("gust.toml:")?.split_once(": ")?.0.split_once(':'));

    let parsed = AppSpec::parse(text).map_err(|problem| problem.detail);
    is_the_same_again(&parsed, AppSpec::parse);
    names_the_place(text, &parsed, in_words);

    let parsed = RawConfig::from_toml(text);
    names_the_place(text, &parsed, in_words);
    if let Ok(raw) = parsed {
        assert_eq!(RawConfig::default().or(raw.clone()), raw);
        match HostConfig::try_from(raw) {
            Ok(config) => assert!(config.header_ms > 0 && config.limits_max.too_small().is_none(), "{config:?}"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// What was read is the same when it is rendered and read again, as TOML and as JSON, where it can be rendered: TOML knows
/// no numbers of 64 bits without a sign.
fn is_the_same_again<T, E, F>(parsed: &Result<T, E>, parse: impl Fn(&str) -> Result<T, F>)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
    F: Debug,
{
    let Ok(value) = parsed else { return };
    if let Ok(text) = toml::to_string(value) {
        assert_eq!(&parse(&text).unwrap(), value, "{text}");
    }
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value, "{json}");
}

/// A text that is no TOML is refused with the place, as line and column, and a place is one that the text has.
fn names_the_place<T, E: Display>(text: &str, parsed: &Result<T, E>, place: impl Fn(&str) -> Option<(&str, &str)>) {
    let Err(error) = parsed else { return };
    let error = error.to_string();
    assert!(!error.trim().is_empty() && !error.contains('\n'), "{error:?}");
    let place = place(&error).and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)));
    match place {
        Some((line, column)) => assert!(has_place(text, line, column), "{error}"),
        None => assert!(toml::from_str::<BTreeMap<String, IgnoredAny>>(text).is_ok(), "{error}"),
    }
}

fn in_words(error: &str) -> Option<(&str, &str)> {
    error.strip_prefix("line ")?.split_once(": ")?.0.split_once(", column ")
}

fn has_place(text: &str, line: usize, column: usize) -> bool {
    let Some(at) = line.checked_sub(1).and_then(|before| text.split('\n').nth(before)) else { return false };
    (1..=at.chars().count() + 1).contains(&column)
}
