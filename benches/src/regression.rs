//! What became of gust's sides since the committed results: ratios to a side that ran beside them, for machines drift.

use std::path::Path;

use anyhow::{Result, bail};

use crate::{
    instance, load,
    machine::Machine,
    record::{self, Run},
    report::Table,
    statistics::{median, relative_error},
};

/// Changes that are never called a regression: two builds of the same source differ by as much.
const CHANGE_MIN: f64 = 0.05;

/// Standard errors of the change that are put down to chance.
const ERRORS: f64 = 3.0;

/// More than this cannot be told from a slowdown that matters.
const NOISE_MAX: f64 = 0.2;

/// A figure that is watched.
struct Watched {
    stage: &'static str,
    figure: &'static str,
    baseline: &'static str,
    /// Whether a larger figure is the better one.
    more_is_better: bool,
}

const WATCHED: [Watched; 2] = [
    Watched { stage: "load", figure: "per_second", baseline: load::BARE_HYPER, more_is_better: true },
    Watched { stage: "instance", figure: "us", baseline: instance::BASELINE, more_is_better: false },
];

/// A side then and now.
#[derive(Debug)]
struct Change {
    side: String,
    then: f64,
    now: f64,
    /// How much worse it is, as a share; negative where it is better.
    worse: f64,
    /// How much worse it may be.
    allowed: f64,
}

impl Change {
    fn is_regression(&self) -> bool {
        self.worse > self.allowed
    }

    /// What is said of it.
    fn so(&self) -> &'static str {
        match self {
            _ if self.is_regression() => "SLOWER",
            _ if self.allowed > NOISE_MAX => "too noisy to tell: measure again on a quiet machine",
            _ => "well",
        }
    }
}

/// Compares what is in `target/bench` with the committed results of this kind of machine. Fails where a side of gust's has
/// become slower by more than chance explains.
pub fn check() -> Result<()> {
    let machine = Machine::here();
    let mut slower = Vec::new();
    for watched in &WATCHED {
        let (then, now) = (record::committed(&machine, watched.stage), record::made(watched.stage));
        if !now.exists() {
            eprintln!("    {}: not measured; cargo xtask bench {0}", watched.stage);
        } else if !then.exists() {
            let kind = &machine.kind;
            eprintln!("    {}: no committed results for {kind}; cargo xtask bench publish makes them", watched.stage);
        } else {
            slower.extend(compare(watched, &then, &now)?);
        }
    }
    if !slower.is_empty() {
        bail!("slower than the committed results, beyond noise: {}", slower.join("; "));
    }
    Ok(())
}

/// Shows the changes of a stage; names those that are regressions.
fn compare(watched: &Watched, then: &Path, now: &Path) -> Result<Vec<String>> {
    let changes = changes(watched, &Run::load(then)?, &Run::load(now)?);
    let mut table = Table::new(&["side", "then", "now", "worse by", "allowed", "so"]);
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    for change in &changes {
        let ratios = [change.then, change.now].map(|ratio| format!("{ratio:.3}"));
        let cells =
            [ratios.to_vec(), vec![percent(change.worse), percent(change.allowed), change.so().to_owned()]].concat();
        table.row(&[vec![change.side.clone()], cells].concat());
    }
    let Watched { stage, figure, baseline, .. } = watched;
    let heading = format!("{stage}: `{figure}` of gust's sides as a share of {baseline}'s, committed and now.");
    table.write(&format!("compare-{stage}"), &heading)?;
    let slower = changes.into_iter().filter(Change::is_regression);
    Ok(slower.map(|change| format!("{} by {}", change.side, percent(change.worse))).collect())
}

fn changes(watched: &Watched, then: &Run, now: &Run) -> Vec<Change> {
    let sides = now.sides().into_iter().filter(|side| side.split(", ").any(|word| word == "gust"));
    let ratios = |run: &Run, side| run.ratios(side, watched.baseline, watched.figure);
    sides.filter_map(|side| change(watched, side, &ratios(then, side), &ratios(now, side))).collect()
}

/// None where one of them has no rounds.
fn change(watched: &Watched, side: &str, before: &[f64], after: &[f64]) -> Option<Change> {
    if before.is_empty() || after.is_empty() {
        return None;
    }
    let (then, now) = (median(before.to_vec()), median(after.to_vec()));
    let worse = if watched.more_is_better { 1.0 - now / then } else { now / then - 1.0 };
    let noise = ERRORS * relative_error(before).hypot(relative_error(after));
    Some(Change { side: side.to_owned(), then, now, worse, allowed: noise.max(CHANGE_MIN) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;

    /// Rounds on a machine that drifts, where gust's ratio is as given, give or take a share.
    fn run(ratio: f64, noise: f64) -> Run {
        let mut run = Run::new("load", String::new(), false);
        for (round, speed) in [1e5, 1.8e5, 1.2e5, 1.5e5, 1e5, 1.6e5].into_iter().enumerate() {
            let sign = if round % 2 == 0 { 1.0 } else { -1.0 };
            let ours = speed * ratio * (1.0 + sign * noise);
            for (side, per_second) in [(load::BARE_HYPER, speed), ("gust", ours), ("wasmtime serve", speed / 10.0)] {
                run.records.push(Record::new(side, None, &[("per_second", per_second)]).in_round(round));
            }
        }
        run
    }

    fn is_slower(then: &Run, now: &Run) -> bool {
        let changes = changes(&WATCHED[0], then, now);
        assert_eq!(changes.len(), 1, "only gust's own sides: {changes:?}");
        changes[0].is_regression()
    }

    #[test]
    fn a_slowdown_is_found_and_a_machine_that_drifts_is_not_one() {
        assert!(is_slower(&run(0.40, 0.01), &run(0.36, 0.01)));
        assert!(!is_slower(&run(0.40, 0.01), &run(0.39, 0.01)));
        assert!(!is_slower(&run(0.40, 0.01), &run(0.50, 0.01)));
    }

    #[test]
    fn what_the_rounds_spread_explains_is_no_slowdown() {
        assert!(!is_slower(&run(0.40, 0.05), &run(0.36, 0.05)));
        assert!(is_slower(&run(0.40, 0.05), &run(0.20, 0.05)));
        let noisy = changes(&WATCHED[0], &run(0.40, 0.20), &run(0.40, 0.20));
        assert!(noisy[0].so().starts_with("too noisy"), "{noisy:?}");
    }

    #[test]
    fn less_is_better_where_it_is() {
        let slower = change(&WATCHED[1], "gust", &[1.0, 1.0], &[1.2, 1.2]).unwrap();
        let faster = change(&WATCHED[1], "gust", &[1.0, 1.0], &[0.8, 0.8]).unwrap();
        assert!(slower.is_regression() && !faster.is_regression());
    }
}
