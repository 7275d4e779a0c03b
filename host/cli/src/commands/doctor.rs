//! `gust doctor`: what of this machine keeps a host from doing its best, and what to change.

use anyhow::Result;
use console::style;
use gust_core::config::RawConfig;
use gust_server::{Finding, examine};
use serde_json::json;

use super::serve;
use crate::{args::Doctor, output};

/// Looks at this machine, for a host with the configuration that it would have here.
pub fn run(options: &Doctor) -> Result<()> {
    let config = serve::configured(options.config.clone(), RawConfig::default())?;
    let findings = examine(&config);
    if options.json {
        let told = |one: &Finding| json!({"what": one.what, "found": one.found, "advice": one.advice});
        return output::print(&format!("{}\n", json!(findings.iter().map(told).collect::<Vec<_>>())));
    }
    let head = ["", "CHECK", "FOUND"].map(str::to_owned).to_vec();
    let row = |one: &Finding| {
        let mark = if one.advice.is_some() { "!" } else { "ok" };
        vec![mark.to_owned(), one.what.to_owned(), one.found.clone()]
    };
    output::print(&output::table(&std::iter::once(head).chain(findings.iter().map(row)).collect::<Vec<_>>()))?;
    for (what, advice) in findings.iter().filter_map(|one| Some((one.what, one.advice.as_ref()?))) {
        output::print(&format!("\n{} {what}: {advice}\n", style("!").yellow().bold()))?;
    }
    Ok(())
}
