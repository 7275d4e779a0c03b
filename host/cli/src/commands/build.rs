//! `gust build`: one component out of a function's directory.

use std::fs;

use anyhow::Result;
use serde_json::json;

use crate::{args::Build, output, project::component};

/// Builds, and says what came of it.
pub fn run(options: &Build) -> Result<()> {
    let component = component::build(&options.path)?;
    let size_bytes = fs::metadata(&component)?.len();
    if options.json {
        let object = json!({ "component": component, "size_bytes": size_bytes });
        return output::print(&format!("{object}\n"));
    }
    output::print(&format!("{} ({})\n", component.display(), output::bytes(size_bytes)))
}
