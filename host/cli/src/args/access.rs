//! What may be typed about tokens and issuers.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token; it is shown once
    Create {
        /// What it is called
        name: String,
        /// What it may do: read, deploy, invoke, data or admin, on *, app/NAME or function/NAME (data not on the last); may be repeated
        #[arg(long = "scope", value_name = "ACTION:TARGET", required = true)]
        scopes: Vec<String>,
        /// From when on it is worth nothing, as 30d or 12h; else never
        #[arg(long, value_name = "DURATION")]
        expires: Option<humantime::Duration>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the tokens
    Ls {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token, at once
    Rm {
        /// The token
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Issuer {
    /// List whose JSON Web Tokens an app believes
    Ls {
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Have an app believe an issuer's tokens, or change its keys
    Set {
        /// What it is called here
        name: String,
        /// What its tokens have as "iss", to the letter
        #[arg(long, value_name = "URL")]
        issuer: String,
        /// For whom tokens must be, their "aud"; may be repeated
        #[arg(long = "audience", value_name = "AUDIENCE", required = true)]
        audiences: Vec<String>,
        /// The file with its JSON Web Key Set: public keys only
        #[arg(long, value_name = "FILE")]
        jwks: PathBuf,
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
    },
    /// Believe an issuer's tokens no longer
    Rm {
        /// What it is called here
        name: String,
        /// The app
        #[arg(long, default_value = "default")]
        app: String,
    },
}
