//! On what conditions a deploy stands: what its requests may not do, or the alias goes back by itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Code, Problem};

/// The longest that a deploy is watched, in seconds: a day.
const WINDOW_S_MAX: u32 = 86_400;

/// What a new version's requests may not do for a while after its deploy. When one of the conditions is broken the alias goes
/// back to where it pointed before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// The most of its requests that may fail, in percent. A request fails where the function or the host is to blame: its
    /// status is 5xx, or its answer broke off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors_percent_max: Option<f64>,
    /// How many times as long as the version before it may take, at the 99th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_factor_max: Option<f64>,
    /// How long it is watched, in seconds. Default 60.
    #[serde(default = "window_s")]
    pub window_s: u32,
    /// The requests that it must have answered before it is judged. Default 20.
    #[serde(default = "requests_min")]
    pub requests_min: u32,
}

fn window_s() -> u32 {
    60
}

fn requests_min() -> u32 {
    20
}

/// Nothing is asked, with the usual window.
impl Default for Conditions {
    fn default() -> Self {
        let (window_s, requests_min) = (window_s(), requests_min());
        Self { errors_percent_max: None, p99_factor_max: None, window_s, requests_min }
    }
}

impl Conditions {
    /// Whether they can be watched.
    pub fn check(&self) -> Result<(), Problem> {
        let wrong = |detail: String| Err(Problem::new(Code::ConditionsInvalid, detail));
        if self.errors_percent_max.is_none() && self.p99_factor_max.is_none() {
            return wrong("say errors_percent_max, p99_factor_max or both".to_owned());
        }
        if self.errors_percent_max.is_some_and(|percent| !(0.0..100.0).contains(&percent)) {
            return wrong("errors_percent_max is at least 0 and below 100".to_owned());
        }
        if self.p99_factor_max.is_some_and(|factor| !(1.0..=1000.0).contains(&factor)) {
            return wrong("p99_factor_max is from 1 to 1000".to_owned());
        }
        if !(1..=WINDOW_S_MAX).contains(&self.window_s) {
            return wrong(format!("window_s is from 1 to {WINDOW_S_MAX}"));
        }
        if self.requests_min == 0 {
            return wrong("requests_min is at least 1".to_owned());
        }
        Ok(())
    }
}

/// What was seen of a version's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Requests that are over and were not given up by their clients.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// The time of the slowest of a hundred, in microseconds.
    pub p99_us: u64,
}

impl Conditions {
    /// Which of them `new` breaks, beside the version before it; none while there is too little to judge by.
    pub fn broken(&self, new: &Seen, before: &Seen) -> Option<String> {
        let enough = u64::from(self.requests_min);
        if new.requests < enough {
            return None;
        }
        let errors_percent = new.failed as f64 * 100.0 / new.requests as f64;
        if let Some(max) = self.errors_percent_max.filter(|max| errors_percent > *max) {
            let Seen { requests, failed, .. } = new;
            return Some(format!(
                "errors: {failed} of {requests} requests failed, {errors_percent:.1} % (at most {max} %)"
            ));
        }
        let max = self.p99_factor_max.filter(|_| before.requests >= enough && before.p99_us > 0)?;
        let factor = new.p99_us as f64 / before.p99_us as f64;
        (factor > max).then(|| {
            let ms = |us: u64| us as f64 / 1e3;
            let (new_ms, before_ms) = (ms(new.p99_us), ms(before.p99_us));
            format!(
                "p99: {new_ms:.3} ms, {factor:.2} times the {before_ms:.3} ms of the version before (at most {max})"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(text: &str) -> Conditions {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn conditions_that_say_nothing_or_nonsense_are_refused() {
        assert!(conditions("{\"errors_percent_max\": 0}").check().is_ok());
        for bad in [
            "{}",
            "{\"errors_percent_max\": 100}",
            "{\"errors_percent_max\": -1}",
            "{\"p99_factor_max\": 0.5}",
            "{\"errors_percent_max\": 1, \"window_s\": 0}",
            "{\"errors_percent_max\": 1, \"window_s\": 86401}",
            "{\"errors_percent_max\": 1, \"requests_min\": 0}",
        ] {
            assert!(conditions(bad).check().is_err(), "{bad}");
        }
    }

    #[test]
    fn they_are_judged_once_there_is_enough_to_judge_by() {
        let conditions = conditions("{\"errors_percent_max\": 5, \"p99_factor_max\": 2, \"requests_min\": 10}");
        let seen = |requests, failed, p99_us| Seen { requests, failed, p99_us };
        let before = seen(100, 0, 1_000);
        assert_eq!(conditions.broken(&seen(9, 9, 1_000), &before), None);
        assert_eq!(conditions.broken(&seen(100, 5, 2_000), &before), None);
        assert!(conditions.broken(&seen(10, 1, 1_000), &before).unwrap().contains("1 of 10"));
        assert!(conditions.broken(&seen(10, 0, 2_001), &before).unwrap().contains("p99"));
        assert_eq!(conditions.broken(&seen(10, 0, 9_000), &seen(9, 0, 1_000)), None, "nothing to compare with");
    }
}
