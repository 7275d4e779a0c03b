//! `gust new`: a project that builds, tests and deploys as it is.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use gust_core::FunctionName;

use super::name;
use crate::{
    args::New,
    output::{self, UsageError},
    project::template,
};

/// Makes the directory whole, or not at all.
pub fn run(options: &New) -> Result<()> {
    let name: FunctionName = name(&options.name)?;
    let dir = Path::new(name.as_str());
    let is_taken = dir.read_dir().map(|mut entries| entries.next().is_some()).unwrap_or(dir.exists());
    if is_taken {
        return Err(UsageError(format!("{name} is there already and not empty; choose another name")).into());
    }
    let unfinished = format!(".{name}.unfinished");
    let unfinished = Path::new(&unfinished);
    let written = template::write(unfinished, &name, options.template).and_then(|()| {
        let _ = fs::remove_dir(dir);
        fs::rename(unfinished, dir).with_context(|| format!("{name} cannot be made"))
    });
    if written.is_err() {
        let _ = fs::remove_dir_all(unfinished);
    }
    written?;
    let first = template::first_steps(options.template);
    output::print(&format!("made {name}\n\n  cd {name}\n  {first}\n  gust deploy\n"))
}
