//! The `gust` command: the host, and what developers do with it.

mod allocator;
mod args;
mod client;
mod commands;
mod environment;
mod export;
mod host_link;
mod output;
mod project;
mod token;
mod trust;
mod whole_file;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.command {
        Command::Serve(options) => return commands::serve::run(options).unwrap_or_else(|error| output::report(&error)),
        Command::Doctor(options) => commands::doctor::run(&options),
        Command::New(options) => commands::new::run(&options),
        Command::Build(options) => commands::build::run(&options),
        Command::Deploy(options) => commands::deploy::run(&args.host, &options),
        Command::Versions(options) => commands::versions::run(&args.host, &options),
        Command::Promote(options) => commands::promote::run(&args.host, &options),
        Command::Rollback(options) => commands::rollback::run(&args.host, &options),
        Command::Alias(action) => commands::alias::run(&args.host, &action),
        Command::App(action) => commands::app::run(&args.host, &action),
        Command::Config(action) => commands::config::run(&args.host, &action),
        Command::Kv(action) => commands::kv::run(&args.host, &action),
        Command::Blob(action) => commands::blob::run(&args.host, &action),
        Command::Secret(action) => commands::secret::run(&args.host, &action),
        Command::Token(action) => commands::token::run(&args.host, &action),
        Command::Issuer(action) => commands::issuer::run(&args.host, &action),
        Command::Ls(options) => commands::ls::run(&args.host, options),
        Command::Export(options) => commands::export::run(&args.host, &options),
        Command::Inspect(options) => commands::inspect::run(&args.host, &options),
        Command::Invoke(options) => commands::invoke::run(&args.host, &options),
        Command::Logs(options) => commands::logs::run(&args.host, &options),
        Command::Rm(options) => commands::rm::run(&args.host, &options),
        Command::Backup(options) => commands::backup::run(&args.host, &options),
        Command::Restore(options) => commands::restore::run(&args.host, &options),
        Command::CompileWorker { arguments } => return gust_server::compile_worker(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::report(&error),
    }
}
