//! What may be asked of a deploy besides the upload, as its query.

use gust_core::{AliasName, AppName, Code, Conditions, Problem, traffic::Sticky};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::deploy::Wishes;

/// The query of a deploy.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Options {
    /// The app that a new function belongs to. Default: `default`.
    app: Option<AppName>,
    /// The alias that is to point to the upload. Default: `live`.
    alias: Option<AliasName>,
    /// Its share of the requests that go through `live`, in percent. Default: all, or none where an alias is named.
    #[param(minimum = 1, maximum = 99)]
    weight: Option<u8>,
    /// The header that keeps a client at one version.
    #[param(pattern = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]
    sticky_header: Option<String>,
    /// The cookie that does.
    #[param(pattern = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]
    sticky_cookie: Option<String>,
    /// The most of its requests that may fail, in percent, or it is taken back.
    #[param(minimum = 0, exclusive_maximum = 100)]
    errors_percent_max: Option<f64>,
    /// How many times as long as the version before it may take at the 99th percentile, or it is taken back.
    #[param(minimum = 1, maximum = 1000)]
    p99_factor_max: Option<f64>,
    /// How long it is watched, in seconds. Default: 60.
    #[param(minimum = 1, maximum = 86400)]
    window_s: Option<u32>,
    /// The requests that it must have answered before it is judged. Default: 20.
    #[param(minimum = 1, maximum = 4294967295u32)]
    requests_min: Option<u32>,
}

impl Options {
    /// What is asked, where it makes sense together.
    pub(super) fn wishes(self, if_generation: Option<u64>) -> Result<Wishes, Problem> {
        let (conditions, sticky) = (self.conditions()?, self.sticky()?);
        Ok(Wishes { app: self.app, alias: self.alias, weight: self.weight, sticky, conditions, if_generation })
    }

    fn sticky(&self) -> Result<Option<Sticky>, Problem> {
        let wrong = |detail: &str| Err(Problem::new(Code::AliasInvalid, detail));
        let sticky = match (self.sticky_header.clone(), self.sticky_cookie.clone()) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return wrong("an alias is sticky by a header or by a cookie, not by both"),
            (Some(header), None) => Sticky::Header(header),
            (None, Some(cookie)) => Sticky::Cookie(cookie),
        };
        if self.weight.is_none() {
            return wrong("sticky goes with a weight: else all requests go to one version");
        }
        sticky.check()?;
        Ok(Some(sticky))
    }

    fn conditions(&self) -> Result<Option<Conditions>, Problem> {
        let (errors_percent_max, p99_factor_max) = (self.errors_percent_max, self.p99_factor_max);
        if errors_percent_max.is_none() && p99_factor_max.is_none() {
            if self.window_s.is_none() && self.requests_min.is_none() {
                return Ok(None);
            }
            let detail = "window_s and requests_min go with errors_percent_max or p99_factor_max";
            return Err(Problem::new(Code::ConditionsInvalid, detail));
        }
        let usual = Conditions::default();
        Ok(Some(Conditions {
            errors_percent_max,
            p99_factor_max,
            window_s: self.window_s.unwrap_or(usual.window_s),
            requests_min: self.requests_min.unwrap_or(usual.requests_min),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_together_is_refused() {
        let code = |options: Options| options.wishes(None).err().map(|problem| problem.code);
        let name = || Some("visitor".to_owned());
        assert_eq!(code(Options::default()), None);
        assert_eq!(code(Options { weight: Some(10), sticky_cookie: name(), ..Options::default() }), None);
        assert_eq!(code(Options { sticky_cookie: name(), ..Options::default() }), Some(Code::AliasInvalid));
        let both = Options { weight: Some(1), sticky_cookie: name(), sticky_header: name(), ..Options::default() };
        assert_eq!(code(both), Some(Code::AliasInvalid));
        assert_eq!(code(Options { window_s: Some(5), ..Options::default() }), Some(Code::ConditionsInvalid));
    }
}
