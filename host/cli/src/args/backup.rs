//! What may be typed about backups.

use std::path::PathBuf;

use clap::Args as ClapArgs;

#[derive(Debug, ClapArgs)]
pub struct Backup {
    /// The file that it is written to; - for standard output
    pub file: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub struct Restore {
    /// The backup
    pub file: PathBuf,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}
