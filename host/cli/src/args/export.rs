//! What may be typed to take a function elsewhere.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

#[derive(Debug, ClapArgs)]
pub struct Export {
    /// The function, or the component's file, which needs no host
    #[arg(value_name = "NAME|FILE")]
    pub name: String,
    /// The host that is to run it
    #[arg(long = "for", value_name = "HOST")]
    pub host: ForHost,
    /// The directory to write; else one named by the function and the host
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// The manifest of a component in a file; else gust.toml beside it
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ForHost {
    /// Spin
    Spin,
    /// `wasmtime serve`
    Wasmtime,
    /// wasmCloud
    Wasmcloud,
}
