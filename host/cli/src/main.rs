//! The `gust` command.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().map(String::as_str) == Some("compile-worker") { return gust_server::compile_worker(&args[1..]); }
    let config = gust_core::config::RawConfig::from_env(std::env::vars()).unwrap();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    gust_server::serve(config.try_into().unwrap()).unwrap();
    ExitCode::SUCCESS
}
