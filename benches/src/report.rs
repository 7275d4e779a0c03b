//! Tables, on the terminal and in a file.

use std::fs;

use anyhow::Result;

use crate::{project, record::Run};

/// A table in Markdown.
pub struct Table {
    lines: Vec<String>,
    notes: Vec<String>,
}

impl Table {
    /// One with these columns; the first is text, the others numbers.
    pub fn new(columns: &[&str]) -> Self {
        let rule: Vec<&str> = columns.iter().enumerate().map(|(at, _)| if at == 0 { "---" } else { "---:" }).collect();
        Self::ruled(columns, &rule)
    }

    /// One whose columns are all text.
    pub fn of_text(columns: &[&str]) -> Self {
        Self::ruled(columns, &vec!["---"; columns.len()])
    }

    fn ruled(columns: &[&str], rule: &[&str]) -> Self {
        let lines = vec![format!("| {} |", columns.join(" | ")), format!("| {} |", rule.join(" | "))];
        Self { lines, notes: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[String]) {
        self.lines.push(format!("| {} |", cells.join(" | ")));
    }

    /// Says something below the table, with figures that are taken from it.
    pub fn note(&mut self, text: String) {
        self.notes.push(format!("- {text}"));
    }

    /// Prints it, and writes it to `target/bench` as the table of a stage.
    pub fn publish(&self, run: &Run) -> Result<()> {
        self.write(&run.stage, &run.heading())
    }

    /// Prints it under a heading, and writes both to `target/bench/{name}.md`.
    pub fn write(&self, name: &str, heading: &str) -> Result<()> {
        let text = self.under(heading);
        println!("\n{text}");
        write(&format!("{name}.md"), &text)
    }

    /// The whole of it.
    pub fn under(&self, heading: &str) -> String {
        let mut text = format!("{heading}\n\n{}\n", self.lines.join("\n"));
        if !self.notes.is_empty() {
            text += &format!("\n{}\n", self.notes.join("\n"));
        }
        text
    }
}

/// Writes a file to `target/bench`, and says so.
pub fn write(file: &str, text: &str) -> Result<()> {
    let dir = project("target/bench");
    fs::create_dir_all(&dir)?;
    fs::write(dir.join(file), text)?;
    eprintln!("    written to target/bench/{file}");
    Ok(())
}
