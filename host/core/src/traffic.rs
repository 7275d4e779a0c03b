//! Where an alias sends requests: to one version, or split by weight between two.
//!
//! A split is decided by a number from 0 to 99 for each request: a random one, or where the alias is sticky one that is made
//! from what the client sends, so that the same client meets the same version. Raising the second version's weight moves
//! clients to it and never away from it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Code, Problem};

/// All weights of an alias together.
const WHOLE: u8 = 100;

/// The longest name of a header or cookie, in bytes.
const STICKY_NAME_BYTES_MAX: usize = 64;

/// Where an alias sends requests. As JSON `{"targets": [{"version": 7, "weight": 90}, {"version": 8, "weight": 10}]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// One version, or two whose weights are 100 together.
    #[schema(min_items = 1, max_items = 2)]
    pub targets: Vec<Target>,
    /// What keeps a client at one version of a split; none sends each request by chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
}

/// A version and its share of an alias's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The version.
    #[schema(minimum = 1, maximum = 18446744073709551615u64)]
    pub version: u64,
    /// Its share in percent. Default 100.
    #[serde(default = "whole")]
    #[schema(minimum = 1, maximum = 100)]
    pub weight: u8,
}

fn whole() -> u8 {
    WHOLE
}

/// What of a request says which client it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sticky {
    /// The value of this header. Requests without it go by chance.
    Header(String),
    /// The value of this cookie. A client without it is given one.
    Cookie(String),
}

impl Traffic {
    /// All requests to one version.
    pub fn all_to(version: u64) -> Self {
        Self { targets: vec![Target { version, weight: WHOLE }], sticky: None }
    }

    /// `weight` percent of the requests to `second`, the others to `first`.
    pub fn split(first: u64, second: u64, weight: u8, sticky: Option<Sticky>) -> Self {
        let share = |version, weight| Target { version, weight };
        Self { targets: vec![share(first, WHOLE.saturating_sub(weight)), share(second, weight)], sticky }
    }

    /// The versions, the first one first.
    pub fn versions(&self) -> impl Iterator<Item = u64> + '_ {
        self.targets.iter().map(|target| target.version)
    }

    /// The version that most of it is about: the only one, or the first of two.
    pub fn first(&self) -> u64 {
        self.targets.first().map_or(0, |target| target.version)
    }

    /// The second version and its weight, where there are two.
    pub fn second(&self) -> Option<Target> {
        self.targets.get(1).copied()
    }

    /// Whether it is of a form that can be served.
    pub fn check(&self) -> Result<(), Problem> {
        let wrong = |detail: &str| Err(Problem::new(Code::AliasInvalid, detail));
        match &*self.targets {
            [only] if only.weight == WHOLE => {}
            [_] => return wrong("a single target has the weight 100"),
            [first, second] => {
                if first.version == second.version {
                    return wrong("both targets are the same version; name it once, without a weight");
                }
                if first.weight == 0 || second.weight == 0 || first.weight.checked_add(second.weight) != Some(WHOLE) {
                    return wrong("the weights of two targets are each from 1 to 99, and 100 together");
                }
            }
            _ => return wrong("an alias has one target or two"),
        }
        if self.targets.iter().any(|target| target.version == 0) {
            return wrong("versions are numbers from 1");
        }
        self.sticky.as_ref().map_or(Ok(()), Sticky::check)
    }
}

impl Sticky {
    /// Whether it names a header or cookie that there can be.
    pub fn check(&self) -> Result<(), Problem> {
        let (Self::Header(name) | Self::Cookie(name)) = self;
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || name.len() > STICKY_NAME_BYTES_MAX || !name.bytes().all(is_token) {
            let detail = "sticky names a header or a cookie: 1 to 64 letters, digits and hyphens";
            return Err(Problem::new(Code::AliasInvalid, detail));
        }
        Ok(())
    }
}

/// The share of a client, from 0 to 99, made from what it sends: FNV-1a, for it is short, spreads well and is the same after
/// a restart (Fowler, Noll and Vo; the 64-bit constants are those of the IETF draft). Not for secrets.
pub fn share_of(value: &[u8]) -> u8 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let hash = value.iter().fold(BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME));
    // Its low bits follow the last byte closely; the high ones are mixed in.
    ((hash ^ (hash >> 32)) % u64::from(WHOLE)) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_can_be_served_is_an_alias() {
        let parse = |text: &str| serde_json::from_str::<Traffic>(text).unwrap();
        for good in [
            r#"{"targets":[{"version":1}]}"#,
            r#"{"targets":[{"version":1,"weight":90},{"version":2,"weight":10}],"sticky":{"cookie":"visitor"}}"#,
        ] {
            assert_eq!(parse(good).check(), Ok(()), "{good}");
        }
        for bad in [
            r#"{"targets":[]}"#,
            r#"{"targets":[{"version":0}]}"#,
            r#"{"targets":[{"version":1,"weight":50}]}"#,
            r#"{"targets":[{"version":1,"weight":50},{"version":1,"weight":50}]}"#,
            r#"{"targets":[{"version":1},{"version":2}]}"#,
            r#"{"targets":[{"version":1,"weight":255},{"version":2,"weight":101}]}"#,
            r#"{"targets":[{"version":1,"weight":0},{"version":2,"weight":100}]}"#,
            r#"{"targets":[{"version":1}],"sticky":{"header":"a b"}}"#,
            r#"{"targets":[{"version":1}],"sticky":{"header":""}}"#,
        ] {
            assert!(parse(bad).check().is_err(), "{bad}");
        }
    }

    #[test]
    fn clients_are_spread_evenly() {
        let in_first_tenth = (0..20_000).filter(|n| share_of(format!("user-{n}").as_bytes()) < 10).count();
        assert!((1_700..2_300).contains(&in_first_tenth), "{in_first_tenth} of 20,000");
    }

    proptest! {
        #[test]
        fn a_share_is_below_100(value: Vec<u8>) {
            prop_assert!(share_of(&value) < WHOLE);
        }
    }
}
