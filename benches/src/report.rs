//! Tables, on the terminal and in a file.

use std::{fs, io, path::PathBuf, process::Command};

use crate::project;

/// A table in Markdown.
pub struct Table {
    lines: Vec<String>,
}

impl Table {
    /// One with these columns; the first is text, the others numbers.
    pub fn new(columns: &[&str]) -> Self {
        let rule: Vec<&str> = columns.iter().enumerate().map(|(at, _)| if at == 0 { "---" } else { "---:" }).collect();
        Self { lines: vec![format!("| {} |", columns.join(" | ")), format!("| {} |", rule.join(" | "))] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[String]) {
        self.lines.push(format!("| {} |", cells.join(" | ")));
    }

    /// Prints it under a heading, and writes both to `target/bench/{file}`.
    pub fn publish(&self, file: &str, heading: &str) -> io::Result<PathBuf> {
        let text = format!("{heading}\n\n{}\n", self.lines.join("\n"));
        println!("\n{text}");
        let dir = project("target/bench");
        fs::create_dir_all(&dir)?;
        let path = dir.join(file);
        fs::write(&path, text)?;
        println!("written to target/bench/{file}");
        Ok(path)
    }
}

/// The machine, in a few words.
pub fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let uname = rustix::system::uname();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{cores} x {}, Linux {}", model.unwrap_or("unknown CPU"), uname.release().to_string_lossy())
}

/// The first line of what a command prints about its version.
pub fn version(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or("unknown version").to_owned()
}
