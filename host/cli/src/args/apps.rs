//! What may be typed about apps, their configuration and their secrets.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum App {
    /// List the apps
    Ls {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show all about one app
    Show {
        /// The app
        app: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make an app, or change what is in its document
    Set {
        /// The app
        app: String,
        /// The document: hosts, [limits], [quotas]; a new app without it has none of these
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Remove an app that no function is in
    Rm {
        /// The app
        app: String,
    },
    /// Put a function into an app, with the app's configuration
    Bind {
        /// The app
        app: String,
        /// The function
        function: String,
        /// The alias that the app's requests go through
        #[arg(long, default_value = "live")]
        alias: String,
    },
    /// Take a function out of an app
    Unbind {
        /// The app
        app: String,
        /// The function
        function: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Config {
    /// List names and values
    Ls {
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Set a value
    Set {
        /// Its name
        #[arg(id = "setting", value_name = "NAME")]
        key: String,
        /// The value
        value: String,
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
    },
    /// Remove a value
    Rm {
        /// Its name
        #[arg(id = "setting", value_name = "NAME")]
        key: String,
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Secret {
    /// List names; values are never shown
    Ls {
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Set a secret to what is typed or piped
    Set {
        /// Its name
        #[arg(id = "setting", value_name = "NAME")]
        key: String,
        /// Take the value from a file
        #[arg(long, value_name = "FILE")]
        from_file: Option<PathBuf>,
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
    },
    /// Remove a secret that no function names
    Rm {
        /// Its name
        #[arg(id = "setting", value_name = "NAME")]
        key: String,
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
    },
}
