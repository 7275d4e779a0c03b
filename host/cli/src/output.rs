//! What people see: tables, progress, errors. Colours and moving bars on a terminal, plain lines in a pipe.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use console::{Style, style};
use gust_core::one_line;
use indicatif::{ProgressBar, ProgressStyle};

/// Wrong usage or configuration, as opposed to something that failed.
#[derive(Debug)]
pub struct UsageError(pub String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Tells of an error: 2 for wrong usage, else 1. A reader that closed the pipe is no error.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let is_broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    eprintln!("{} {error:#}", style("error:").red().bold().for_stderr());
    if error.is::<UsageError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// Prints to standard output; a closed pipe is an error that [`report`] knows.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// A table with its columns aligned. The first row is its head.
pub fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| one_line(cell).to_string()).collect()).collect();
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut out = String::new();
    for (at, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let line = cells.join("  ");
        let head = if at == 0 { Style::new().dim() } else { Style::new() };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", head.apply_to(line.trim_end()));
    }
    out
}

/// Names and values, one a line, the values aligned.
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let line = |(name, value): &(&str, String)| {
        let name = format!("{name:<width$}");
        format!("{}  {}\n", Style::new().dim().apply_to(name), one_line(value))
    };
    pairs.iter().map(line).collect()
}

/// Rows of one kind: under a title on a terminal; in a pipe each is a line that begins with it.
pub fn section(title: &str, rows: &[Vec<String>]) -> String {
    section_for(title, rows, io::stdout().is_terminal())
}

fn section_for(title: &str, rows: &[Vec<String>], is_terminal: bool) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| one_line(cell).to_string().chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = if is_terminal { format!("\n{}\n", Style::new().bold().apply_to(title)) } else { String::new() };
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", one_line(cell).to_string()));
        let line = cells.collect::<Vec<_>>().join("  ");
        let begins = if is_terminal { " " } else { title };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{begins} {}", line.trim_end());
    }
    out
}

/// A name once, and its values below each other.
pub fn listed(name: &'static str, values: impl Iterator<Item = String>) -> Vec<(&'static str, String)> {
    values.enumerate().map(|(at, value)| (if at == 0 { name } else { "" }, value)).collect()
}

/// Bytes for people.
pub fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

/// So many of something.
pub fn count(count: u64, of: &str) -> String {
    format!("{count} {of}{}", if count == 1 { "" } else { "s" })
}

/// Asks somebody at a terminal. Where there is none nobody agreed, which is wrong usage.
pub fn confirmed(question: &str, refusal: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(UsageError(refusal.to_owned()).into());
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A bar for so many bytes that come or go.
pub fn transfer_bar(doing: &'static str, total_bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(total_bytes);
    // The template is a constant that is right.
    if let Ok(look) = ProgressStyle::with_template("  {msg} {bar:32} {bytes}/{total_bytes} {bytes_per_sec}") {
        bar.set_style(look);
        bar.set_message(doing);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_and_plain_in_a_pipe() {
        let rows = [vec!["NAME".into(), "X".into()], vec!["a".into(), "1".into()]];
        assert_eq!(console::strip_ansi_codes(&table(&rows)), "NAME  X\na     1\n");
    }

    #[test]
    fn a_section_has_a_title_on_a_terminal_and_lines_in_a_pipe() {
        let rows = [vec!["a".into(), "1".into()], vec!["long".into(), "2\n".into()]];
        let shown = section_for("runs on", &rows, true);
        assert_eq!(console::strip_ansi_codes(&shown), "\nruns on\n  a     1\n  long  2\\n\n");
        assert_eq!(section_for("runs on", &rows, false), "runs on a     1\nruns on long  2\\n\n");
        assert_eq!(section_for("runs on", &[], true), "");
    }

    #[test]
    fn values_stay_in_their_lines_and_colour_nothing() {
        let rows = [vec!["NAME".into(), "VALUE".into()], vec!["a".into(), "1\n\u{1b}[31m2é".into()]];
        assert_eq!(console::strip_ansi_codes(&table(&rows)), "NAME  VALUE\na     1\\n\\u{1b}[31m2é\n");
        assert_eq!(console::strip_ansi_codes(&pairs(&[("a", "1\n2".into())])), "a  1\\n2\n");
    }
}
