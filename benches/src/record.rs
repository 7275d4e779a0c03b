//! What was measured, as a machine reads it: a flat list of records, one for each turn of each side.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::{machine::Machine, project, statistics::median};

/// One stage of the bench.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// Its name, which is also its files'.
    pub stage: String,
    /// Where it ran.
    pub machine: Machine,
    /// How, in a sentence.
    pub how: String,
    /// Whether it was a short one, too short to be published.
    pub quick: bool,
    /// Every turn.
    pub records: Vec<Record>,
}

/// One turn of one side.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Whose.
    pub side: String,
    /// In which round, from 0: sides that are compared are so within one.
    #[serde(default)]
    pub round: usize,
    /// Whether something else ran meanwhile. Then it counts for nothing, as long as there are others.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub is_disturbed: bool,
    /// At which point of what is varied, where something is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<f64>,
    /// What it showed, by name.
    pub figures: BTreeMap<String, f64>,
}

impl Record {
    /// A turn of `side`.
    pub fn new(side: &str, at: Option<f64>, figures: &[(&str, f64)]) -> Self {
        let figures = figures.iter().map(|(name, figure)| ((*name).to_owned(), *figure)).collect();
        Self { side: side.to_owned(), round: 0, is_disturbed: false, at, figures }
    }

    /// The same, of this round.
    #[must_use]
    pub fn in_round(self, round: usize) -> Self {
        Self { round, ..self }
    }

    /// The same, and whether something else ran meanwhile.
    #[must_use]
    pub fn disturbed(self, is_disturbed: bool) -> Self {
        Self { is_disturbed, ..self }
    }
}

impl Run {
    /// An empty one on this machine.
    pub fn new(stage: &str, how: String, quick: bool) -> Self {
        Self { stage: stage.to_owned(), machine: Machine::here(), how, quick, records: Vec::new() }
    }

    /// The sides, in the order of their first turns.
    pub fn sides(&self) -> Vec<&str> {
        let mut sides: Vec<&str> = Vec::new();
        for record in &self.records {
            if !sides.contains(&record.side.as_str()) {
                sides.push(&record.side);
            }
        }
        sides
    }

    /// The points of a side, ascending.
    pub fn points(&self, side: &str) -> Vec<f64> {
        let mut points: Vec<f64> = self.of(side).filter_map(|record| record.at).collect();
        points.sort_by(f64::total_cmp);
        points.dedup();
        points
    }

    /// A figure of a side in every round that counts.
    pub fn rounds(&self, side: &str, at: Option<f64>, figure: &str) -> Vec<f64> {
        let turns: Vec<&Record> = self.of(side).filter(|record| record.at == at).collect();
        let all_are_disturbed = turns.iter().all(|record| record.is_disturbed);
        let counted = turns.iter().filter(|record| all_are_disturbed || !record.is_disturbed);
        counted.filter_map(|record| record.figures.get(figure).copied()).collect()
    }

    /// A figure of a side as a multiple of another's, in every round that counts for both.
    pub fn ratios(&self, side: &str, other: &str, figure: &str) -> Vec<f64> {
        let of_other = |round| self.of(other).find(|record| record.round == round && !record.is_disturbed);
        let pairs = self.of(side).filter(|record| !record.is_disturbed);
        pairs.filter_map(|r| Some(r.figures.get(figure)? / of_other(r.round)?.figures.get(figure)?)).collect()
    }

    /// The middle of the rounds.
    pub fn median(&self, side: &str, at: Option<f64>, figure: &str) -> f64 {
        median(self.rounds(side, at, figure))
    }

    fn of<'a>(&'a self, side: &'a str) -> impl Iterator<Item = &'a Record> {
        self.records.iter().filter(move |record| record.side == side)
    }

    /// The machine and how it was measured, for people.
    pub fn heading(&self) -> String {
        format!("{}; {} Made by `cargo xtask bench {}`.", self.machine, self.how, self.stage)
    }

    /// Writes it to `target/bench`.
    pub fn save(&self) -> Result<()> {
        let path = made(&self.stage);
        fs::create_dir_all(path.parent().context("it has a directory")?)?;
        fs::write(path, self.to_json()?)?;
        Ok(())
    }

    /// Reads one.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| format!("{} is no result of this bench", path.display()))
    }

    /// With a record on each line, so that a difference can be read.
    fn to_json(&self) -> serde_json::Result<String> {
        let records: serde_json::Result<Vec<String>> = self.records.iter().map(serde_json::to_string).collect();
        let head = serde_json::to_string_pretty(&Self { records: Vec::new(), ..self.clone() })?;
        let records = format!("\"records\": [\n    {}\n  ]", records?.join(",\n    "));
        Ok(head.replace("\"records\": []", &records) + "\n")
    }
}

/// Where a stage's results are when it was run.
pub fn made(stage: &str) -> PathBuf {
    project(&format!("target/bench/{stage}.json"))
}

/// Where the committed ones of a machine are.
pub fn committed(machine: &Machine, stage: &str) -> PathBuf {
    project(&format!("benches/results/{}/{stage}.json", machine.kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut run = Run::new("load", "in turns.".to_owned(), false);
        run.records.push(Record::new("a", Some(0.5), &[("us", 1.5)]));
        run.records.push(Record::new("b", None, &[("us", 2.5)]));
        run.records.push(Record::new("a", Some(0.5), &[("us", 3.5)]));
        let read: Run = serde_json::from_str(&run.to_json().unwrap()).unwrap();
        assert_eq!((read.sides(), read.points("a")), (vec!["a", "b"], vec![0.5]));
        assert_eq!(read.rounds("a", Some(0.5), "us"), [1.5, 3.5]);
        assert_eq!((read.median("b", None, "us"), read.machine.kind), (2.5, run.machine.kind));
    }

    #[test]
    fn what_was_disturbed_counts_for_nothing() {
        let mut run = Run::new("load", "in turns.".to_owned(), false);
        for (round, us, is_disturbed) in [(0, 1.0, false), (1, 9.0, true), (2, 2.0, false)] {
            let record = |side, us| Record::new(side, None, &[("us", us)]).in_round(round);
            run.records.push(record("a", us).disturbed(is_disturbed));
            run.records.push(record("b", 10.0));
        }
        assert_eq!(run.rounds("a", None, "us"), [1.0, 2.0]);
        assert_eq!(run.ratios("b", "a", "us"), [10.0, 5.0]);
        run.records.retain(|record| record.is_disturbed);
        assert_eq!(run.rounds("a", None, "us"), [9.0]);
    }
}
