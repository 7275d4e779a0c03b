//! From `target/bench` to what is committed: the tables of the documents between their markers, the plots beside them, and the
//! records in `benches/results`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    catalogue, instance, load,
    machine::Machine,
    project, reach,
    record::{self, Run},
    routes,
    scale::{self, Show},
    slow,
};

/// The documents that have the tables.
const DOCUMENTS: [&str; 2] = ["docs/performance.md", "docs/reliability.md"];

/// What has records.
fn stages() -> Vec<(&'static str, Show)> {
    let stages: [(_, Show); 4] = [
        ("load", load::show),
        ("offered", load::show_offered),
        ("instance", instance::show),
        (routes::STAGE, routes::show),
    ];
    [&stages[..], &scale::STAGES].concat()
}

/// What has only a table.
const TABLES: [&str; 9] = [
    "access",
    catalogue::STAGE,
    "figures",
    "languages",
    "neighbours",
    "picture",
    reach::STAGE,
    "refusals",
    slow::STAGE,
];

/// The plots.
const PLOTS: [&str; 4] = ["throughput.svg", "latency-offered.svg", "latency-distribution.svg", "scale-pages.svg"];

/// Publishes every stage that was run. One that was run in a hurry is refused.
pub fn run() -> Result<()> {
    let mut documents = Documents::read()?;
    for (stage, show) in stages() {
        let made = record::made(stage);
        if !made.exists() {
            eprintln!("    {stage}: not measured, stays as it is");
            continue;
        }
        let run = Run::load(&made)?;
        ensure!(!run.quick, "{stage} was measured with --quick; measure it again without");
        show(&run)?;
        copy(&made, &record::committed(&run.machine, stage))?;
        documents.place(stage)?;
    }
    let is_made = |file: &str| project(&format!("target/bench/{file}")).exists();
    for table in TABLES.into_iter().filter(|table| is_made(&format!("{table}.md"))) {
        documents.place(table)?;
    }
    let outcomes = record::made(catalogue::STAGE);
    if outcomes.exists() {
        copy(&outcomes, &record::committed(&Machine::here(), catalogue::STAGE))?;
    }
    for plot in PLOTS.into_iter().filter(|plot| is_made(plot)) {
        copy(&project(&format!("target/bench/{plot}")), &project(&format!("docs/{plot}")))?;
    }
    documents.write()
}

/// Where each is, and its text.
struct Documents(Vec<(PathBuf, String)>);

impl Documents {
    fn read() -> Result<Self> {
        let read = |path: PathBuf| Ok(fs::read_to_string(&path).map(|text| (path, text))?);
        DOCUMENTS.into_iter().map(project).map(read).collect::<Result<_>>().map(Self)
    }

    /// Puts a table between its markers, in the document that has them.
    fn place(&mut self, name: &str) -> Result<()> {
        let table = fs::read_to_string(project(&format!("target/bench/{name}.md")))?;
        let placed = self.0.iter_mut().find_map(|(_, text)| Some((between_markers(text, name, &table)?, text)));
        let (placed, text) = placed.with_context(|| format!("no document has markers for {name}"))?;
        *text = placed;
        eprintln!("    {name}: published");
        Ok(())
    }

    fn write(self) -> Result<()> {
        self.0.into_iter().try_for_each(|(path, text)| Ok(fs::write(path, text)?))
    }
}

/// The document with this text between `<!-- begin NAME -->` and `<!-- end NAME -->`.
fn between_markers(document: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("it has a directory")?)?;
    fs::copy(from, to).with_context(|| format!("{} to {}", from.display(), to.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let document = "# A\n<!-- begin load -->\nold\n<!-- end load -->\nsaid\n";
        let published = between_markers(document, "load", "| new |\n").unwrap();
        assert_eq!(published, "# A\n<!-- begin load -->\n\n| new |\n\n<!-- end load -->\nsaid\n");
        assert_eq!(between_markers(&published, "load", "| new |\n").unwrap(), published);
        assert!(between_markers(document, "offered", "").is_none());
    }

    #[test]
    fn there_is_one_place_for_every_table() {
        let Documents(documents) = Documents::read().unwrap();
        for name in stages().into_iter().map(|(stage, _)| stage).chain(TABLES) {
            let places = documents.iter().filter(|(_, text)| between_markers(text, name, "").is_some());
            assert_eq!(places.count(), 1, "{name}");
        }
    }
}
