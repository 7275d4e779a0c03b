//! What may be typed about versions and aliases.

use clap::{Args as ClapArgs, Subcommand};

/// Where the requests go that a deploy is to have.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Release")]
pub struct Release {
    /// The app that a new function belongs to; else `default`
    #[arg(long)]
    pub app: Option<String>,
    /// The alias that is to point to it; else `live`
    #[arg(long)]
    pub alias: Option<String>,
    /// Its share of live's requests in percent; the rest stay where they are
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    pub weight: Option<u8>,
    #[command(flatten)]
    pub sticky: Sticky,
    /// Take it back if this comes true: 'errors>5%' or 'p99>1.5x'; may be repeated
    #[arg(long, value_name = "CONDITION")]
    pub rollback_if: Vec<Condition>,
    /// How long it is watched, in seconds [default: 60]
    #[arg(long, value_name = "SECONDS", requires = "rollback_if")]
    pub window: Option<u32>,
    /// The requests that it must have answered before it is judged [default: 20]
    #[arg(long, value_name = "N", requires = "rollback_if")]
    pub min_requests: Option<u32>,
}

/// What keeps a client at one of two versions.
#[derive(Debug, Clone, ClapArgs)]
pub struct Sticky {
    /// Keep clients at one version by this header
    #[arg(long, value_name = "HEADER", requires = "weight", conflicts_with = "sticky_cookie")]
    pub sticky_header: Option<String>,
    /// Keep clients at one version by this cookie; those without get one
    #[arg(long, value_name = "COOKIE", requires = "weight")]
    pub sticky_cookie: Option<String>,
}

/// Reads a share of the requests.
fn share(text: &str) -> Result<u8, String> {
    let percent = text.trim_end_matches('%').parse().ok().filter(|percent| (1..=99).contains(percent));
    percent.ok_or_else(|| "a share is a whole number of percent, from 1 to 99".to_owned())
}

/// What takes a deploy back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Condition {
    /// More of its requests fail than so many percent.
    ErrorsPercent(f64),
    /// It takes longer than so many times the version before, at the 99th percentile.
    P99Factor(f64),
}

impl std::str::FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no condition; write 'errors>5%' or 'p99>1.5x'");
        let (what, value) = text.split_once('>').ok_or_else(wrong)?;
        let number = |unit: char| value.trim().trim_end_matches(unit).trim().parse::<f64>().map_err(|_| wrong());
        match what.trim() {
            "errors" => match number('%')? {
                percent if (0.0..100.0).contains(&percent) => Ok(Self::ErrorsPercent(percent)),
                _ => Err(format!("{text:?}: errors are from 0% to less than 100% of the requests")),
            },
            "p99" => match number('x')? {
                factor if (1.0..=1000.0).contains(&factor) => Ok(Self::P99Factor(factor)),
                _ => Err(format!("{text:?}: the p99 may be from 1x to 1000x that of the version before")),
            },
            _ => Err(wrong()),
        }
    }
}

#[derive(Debug, ClapArgs)]
pub struct Versions {
    /// The function
    pub name: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Promote {
    /// The function
    pub name: String,
    /// The version; else the one that shares live's requests, else canary's
    #[arg(long, id = "promoted", value_name = "VERSION")]
    pub version: Option<u64>,
    /// Take the version that this alias points to
    #[arg(long, value_name = "ALIAS", conflicts_with = "promoted")]
    pub from: Option<String>,
    /// The alias that is to point to it
    #[arg(long, value_name = "ALIAS", default_value = "live")]
    pub to: String,
}

#[derive(Debug, ClapArgs)]
pub struct Rollback {
    /// The function
    pub name: String,
    /// The version; else the one before
    #[arg(long, value_name = "VERSION")]
    pub to: Option<u64>,
    /// The alias that goes back
    #[arg(long, default_value = "live")]
    pub alias: String,
}

#[derive(Debug, Subcommand)]
pub enum Alias {
    /// Show where a function's aliases point
    Ls {
        /// The function
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show where an alias pointed, and why that was changed
    History {
        /// The function
        name: String,
        /// The alias
        alias: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Have an alias point to a version, or to two
    Set {
        /// The function
        name: String,
        /// The alias
        alias: String,
        /// The version
        #[arg(id = "target", value_name = "VERSION")]
        version: u64,
        /// Another version that gets a share of the requests
        #[arg(long, value_name = "VERSION", requires = "weight")]
        and: Option<u64>,
        /// The other version's share in percent
        #[arg(long, value_name = "PERCENT", requires = "and", value_parser = share)]
        weight: Option<u8>,
        #[command(flatten)]
        sticky: Sticky,
    },
    /// Remove an alias
    Rm {
        /// The function
        name: String,
        /// The alias
        alias: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_as_people_write_them() {
        assert_eq!((share("10"), share("99%")), (Ok(10), Ok(99)));
        for bad in ["0", "100", "abc", "", "-1", "1.5"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn conditions_are_read_as_people_write_them() {
        assert_eq!("errors>5%".parse(), Ok(Condition::ErrorsPercent(5.0)));
        assert_eq!("errors > 0.5".parse(), Ok(Condition::ErrorsPercent(0.5)));
        assert_eq!("p99>1.5x".parse(), Ok(Condition::P99Factor(1.5)));
        for bad in ["", "errors", "errors<5%", "latency>5", "errors>five", "errors>100%", "errors>NaN%", "p99>0.5x"] {
            assert!(bad.parse::<Condition>().is_err(), "{bad}");
        }
    }
}
