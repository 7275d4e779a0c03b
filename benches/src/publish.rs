//! From `target/bench` to what is committed: the tables of `docs/performance.md` between their markers, the plots beside
//! it, and the records in `benches/results`.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use crate::{
    instance, load, project,
    record::{self, Run},
    routes,
    scale::{self, Show},
};

/// The document that has the tables.
const DOCUMENT: &str = "docs/performance.md";

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
const TABLES: [&str; 6] = ["access", "figures", "languages", "neighbours", "picture", "refusals"];

/// The plots.
const PLOTS: [&str; 4] = ["throughput.svg", "latency-offered.svg", "latency-distribution.svg", "scale-pages.svg"];

/// Publishes every stage that was run. One that was run in a hurry is refused.
pub fn run() -> Result<()> {
    let path = project(DOCUMENT);
    let mut document = fs::read_to_string(&path)?;
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
        document = with_table(&document, stage)?;
    }
    let is_made = |file: &str| project(&format!("target/bench/{file}")).exists();
    for table in TABLES.into_iter().filter(|table| is_made(&format!("{table}.md"))) {
        document = with_table(&document, table)?;
    }
    for plot in PLOTS.into_iter().filter(|plot| is_made(plot)) {
        copy(&project(&format!("target/bench/{plot}")), &project(&format!("docs/{plot}")))?;
    }
    fs::write(path, document)?;
    Ok(())
}

fn with_table(document: &str, name: &str) -> Result<String> {
    let table = fs::read_to_string(project(&format!("target/bench/{name}.md")))?;
    eprintln!("    {name}: published");
    between_markers(document, name, &table).with_context(|| format!("{DOCUMENT} has no markers for {name}"))
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
    fn the_document_has_a_place_for_every_table() {
        let document = fs::read_to_string(project(DOCUMENT)).unwrap();
        for name in stages().into_iter().map(|(stage, _)| stage).chain(TABLES) {
            assert!(between_markers(&document, name, "").is_some(), "{name}");
        }
    }
}
