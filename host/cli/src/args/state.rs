//! What may be typed about key-values and blobs.

use std::path::PathBuf;

use clap::Subcommand;
use gust_core::state::Ttl;

#[derive(Debug, Subcommand)]
pub enum Kv {
    /// List the keys of a bucket, or an app's buckets
    Ls {
        /// The bucket; without it all that have something in them
        bucket: Option<String>,
        /// Only what begins so
        #[arg(long, default_value = "")]
        prefix: String,
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a value as it is
    Get {
        /// The bucket
        bucket: String,
        /// The key
        #[arg(id = "pair", value_name = "KEY")]
        key: String,
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
    },
    /// Set a value to what is given or piped
    Set {
        /// The bucket
        bucket: String,
        /// The key
        #[arg(id = "pair", value_name = "KEY")]
        key: String,
        /// The value; without it, or with -, what comes through the pipe
        value: Option<String>,
        /// How long it is kept: 30s, 30m, 12h or 7d
        #[arg(long)]
        ttl: Option<Ttl>,
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
    },
    /// Remove a key
    Rm {
        /// The bucket
        bucket: String,
        /// The key
        #[arg(id = "pair", value_name = "KEY")]
        key: String,
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Blob {
    /// List the blobs of a container, or an app's containers
    Ls {
        /// The container; without it all that have something in them
        container: Option<String>,
        /// Only names that begin so
        #[arg(long, default_value = "")]
        prefix: String,
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a file into a container
    Put {
        /// The container
        container: String,
        /// The file; - for what comes through the pipe
        file: PathBuf,
        /// The blob's name; without it the file's
        #[arg(id = "blob", value_name = "NAME")]
        name: Option<String>,
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
    },
    /// Read a blob
    Get {
        /// The container
        container: String,
        /// The blob's name
        #[arg(id = "blob", value_name = "NAME")]
        name: String,
        /// The file to write; without it standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
    },
    /// Remove a blob
    Rm {
        /// The container
        container: String,
        /// The blob's name
        #[arg(id = "blob", value_name = "NAME")]
        name: String,
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
    },
}
