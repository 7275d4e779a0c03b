//! What the documentation says is so.

use std::fs;

use gust_core::{Code, Limits, config::SETTINGS, limits::Limit};

use crate::fixture::project;

#[test]
fn every_setting_is_documented_with_its_default() {
    let page = fs::read_to_string(project("docs/configuration.md")).unwrap();
    for setting in SETTINGS {
        let default = if setting.default.is_empty() { "none".to_owned() } else { format!("`{}`", setting.default) };
        let row = format!("| `{}` | {default} |", setting.key);
        assert!(page.contains(&row), "docs/configuration.md has no row {row}");
    }
    let is_row = |line: &&str| line.starts_with("| `") && (line.contains("` | `") || line.contains("` | none |"));
    assert_eq!(page.lines().filter(is_row).count(), SETTINGS.len());
}

#[test]
fn every_limit_is_documented_with_its_default() {
    let page = fs::read_to_string(project("docs/limits.md")).unwrap();
    let defaults = Limits::default();
    for limit in Limit::ALL {
        let row = format!("| `{}` | {} | {} |", limit.key(), defaults.get(*limit), limit.min());
        assert!(page.contains(&row), "docs/limits.md has no row {row}");
    }
    for code in Code::ALL.iter().filter(|code| code.limit().is_some()) {
        assert!(page.contains(&format!("`{}`", code.as_str())), "docs/limits.md does not say {}", code.as_str());
    }
    assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), Limit::ALL.len());
}

#[test]
fn pages_lead_to_pages_that_are_there() {
    let mut pages = vec!["README.md".to_owned(), "ARCHITECTURE.md".to_owned()];
    for entry in fs::read_dir(project("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        pages.extend(name.ends_with(".md").then(|| format!("docs/{name}")));
    }
    for page in pages {
        let text = fs::read_to_string(project(&page)).unwrap();
        let dir = project(&page).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let is_there = file.is_empty() || file.starts_with("http") || dir.join(file).exists();
            assert!(is_there, "{page} leads to {link}, which is not there");
        }
    }
}
