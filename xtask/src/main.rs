//! `cargo xtask`: what is done with the project itself. `up` serves it, `test` proves it, `fuzz` tries to
//! break it, `bench` measures it.

mod bench;
mod functions;
mod fuzz;
mod languages;
mod made;
mod project;
mod schemathesis;
mod shop;
mod steps;
mod test;
mod up;
mod wasi;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask <command>

  up [serve's flags]     build, start the host, deploy every example, print what to try; Ctrl-C stops it
  test [--long]          everything that proves that it works; or also what takes minutes more
  fuzz [target...] [--minutes N]
                         gives every target of fuzz/, or these, inputs that nobody thought of, for 30 minutes of CPU time each
  functions              build every example to target/functions/<name>.wasm
  languages              build the templates in other languages, and what is written in them for other hosts, to
                         target/languages/<name>.wasm
  bench [--quick] [stage...]
                         measures gust beside other servers, writes target/bench/, compares with the committed results;
                         stages: load, offered, instance, refusals, neighbours, reach, access, routes, figures, languages, scale,
                         slow, catalogue; compare; publish (to docs/, benches/results/)
  toolchain [debian]     find, or install, a toolchain for wasm32-wasip2; or install the one of last resort

example: cargo xtask up --listen 127.0.0.1:8000";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    match arguments {
        [_, flag] if flag == "--help" || flag == "-h" => {
            println!("{HELP}");
            Ok(())
        }
        [command, rest @ ..] => match (command.as_str(), rest) {
            ("up", flags) => up::run(flags),
            (up::DEPLOY, [host, flags @ ..]) => up::deploy_examples(host, flags),
            ("test", []) => test::run(),
            ("test", [flag]) if flag == "--long" => test::run_long(),
            ("fuzz", flags) => fuzz::run(flags),
            ("functions", []) => functions::build().map(drop),
            ("languages", []) => languages::build(),
            ("bench", flags) => bench::run(flags),
            ("toolchain", []) => functions::toolchain().map(|found| println!("{}", found.describe())),
            ("toolchain", [last_resort]) if last_resort == "debian" => functions::debian().map(drop),
            ("help" | "--help" | "-h", _) => {
                println!("{HELP}");
                Ok(())
            }
            _ => bail!("{:?} is not known\n\n{HELP}", arguments.join(" ")),
        },
        [] => {
            println!("{HELP}");
            Ok(())
        }
    }
}
